"""Send a write until its outcome is known.

A connection that breaks after a write was sent leaves it open whether the write happened. Saying
"no" would run the work again and count twice; saying "yes" would acknowledge what is not stored.
So each write of ours is made to have the same effect however often it is sent, and is sent again
until there is an answer. It changes with what MongoDB's client may raise.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pymongo
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
)

from jac_converge.app_runtime.stores.document import UnknownOutcome

__all__ = ["Doubt", "Patience", "Sent", "Unanswered", "decisive", "send", "unconfirmed", "unknown"]

NOT_SENT = (ServerSelectionTimeoutError, WaitQueueTimeoutError)
SHORTEST_PAUSE, LONGEST_PAUSE = 0.008, 0.1  # s


class Unanswered(PyMongoError):
    """A write was sent at least once, and nobody knows what became of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for what, and the clock and dice for it. All times in s."""

    select: float = 3.0
    """To find a server, to connect to it, or to get a connection of the pool."""
    answer: float = 5.0
    """For one answer."""
    whole: float = 10.0
    """For one commit, with everything that is sent again; for each part of a large one."""
    lease: float = 1.0
    """How long a pending record may stay as it is before it is aborted: its writer is dead or
    stuck."""
    longest_lease: float = 10.0
    """The same for a writer that has been slow, and has said so. Twice `answer`, so nobody who
    gets answers at all is taken for dead."""
    keep: float = 30.0
    """How long a committed record is known before others than its writer delete it. Well over
    `whole`: a writer that lost its connection still finds out that it won."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    rng: random.Random = field(default_factory=random.Random)

    def pause(self, longest: float = SHORTEST_PAUSE) -> None:
        """Wait for a moment, up to the `longest` s."""
        self.sleep(self.rng.uniform(longest / 4, longest))

    def pauses(self) -> Iterator[None]:
        """Wait for a moment before each but the first, and for a longer one each time."""
        longest = SHORTEST_PAUSE
        while True:
            yield
            self.pause(longest)
            longest = min(longest * 1.5, LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class Sent[T]:
    """The answer to a write."""

    answer: T
    again: bool
    """Whether it was sent more than once: then an earlier one may be what was carried out."""


def send[T](write: Callable[[], T], *, patience: Patience, until: float) -> Sent[T]:
    """Send a write, again and again while its outcome is unknown.

    Args:
        write: sends it and returns the answer; harmless when repeated.
        patience: for pauses and the clock.
        until: by that clock; after it nothing is sent again.

    Raises:
        Unanswered: the time is up.
        PyMongoError: it was not sent, or the server refused it.
    """
    again = False
    while True:
        try:
            if not again:
                return Sent(write(), again)
            # Not for the first one: this limit would also replace the shorter one for finding a
            # server, so that one that is down cost as much as one that is slow.
            with pymongo.timeout(max(until - patience.clock(), 0.001)):
                return Sent(write(), again)
        except NOT_SENT as error:
            if not again:
                raise
            _check_time(error, patience, until)
        except PyMongoError as error:
            if not _left_open(error):
                if again:
                    raise Unanswered(str(error)) from error  # refused now, and before?
                raise
            _check_time(error, patience, until)
            again = True
        patience.pause(0.05)


def _left_open(error: PyMongoError) -> bool:
    """Say whether the write may have been made."""
    if isinstance(error, BulkWriteError):
        return unconfirmed(error)
    return isinstance(error, ConnectionFailure | WriteConcernError)


def _check_time(error: PyMongoError, patience: Patience, until: float) -> None:
    if patience.clock() >= until:
        raise Unanswered(str(error)) from error


def unconfirmed(error: BulkWriteError) -> bool:
    """Say whether the writes were made but not confirmed by enough servers."""
    return bool(error.details.get("writeConcernErrors"))


@dataclass(slots=True)
class Doubt:
    """What is known of a write that makes a batch happen."""

    sent_again: bool = False
    """Then an earlier one may still be on its way, whatever the later ones were told."""


@contextmanager
def decisive() -> Iterator[Doubt]:
    """Say that nobody knows, where the block may have made the batch happen and has failed."""
    doubt = Doubt()
    try:
        yield doubt
    except PyMongoError as error:
        if isinstance(error, Unanswered) or doubt.sent_again:
            raise unknown(f"{type(error).__name__}: {error}") from error
        raise


def unknown(cause: str) -> UnknownOutcome:
    """Make the error of a commit whose outcome is not to be found out."""
    return UnknownOutcome(
        f"MongoDB write failed (outcome unknown): the connection broke, and {cause}; "
        "read again before you do this again"
    )
