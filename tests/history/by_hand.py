"""Histories made by hand, for the tests of those who judge them."""

from collections.abc import Mapping

from tests.history.checker import Anomaly
from tests.history.history import NOBODY, Operation, Outcome

__all__ = ["FAIL", "OK", "UNKNOWN", "did", "last", "names"]

OK, FAIL, UNKNOWN = Outcome.OK, Outcome.FAIL, Outcome.UNKNOWN
LATE = 1000.0
Lists = Mapping[str, tuple[int, ...]]
Numbers = Mapping[str, int]


def did(
    at: float,
    appends: Lists | None = None,
    lists: Lists | None = None,
    *,
    adds: Numbers | None = None,
    numbers: Numbers | None = None,
    outcome: Outcome = OK,
    until: float | None = None,
    client: int = 0,
) -> Operation:
    """Make an operation that took a moment, unless it is said until when."""
    return Operation(
        client=client,
        kind="call",
        invoked=at,
        completed=at + 0.5 if until is None else until,
        outcome=outcome,
        appends=appends or {},
        adds=adds or {},
        lists=lists or {},
        numbers=numbers or {},
    )


def last(lists: Lists | None = None, numbers: Numbers | None = None) -> Operation:
    """Make the look of nobody at the end."""
    return did(LATE, lists=lists, numbers=numbers, client=NOBODY)


def names(anomalies: list[Anomaly]) -> set[str]:
    """Return what was found."""
    return {anomaly.name for anomaly in anomalies}
