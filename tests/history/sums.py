"""Judge the numbers of a history: counters that only count, accounts that only pass on.

A number does not name the calls that made it, so a counter is judged by bounds, and by this: each
increment that was acknowledged left the counter at a number of its own. An account carries the
list of its transfers, so its balance can be worked out anew at every look. It changes with what
the workloads count.
"""

import bisect
from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import accumulate

from tests.history.checker import Anomaly
from tests.history.history import NOBODY, History, Operation, Outcome

__all__ = ["check_bank", "check_counter"]


def check_counter(history: History, key: str) -> list[Anomaly]:
    """Judge a counter that began with 0 and is incremented by 1."""
    found = [*_numbers_are_unique(history, key), *_numbers_are_possible(history, key)]
    return found or list(_last_number_is_right(history, key))


def check_bank(history: History, accounts: Collection[str], *, opening: int) -> list[Anomaly]:
    """Judge accounts that began with the same balance and no transfers.

    Their lists are judged by `check_lists`: there is one entry per transfer in both, or in none.
    """
    return [
        *_balances_follow_from_entries(history, accounts, opening),
        *_nothing_is_made_or_lost(history, accounts, opening),
    ]


def _numbers_are_unique(history: History, key: str) -> Iterator[Anomaly]:
    holders: dict[int, Operation] = {}
    for operation in history.having(Outcome.OK):
        if key in operation.adds and key in operation.numbers:
            number = operation.numbers[key]
            other = holders.setdefault(number, operation)
            if other is not operation:
                yield Anomaly("lost update", f"{operation} and {other} both counted to {number}")


def _numbers_are_possible(history: History, key: str) -> Iterator[Anomaly]:
    """Compare each look with the increments that must, and those that may, be in it."""
    increments = [operation for operation in history if key in operation.adds]
    begun = sorted(
        operation.invoked for operation in increments if operation.outcome is not Outcome.FAIL
    )
    ended = sorted(
        operation.completed for operation in increments if operation.outcome is Outcome.OK
    )
    looks = [operation for operation in history.having(Outcome.OK) if key in operation.numbers]
    looks.sort(key=lambda operation: operation.completed)
    times = [operation.completed for operation in looks]
    highest = list(accumulate((operation.numbers[key] for operation in looks), max))
    for operation in looks:
        seen = operation.numbers[key]
        must = bisect.bisect_left(ended, operation.invoked) + operation.adds.get(key, 0)
        may = bisect.bisect_right(begun, operation.completed)
        before = bisect.bisect_left(times, operation.invoked)
        shown = highest[before - 1] if before else 0
        if seen < max(must, shown):
            text = f"{operation} saw {seen}; {must} were counted, and {shown} was seen, before"
            yield Anomaly("stale read", text)
        if seen > may:
            yield Anomaly("value from nowhere", f"{operation} saw {seen}; only {may} had begun")


def _last_number_is_right(history: History, key: str) -> Iterator[Anomaly]:
    last = max((operation.completed for operation in history.having(Outcome.OK)
                if key in operation.adds), default=None)  # fmt: skip
    looks = [operation for operation in history.having(Outcome.OK)
             if key in operation.numbers and operation.client == NOBODY]  # fmt: skip
    if last is not None and not any(look.invoked > last for look in looks):
        yield Anomaly("unread", f"nobody looked at {key[:6]} after the last increment")


def _balances_follow_from_entries(
    history: History, accounts: Collection[str], opening: int
) -> Iterator[Anomaly]:
    moved: dict[str, dict[int, int]] = defaultdict(dict)
    for operation in history:
        for key, amount in operation.adds.items():
            for number in operation.appends.get(key, ()):
                moved[key][number] = amount
    for operation in history.having(Outcome.OK):
        for key in operation.numbers.keys() & set(accounts):
            entries = operation.lists[key]
            right = opening + sum(moved[key].get(number, 0) for number in entries)
            if operation.numbers[key] != right:
                text = (
                    f"{operation} saw a balance of {operation.numbers[key]} in {key[:6]}, "
                    f"whose {len(entries)} transfers make {right}"
                )
                yield Anomaly("wrong balance", text)


def _nothing_is_made_or_lost(
    history: History, accounts: Collection[str], opening: int
) -> Iterator[Anomaly]:
    """Look at the sums of the last looks: while transfers run, a look may be between two reads."""
    right, looks = opening * len(accounts), 0
    for operation in history.having(Outcome.OK):
        if operation.client != NOBODY or not operation.numbers.keys() >= set(accounts):
            continue
        looks += 1
        total = sum(operation.numbers[key] for key in accounts)
        if total != right:
            yield Anomaly("wrong sum", f"{operation} found {total} in all accounts, not {right}")
    if not looks:
        yield Anomaly("unread", "nobody looked at all accounts at the end")
