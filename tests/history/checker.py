"""Judge a history: pure functions from what clients saw to what should not have been possible.

Unique values that are appended to lists make a history tell its own order, which is the idea of
Elle (Kingsbury and Alvaro, VLDB 2020): a list that somebody reads names every write that made it,
and in which order they came. So no clock has to be trusted for the order of writes, and nothing
has to be guessed. What is looked for here, for each list:

- *incompatible order*: two reads of which neither begins with the other. Versions of a list only
  grow at the end; where they fork, one writer did not see the other.
- *lost update*: an acknowledged append that the last look does not find.
- *duplicate append*: a value that is there twice, such as by a replay of what was written already.
- *dirty read*: a value of a call that was refused. "Nothing was stored" was not true, or not yet.
- *value from nowhere*: one that nobody appended.
- *intermediate read*: a list that ends, or goes on with somebody else's, between two values that
  one call appended together.
- *torn commit*: one call appended to two lists, and the last look finds it in one of them only.
- *own write unseen*: a call whose own appends are not the end of what it saw afterwards.
- *stale read*: a look that began after something was acknowledged, or seen by a look that had
  ended, and does not see it.
- *unread*: nobody looked after the last append was acknowledged, so nothing of it is proved.

What follows from several lists together is in `cycles`, what is counted in `sums`. Not looked for:
write skew. A commit compares what it changes, not what it only read, and nobody is told otherwise.
"""

import bisect
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from tests.history.history import NOBODY, History, Operation, Outcome

__all__ = ["Anomaly", "check_lists", "own_suffix", "version_orders"]

