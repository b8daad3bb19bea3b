"""Send a write until its outcome is known.

A connection that breaks after a write was sent leaves it open whether the write happened. Saying
"no" would run the work again and count twice; saying "yes" would acknowledge what is not stored.
So each write of ours is made to have the same effect however often it is sent, and is sent again
until there is an answer. It changes with what MongoDB's client may raise.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pymongo
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
)

__all__ = ["Patience", "Sent", "send", "unconfirmed"]

NOT_SENT = (ServerSelectionTimeoutError, WaitQueueTimeoutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for what, and the clock and dice for it. All times in s."""

    select: float = 3.0
    """To find a server, to connect to it, or to get a connection of the pool."""
    answer: float = 5.0
    """For one answer."""
    whole: float = 10.0
    """For one commit, with everything that is sent again."""
    lease: float = 1.0
    """How long a pending record may be known before it is aborted: its writer is dead or stuck."""
    keep: float = 30.0
    """How long a committed record is known before others than its writer delete it. Well over
    `whole`: a writer that lost its connection still finds out that it won."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    rng: random.Random = field(default_factory=random.Random)

    def pause(self, longest: float = 0.008) -> None:
        """Wait for a moment, up to the `longest` s."""
        self.sleep(self.rng.uniform(longest / 4, longest))


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
        PyMongoError: the server refused it; or nobody knows, and the time is up.
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
        except NOT_SENT:
            if not again or patience.clock() >= until:
                raise
        except (ConnectionFailure, WriteConcernError, BulkWriteError) as error:
            if isinstance(error, BulkWriteError) and not unconfirmed(error):
                raise
            if patience.clock() >= until:
                raise
            again = True
        patience.pause(0.05)


def unconfirmed(error: BulkWriteError) -> bool:
    """Say whether the writes were made but not confirmed by enough servers."""
    return bool(error.details.get("writeConcernErrors"))
