"""The watch table, row by row."""

import pytest

from jac_converge.reconciler.errors import (
    ClusterError,
    Gone,
    Invalid,
    Refused,
    ServerFault,
    Throttled,
    Unreachable,
)
from jac_converge.reconciler.objects import Object
from jac_converge.reconciler.position import (
    Blocked,
    Bookmark,
    Changed,
    Drop,
    Effect,
    Ended,
    Failed,
    Listed,
    Listing,
    Position,
    Put,
    Replace,
    Saw,
    Slept,
    Stop,
    Stopped,
    Streaming,
    Waiting,
    Woke,
    step,
)

OBJ: Object = {"kind": "Service", "metadata": {"name": "shop", "resourceVersion": "9"}}
GONE = Gone("services watch", "too old resource version")
THROTTLED = Throttled("services watch", "slow down", 7.0)
UNREACHABLE = Unreachable("services watch", "connection reset")
FAULT = ServerFault("services watch", "etcd is leaderless")
REFUSED = Refused("services list", "forbidden")
EXPIRED = Refused("services list", "unauthorized", expired=True)
INVALID = Invalid("services list", "what?")

ROWS: dict[str, tuple[Position, Saw, Position, Effect]] = {
    "a list begins the stream at its version": (
        Listing(),
        Listed((OBJ,), "8"),
        Streaming("8"),
        Replace((OBJ,)),
    ),
    "a list at a version that is gone starts from the latest": (
        Listing("3"),
        Failed(GONE),
        Listing(),
        None,
    ),
    "a list that fails is tried again": (
        Listing("3"),
        Failed(FAULT),
        Waiting(then=Listing("3")),
        None,
    ),
    "a throttled list waits as long as it is told": (
        Listing(),
        Failed(THROTTLED),
        Waiting(then=Listing(), seconds=7.0),
        None,
    ),
    "a forbidden list waits for a person": (Listing(), Failed(REFUSED), Blocked(REFUSED), None),
    "an expired login waits for a person": (Listing(), Failed(EXPIRED), Blocked(EXPIRED), None),
    "an addition is put": (
        Streaming("8"),
        Changed("ADDED", OBJ),
        Streaming("9"),
        Put(OBJ),
    ),
    "a modification is put": (
        Streaming("8"),
        Changed("MODIFIED", OBJ),
        Streaming("9"),
        Put(OBJ),
    ),
    "a deletion is dropped": (
        Streaming("8"),
        Changed("DELETED", OBJ),
        Streaming("9"),
        Drop(OBJ),
    ),
    "a bookmark only advances": (Streaming("8"), Bookmark("11"), Streaming("11"), None),
    "a long stream that ended is opened again at once": (
        Streaming("8"),
        Ended(240.0, 0),
        Streaming("8"),
        None,
    ),
    "a short stream with events is opened again at once": (
        Streaming("8"),
        Ended(0.2, 1),
        Streaming("8"),
        None,
    ),
    "a short stream without events backs off": (
        Streaming("8"),
        Ended(0.2, 0),
        Waiting(then=Streaming("8")),
        None,
    ),
    "a stream from a version that is gone lists again": (
        Streaming("8"),
        Failed(GONE),
        Listing(),
        None,
    ),
    "a throttled stream is opened again without a list": (
        Streaming("8"),
        Failed(THROTTLED),
        Waiting(then=Streaming("8"), seconds=7.0),
        None,
    ),
    "a broken or mute stream is opened again without a list": (
        Streaming("8"),
        Failed(UNREACHABLE),
        Waiting(then=Streaming("8")),
        None,
    ),
    "a stream that fails otherwise lists from where it was": (
        Streaming("8"),
        Failed(FAULT),
        Waiting(then=Listing("8")),
        None,
    ),
    "a stream of garbage lists from where it was": (
        Streaming("8"),
        Failed(INVALID),
        Waiting(then=Listing("8")),
        None,
    ),
    "a forbidden stream waits for a person": (
        Streaming("8"),
        Failed(REFUSED),
        Blocked(REFUSED),
        None,
    ),
    "a wait leads to where it was going": (
        Waiting(then=Streaming("8"), seconds=7.0),
        Slept(),
        Streaming("8"),
        None,
    ),
    "a block is tried again from a list": (Blocked(REFUSED), Slept(), Listing(), None),
    "sleep ends a stream": (Streaming("8"), Woke(), Listing(), None),
    "sleep ends a wait": (Waiting(then=Streaming("8")), Woke(), Listing(), None),
    "sleep ends a list": (Listing("3"), Woke(), Listing(), None),
    "sleep ends a block": (Blocked(REFUSED), Woke(), Listing(), None),
    "stop ends a stream": (Streaming("8"), Stop(), Stopped(), None),
    "stop ends a list": (Listing(), Stop(), Stopped(), None),
    "stop ends a wait": (Waiting(then=Listing()), Stop(), Stopped(), None),
    "stop ends a block": (Blocked(REFUSED), Stop(), Stopped(), None),
}


@pytest.mark.parametrize(("position", "saw", "expected", "effect"), ROWS.values(), ids=list(ROWS))
def test_step_follows_the_table(
    position: Position, saw: Saw, expected: Position, effect: Effect
) -> None:
    """Each row of the table leads where it says, and does what it says."""
    assert (expected, effect) == step(position, saw)


@pytest.mark.parametrize(
    ("position", "saw"),
    [
        pytest.param(Listing(), Bookmark("1"), id="no bookmark in a list"),
        pytest.param(Streaming("8"), Slept(), id="no sleep in a stream"),
        pytest.param(Waiting(then=Listing()), Ended(1.0, 0), id="no end of a wait"),
    ],
)
def test_step_refuses_what_cannot_be_seen(position: Position, saw: Saw) -> None:
    """A report that does not belong to the position is a mistake of the caller's."""
    with pytest.raises(ValueError, match="cannot be seen while"):
        step(position, saw)


@pytest.mark.parametrize("error", [GONE, THROTTLED, UNREACHABLE, FAULT, REFUSED, EXPIRED, INVALID])
def test_step_never_empties_the_mirror_on_an_error(error: ClusterError) -> None:
    """Whatever fails, nothing is dropped: absence is only believed from a list or a deletion."""
    for position in (Listing(), Listing("3"), Streaming("8")):
        _, effect = step(position, Failed(error))
        assert effect is None