SHOWN = 8  # values of a list that a message has
Known = tuple[float, int, Operation]
"""From when on, at least how many values of a list, and from whom."""


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One thing that should not have been possible."""

    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


def check_lists(history: History) -> list[Anomaly]:
    """Judge every list of a history, each by itself and the last look at all of them."""
    orders = version_orders(history)
    return [
        *_orders_agree(history, orders),
        *_values_are_right(history, orders),
        *_own_writes_are_seen(history),
        *_appends_stay_together(history, orders),
        *_commits_are_whole(history),
        *_looks_are_fresh(history, orders),
    ]


def version_orders(history: History) -> dict[str, tuple[int, ...]]:
    """Return the longest read of each list: of honest lists, all other reads are its beginnings."""
    orders: dict[str, tuple[int, ...]] = {}
    for operation in history:
        for key in operation.appends:
            orders.setdefault(key, ())
        for key, seen in operation.lists.items():
            if key not in orders or len(seen) > len(orders[key]):
                orders[key] = seen
    return orders


def own_suffix(operation: Operation, key: str) -> int:
    """Return how many values at the end of what it saw are its own."""
    own = operation.appends.get(key, ())
    return len(own) if own and operation.lists[key][-len(own) :] == own else 0


def _orders_agree(history: History, orders: Mapping[str, tuple[int, ...]]) -> Iterator[Anomaly]:
    for operation in history:
        for key, seen in operation.lists.items():
            if orders[key][: len(seen)] != seen:
                fork = next(i for i, value in enumerate(seen) if value != orders[key][i])
                text = (
                    f"{operation} saw {key[:6]} go on with {_some(seen[fork:])} after {fork} values"
                    f", others with {_some(orders[key][fork:])}"
                )
                yield Anomaly("incompatible order", text)


def _values_are_right(history: History, orders: Mapping[str, tuple[int, ...]]) -> Iterator[Anomaly]:
    """Look at every value of every read that is not just a beginning of the longest one."""
    writers = {
        (key, value): operation
        for operation in history
        for key, values in operation.appends.items()
        for value in values
    }
    told = set()
    reads = [(key, order) for key, order in orders.items()]
    reads += [
        (key, seen)
        for operation in history
        for key, seen in operation.lists.items()
        if orders[key][: len(seen)] != seen
    ]
    for key, seen in reads:
        for value, times in Counter(seen).items():
            writer = writers.get((key, value))
            if writer is None:
                found = Anomaly("value from nowhere", f"{value} in {key[:6]}")
            elif writer.outcome is Outcome.FAIL:
                found = Anomaly("dirty read", f"{value} in {key[:6]}, of the refused {writer}")
            elif times > 1:
                found = Anomaly("duplicate append", f"{value} is {times} times in {key[:6]}")
            else:
                continue
            if found not in told:
                told.add(found)
                yield found


def _own_writes_are_seen(history: History) -> Iterator[Anomaly]:
    for operation in history.having(Outcome.OK):
        for key, own in operation.appends.items():
            if key in operation.lists and own and not own_suffix(operation, key):
                text = f"{operation} saw {key[:6]} end with {_some(operation.lists[key][-SHOWN:])}"
                yield Anomaly("own write unseen", text)


def _appends_stay_together(
    history: History, orders: Mapping[str, tuple[int, ...]]
) -> Iterator[Anomaly]:
    """Look between the values that one call appends to one list."""
    inner = set()  # those that no list may end with, for their call appended more behind them
    for operation in history:
        for key, own in operation.appends.items():
            inner |= {(key, value) for value in own[:-1]}
            at = orders[key].index(own[0]) if own and own[0] in orders[key] else None
            if at is not None and orders[key][at : at + len(own)] != own:
                text = f"{_some(orders[key][at:])} in {key[:6]}, of {operation}"
                yield Anomaly("intermediate read", text)
    for operation in history:
        for key, seen in operation.lists.items():
            if seen and (key, seen[-1]) in inner:
                text = f"{operation} saw {key[:6]} end with {seen[-1]}, half of an append"
                yield Anomaly("intermediate read", text)


def _commits_are_whole(history: History) -> Iterator[Anomaly]:
    """Look for calls of which the last look finds a part."""
    last: dict[str, set[int]] = {}
    for operation in history:
        if operation.client == NOBODY:
            last |= {key: set(seen) for key, seen in operation.lists.items()}
    for operation in history:
        found = {
            key: all(value in last[key] for value in own)
            for key, own in operation.appends.items()
            if key in last and own
        }
        if len(set(found.values())) > 1:
            there = ", ".join(key[:6] for key, is_there in found.items() if is_there)
            yield Anomaly("torn commit", f"{operation} is in {there} only")


def _looks_are_fresh(history: History, orders: Mapping[str, tuple[int, ...]]) -> Iterator[Anomaly]:
    for key, order in orders.items():
        looks = [operation for operation in history.having(Outcome.OK) if key in operation.lists]
        appends = [
            operation for operation in history.having(Outcome.OK) if key in operation.appends
        ]
        yield from _lost(key, looks, appends)
        yield from _stale(key, order, looks, appends)


def _lost(key: str, looks: list[Operation], appends: list[Operation]) -> Iterator[Anomaly]:
    """Look for what the last look, and so nobody after it, finds."""
    last = max(looks, key=lambda look: look.invoked, default=None)
    there = set(last.lists[key]) if last is not None else set()
    for writer in appends:
        if last is None or last.invoked <= writer.completed:
            yield Anomaly("unread", f"nobody looked at {key[:6]} after {writer}")
            continue
        for value in writer.appends[key]:
            if value not in there:
                yield Anomaly("lost update", f"{value} is not in {key[:6]}, of {writer}")


def _stale(
    key: str, order: tuple[int, ...], looks: list[Operation], appends: list[Operation]
) -> Iterator[Anomaly]:
    """Compare each look with everything that was known before it began.

    What is known of a list only grows, so of all that had ended by then the longest counts.
    """
    places = {value: place for place, value in enumerate(order, start=1)}
    known = [(look.completed, len(look.lists[key]), look) for look in looks]
    known += [
        (writer.completed, places[value], writer)
        for writer in appends
        for value in writer.appends[key]
        if value in places
    ]
    known.sort(key=lambda end: end[0])
    times = [end[0] for end in known]
    longest = list(accumulate(known, _longer))
    for look in looks:
        before = bisect.bisect_left(times, look.invoked)
        if before and len(look.lists[key]) < longest[before - 1][1]:
            _, length, source = longest[before - 1]
            text = (
                f"{look} saw {len(look.lists[key])} values of {key[:6]}; "
                f"{source} had shown {length}"
            )
            yield Anomaly("stale read", text)


def _longer(one: Known, two: Known) -> Known:
    return two if two[1] > one[1] else one


def _some(values: tuple[int, ...]) -> str:
    more = ", ..." if len(values) > SHOWN else ""
    return f"[{', '.join(map(str, values[:SHOWN]))}{more}]"
