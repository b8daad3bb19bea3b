"""The judges know a good history from a bad one: every bad one here was made by hand."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.history.by_hand import FAIL, OK, UNKNOWN, did, last, names
from tests.history.checker import check_lists
from tests.history.cycles import check_cycles
from tests.history.history import History, Operation

GOOD = [
    did(1, {"x": (1,)}, {"x": (1,)}),
    did(2, {"x": (2,), "y": (3, 4)}, {"x": (1, 2), "y": (3, 4)}),
    did(3, {"x": (5,)}, outcome=FAIL),
    did(4, {"x": (6,), "y": (7,)}, outcome=UNKNOWN),
    did(4, {"y": (8,)}, outcome=UNKNOWN),
    did(5, lists={"x": (1, 2)}),
    did(6, lists={"x": (1, 2, 6), "y": (3, 4, 7)}),
    last({"x": (1, 2, 6), "y": (3, 4, 7)}),
]


def test_good_history_passes() -> None:
    """Refused calls never happened, unknown ones may have, and looks at once may differ."""
    assert [] == check_lists(History.of(GOOD))
    assert [] == check_cycles(History.of(GOOD))


@pytest.mark.parametrize(
    ("expected", "operations"),
    [
        pytest.param(
            {"lost update"},
            [did(1, {"x": (1,)}), did(2, {"x": (2,)}), last({"x": (2,)})],
            id="lost-in-silence",
        ),
        pytest.param(
            {"lost update", "incompatible order"},
            [
                did(1, {"x": (1,)}, {"x": (1,)}, until=3),
                did(1, {"x": (2,)}, {"x": (2,)}, until=3),
                last({"x": (2,)}),
            ],
            id="two-that-read-the-same",
        ),
        pytest.param(
            {"lost update"},
            [did(1, {"x": (1,)}), last({"x": ()})],
            id="lost-from-an-empty-list",
        ),
        pytest.param(
            {"stale read"},
            [did(1, {"x": (1,)}, {"x": (1,)}), did(2, lists={"x": ()}), last({"x": (1,)})],
            id="older-than-acknowledged",
        ),
        pytest.param(
            {"stale read"},
            [did(1, {"x": (1,)}), did(2, lists={"x": ()}), last({"x": (1,)})],
            id="older-than-a-blind-append",
        ),
        pytest.param(
            {"stale read"},
            [
                did(1, {"x": (1,)}, outcome=UNKNOWN),
                did(2, lists={"x": (1,)}),
                did(3, lists={"x": ()}),
                last({"x": (1,)}),
            ],
            id="older-than-a-look-before",
        ),
        pytest.param(
            {"dirty read"},
            [did(1, {"x": (1,)}, outcome=FAIL), did(2, lists={"x": (1,)}), last({"x": (1,)})],
            id="refused-and-there",
        ),
        pytest.param(
            {"dirty read", "incompatible order"},
            [
                did(1, {"x": (1,)}, outcome=FAIL),
                did(2, lists={"x": (1,)}),
                did(3, {"x": (2,)}),
                last({"x": (2,)}),
            ],
            id="refused-and-seen-for-a-while",
        ),
        pytest.param({"value from nowhere"}, [last({"x": (9,)})], id="nobody-appended-it"),
        pytest.param(
            {"duplicate append"},
            [did(1, {"x": (1,)}), last({"x": (1, 1)})],
            id="twice",
        ),
        pytest.param(
            {"duplicate append"},
            [did(1, {"x": (1,)}, outcome=UNKNOWN), last({"x": (1, 1)})],
            id="unknown-twice",
        ),
        pytest.param(
            {"intermediate read"},
            [
                did(1, {"x": (1, 2)}, until=5),
                did(2, lists={"x": (1,)}),
                last({"x": (1, 2)}),
            ],
            id="half-of-an-append",
        ),
        pytest.param(
            {"intermediate read"},
            [did(1, {"x": (1, 2)}, until=5), did(1, {"x": (3,)}, until=5), last({"x": (1, 3, 2)})],
            id="another-in-between",
        ),
        pytest.param(
            {"incompatible order"},
            [
                did(1, {"x": (1,)}, outcome=UNKNOWN),
                did(1, {"x": (2,)}, outcome=UNKNOWN),
                did(2, lists={"x": (1, 2)}, until=4),
                did(2, lists={"x": (2, 1)}, until=4),
                last({"x": (1, 2)}),
            ],
            id="two-orders",
        ),
        pytest.param(
            {"torn commit"},
            [did(1, {"x": (1,), "y": (2,)}, outcome=UNKNOWN), last({"x": (1,), "y": ()})],
            id="unknown-and-half-there",
        ),
        pytest.param(
            {"torn commit", "lost update"},
            [did(1, {"x": (1,), "y": (2,)}), last({"x": (1,), "y": ()})],
            id="acknowledged-and-half-there",
        ),
        pytest.param(
            {"own write unseen", "stale read"},
            [did(1, {"x": (1,)}), did(2, {"x": (2,)}, {"x": (1,)}), did(3, lists={"x": (1,)}),
             last({"x": (1, 2)})],
            id="not-even-by-itself",
        ),
        pytest.param({"unread"}, [did(1, {"x": (1,)}, {"x": (1,)})], id="nobody-looked"),
    ],
)  # fmt: skip
def test_bad_list_is_found(expected: set[str], operations: list[Operation]) -> None:
    """By its name, and nothing else is said of it."""
    history = History.of(operations)
    assert expected == names(check_lists(history))


@pytest.mark.parametrize(
    ("expected", "operations"),
    [
        pytest.param(
            {"G0"},
            [
                did(1, {"x": (1,), "y": (2,)}),
                did(1, {"x": (3,), "y": (4,)}),
                last({"x": (1, 3), "y": (4, 2)}),
            ],
            id="writes-mixed-into-one-another",
        ),
        pytest.param(
            {"G1c"},
            [
                did(1, {"x": (1,)}, {"x": (1,), "y": (2,)}),
                did(1, {"y": (2,)}, {"y": (2,), "x": (1,)}),
                last({"x": (1,), "y": (2,)}),
            ],
            id="each-saw-the-other",
        ),
        pytest.param(
            {"G1c"},
            [
                did(1, {"x": (1,)}, {"x": (1,), "y": (3,)}),
                did(1, {"x": (2,), "y": (3,)}, {"x": (1, 2), "y": (3,)}),
                last({"x": (1, 2), "y": (3,)}),
            ],
            id="by-a-write-and-a-read",
        ),
    ],
)
def test_circle_is_found(expected: set[str], operations: list[Operation]) -> None:
    """Though each list by itself is in order."""
    history = History.of(operations)
    assert expected == names(check_cycles(history))
    assert [] == check_lists(history)


@st.composite
def serial_histories(draw: st.DrawFn) -> History:
    """Run calls one after the other on real lists; some are refused, of some nobody knows."""
    lists: dict[str, tuple[int, ...]] = {"x": (), "y": (), "z": ()}
    operations, value = [], 0
    for at in range(draw(st.integers(1, 20))):
        keys = draw(st.lists(st.sampled_from("xyz"), min_size=1, max_size=2, unique=True))
        wanted: dict[str, tuple[int, ...]] = {}
        for key in keys:
            length = draw(st.integers(1, 2))
            wanted[key] = tuple(range(value, value + length))
            value += length
        outcome = draw(st.sampled_from([OK, OK, FAIL, UNKNOWN]))
        if outcome is OK or (outcome is UNKNOWN and draw(st.booleans())):
            lists |= {key: lists[key] + own for key, own in wanted.items()}
        seen = {key: lists[key] for key in keys} if outcome is OK else {}
        operations.append(did(at, wanted, seen, outcome=outcome))
        if draw(st.booleans()):
            operations.append(did(at + 0.6, lists=dict(lists), until=at + 0.9))
    return History.of([*operations, last(dict(lists))])


@given(serial_histories())
def test_serial_history_passes(history: History) -> None:
    """Whatever is refused or unknown: one after the other is right."""
    assert [] == check_lists(history)
    assert [] == check_cycles(history)


def forget(value: int) -> Callable[[Operation], Operation]:
    """Return what takes a value out of everything that an operation saw."""

    def forgotten(operation: Operation) -> Operation:
        lists = {
            key: tuple(one for one in seen if one != value) for key, seen in operation.lists.items()
        }
        return did(
            operation.invoked, operation.appends, lists, outcome=operation.outcome,
            until=operation.completed, client=operation.client,
        )  # fmt: skip

    return forgotten


@given(serial_histories(), st.data())
def test_forgotten_value_is_always_found(history: History, data: st.DataObject) -> None:
    """However short or long: an acknowledged value that is nowhere any more is missed."""
    acknowledged = [value for operation in history.having(OK)
                    for values in operation.appends.values() for value in values]  # fmt: skip
    if acknowledged:
        value = data.draw(st.sampled_from(acknowledged))
        changed = History.of(map(forget(value), history))
        assert "lost update" in names(check_lists(changed))
