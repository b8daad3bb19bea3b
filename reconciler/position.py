"""Where a watch of one kind stands, and what each thing it sees does to that. Pure.

The thread in `watch.py` does the I/O and reports what it saw; `step` says where that leads and
what to do. Every row of the table is one `case`.

Source: client-go's tools/cache/reflector.go for when to list again and when only to reopen.
"""

from dataclasses import dataclass
from typing import Literal

from jac_converge.reconciler.errors import ClusterError, Gone, Refused, Throttled, Unreachable
from jac_converge.reconciler.objects import Object

__all__ = [
    "Blocked",
    "Bookmark",
    "Changed",
    "Drop",
    "Effect",
    "Ended",
    "Failed",
    "Listed",
    "Listing",
    "Position",
    "Put",
    "Replace",
    "Saw",
    "Slept",
    "Stop",
    "Stopped",
    "Streaming",
    "Waiting",
    "Woke",
    "step",
]

SHORTEST_STREAM = 1.0
"""Seconds. A stream that ends sooner, with no event, is an error, or a quiet server becomes a hot
loop (client-go's VeryShortWatchError)."""

BLOCKED_RETRY = 60.0
"""Seconds between two tries while the server refuses us."""


# Where it stands ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listing:
    """Reading every object of the kind; `version` as a lower bound, "" for the latest."""

    version: str = ""


@dataclass(frozen=True, slots=True)
class Streaming:
    """Receiving what happens after `version`."""

    version: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Backing off; `seconds` when the server said how long, None for the backoff's own choice."""

    then: Listing | Streaming
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Blocked:
    """The server refuses us: a person has to act; tried again every `BLOCKED_RETRY` seconds."""

    error: ClusterError


@dataclass(frozen=True, slots=True)
class Stopped:
    """The end."""


type Position = Listing | Streaming | Waiting | Blocked | Stopped


# What it saw -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """A complete list."""

    items: tuple[Object, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Changed:
    """One object was added, modified or deleted."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    obj: Object


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Nothing happened up to `version`."""

    version: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The server closed the stream in good order."""

    seconds: float
    events: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The request, or the stream, failed; a mute stream fails as `Unreachable`."""

    error: ClusterError


@dataclass(frozen=True, slots=True)
class Slept:
    """The wait is over."""


@dataclass(frozen=True, slots=True)
class Woke:
    """The wall clock ran ahead of the monotonic one: the machine was asleep."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The process wants to end."""


type Saw = Listed | Changed | Bookmark | Ended | Failed | Slept | Woke | Stop


# What to do about it -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Replace:
    """The mirror becomes exactly these objects."""

    items: tuple[Object, ...]


@dataclass(frozen=True, slots=True)
class Put:
    """The mirror gets this object."""

    obj: Object


@dataclass(frozen=True, slots=True)
class Drop:
    """The mirror loses this object."""

    obj: Object


type Effect = Replace | Put | Drop | None


def step(position: Position, saw: Saw) -> tuple[Position, Effect]:
    """Where a watch goes from here, and what to do on the way.

    Raises:
        ValueError: this cannot be seen from here; a mistake of the caller's.

    >>> step(Streaming("7"), Bookmark("9"))
    (Streaming(version='9'), None)
    """
    match position, saw:
        case _, Stop():
            return Stopped(), None
        case _, Woke():
            return Listing(), None
        case Listing(), Listed(items, version):
            return Streaming(version), Replace(items)
        case Listing() as listing, Failed(error):
            return _after_failed_list(listing, error)
        case Streaming(), Changed("DELETED", obj):
            return Streaming(obj["metadata"]["resourceVersion"]), Drop(obj)
        case Streaming(), Changed(_, obj):
            return Streaming(obj["metadata"]["resourceVersion"]), Put(obj)
        case Streaming(), Bookmark(version):
            return Streaming(version), None
        case Streaming() as streaming, Ended(seconds, events):
            short = seconds < SHORTEST_STREAM and events == 0
            return (Waiting(then=streaming) if short else streaming), None
        case Streaming() as streaming, Failed(error):
            return _after_broken_stream(streaming, error)
        case Waiting(then), Slept():
            return then, None
        case Blocked(), Slept():
            return Listing(), None
        case _:
            raise ValueError(f"{type(saw).__name__} cannot be seen while {position}")


def _after_failed_list(listing: Listing, error: ClusterError) -> tuple[Position, Effect]:
    match error:
        case Gone():
            return Listing(), None
        case Refused():
            return Blocked(error), None
        case Throttled(retry_after=seconds):
            return Waiting(then=listing, seconds=seconds), None
        case _:
            return Waiting(then=listing), None


def _after_broken_stream(streaming: Streaming, error: ClusterError) -> tuple[Position, Effect]:
    match error:
        case Gone():
            # The mirror stays as it is until the new list arrives: an empty one would look like
            # a cluster where everything was deleted.
            return Listing(), None
        case Refused():
            return Blocked(error), None
        case Throttled(retry_after=seconds):
            return Waiting(then=streaming, seconds=seconds), None
        case Unreachable():
            return Waiting(then=streaming), None
        case _:
            return Waiting(then=Listing(streaming.version)), None
