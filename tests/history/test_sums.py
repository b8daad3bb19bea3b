"""Counters and banks are judged by what was acknowledged; the bad ones are made by hand."""

import pytest

from tests.history.by_hand import FAIL, OK, UNKNOWN, did, last, names
from tests.history.history import History, Operation, Outcome
from tests.history.sums import check_bank, check_counter


def counted(at: float, number: int | None, outcome: Outcome = OK, until: float = 0) -> Operation:
    """Make an increment that left the counter at a number."""
    numbers = {} if number is None else {"n": number}
    return did(at, adds={"n": 1}, numbers=numbers, outcome=outcome, until=until or at + 0.5)


@pytest.mark.parametrize(
    ("expected", "operations"),
    [
        pytest.param(set(), [counted(1, 1), counted(2, 2), last(numbers={"n": 2})], id="good"),
        pytest.param(
            set(),
            [counted(1, None, UNKNOWN), counted(2, None, FAIL), counted(3, 2),
             counted(3, None, UNKNOWN), last(numbers={"n": 3})],
            id="unknown-ones-may-count",
        ),
        pytest.param(
            {"lost update"},
            [counted(1, 1, until=3), counted(2, 1, until=4), last(numbers={"n": 2})],
            id="two-counted-to-one",
        ),
        pytest.param(
            {"stale read"},
            [counted(1, 1), counted(2, 2), last(numbers={"n": 1})],
            id="fewer-than-acknowledged",
        ),
        pytest.param(
            {"value from nowhere"},
            [counted(1, 1), counted(2, None, FAIL), last(numbers={"n": 2})],
            id="refused-and-counted",
        ),
        pytest.param(
            {"stale read"},
            [counted(1, None, UNKNOWN), did(2, numbers={"n": 1}), did(3, numbers={"n": 0}),
             last(numbers={"n": 1})],
            id="back-to-before",
        ),
        pytest.param({"unread"}, [counted(1, 1)], id="nobody-looked"),
    ],
)  # fmt: skip
def test_counter_is_judged(expected: set[str], operations: list[Operation]) -> None:
    """It counts each acknowledged increment, perhaps the unknown ones, and no other."""
    assert expected == names(check_counter(History.of(operations), "n"))


def moved(at: float, number: int, outcome: Outcome = OK) -> Operation:
    """Make a transfer of 5 from a to b."""
    entries = {"a": (number,), "b": (number,)}
    return did(at, entries, adds={"a": -5, "b": 5}, outcome=outcome)


@pytest.mark.parametrize(
    ("expected", "operations"),
    [
        pytest.param(
            set(),
            [moved(1, 1), moved(2, 2, UNKNOWN), last({"a": (1,), "b": (1,)}, {"a": 5, "b": 15})],
            id="good",
        ),
        pytest.param(
            {"wrong balance", "wrong sum"},
            [moved(1, 1), last({"a": (1,), "b": (1,)}, {"a": 5, "b": 10})],
            id="entered-but-not-added",
        ),
        pytest.param(
            {"wrong sum"},
            [moved(1, 1, UNKNOWN), last({"a": (1,), "b": ()}, {"a": 5, "b": 10})],
            id="half-a-transfer",
        ),
        pytest.param(
            {"wrong balance"},
            [moved(1, 1), did(2, lists={"a": (1,)}, numbers={"a": 10}),
             last({"a": (1,), "b": (1,)}, {"a": 5, "b": 15})],
            id="wrong-for-a-while",
        ),
        pytest.param({"unread"}, [moved(1, 1)], id="nobody-looked"),
    ],
)  # fmt: skip
def test_bank_is_judged(expected: set[str], operations: list[Operation]) -> None:
    """Balances follow from the transfers that are entered, and nothing is made or lost."""
    assert expected == names(check_bank(History.of(operations), ("a", "b"), opening=10))
