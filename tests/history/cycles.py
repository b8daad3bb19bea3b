"""Find information that flows in a circle, over all lists of a history.

Two facts say that one call came before another, without any clock:

- its value is right before the other's in some list (write before write), or
- the other saw its value as the last one of some list (write before read).

If calls take effect one after the other, such facts can all be drawn as arrows to the right. Where
they lead back to where they began, no order explains what was seen: by writes alone (Adya's G0),
calls were mixed into one another; with reads (G1c), two calls each saw the other's outcome. No list
by itself shows this, since each of them is in perfect order.

It changes with what counts as coming before.
"""

from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from tests.history.checker import Anomaly, own_suffix, version_orders
from tests.history.history import History, Outcome

__all__ = ["check_cycles"]

Arrows = dict[int, set[int]]
"""Call -> calls before it, by their places in the history."""


def check_cycles(history: History) -> list[Anomaly]:
    """Judge all lists together; of several circles, one is named."""
    writers = {
        (key, value): place
        for place, operation in enumerate(history)
        for key, values in operation.appends.items()
        for value in values
    }
    writes = _writes(history, writers)
    found = list(_circle("G0", writes, history))
    return found or list(_circle("G1c", _with_reads(history, writers, writes), history))


def _writes(history: History, writers: dict[tuple[str, int], int]) -> Arrows:
    arrows: Arrows = defaultdict(set)
    for key, order in version_orders(history).items():
        for first, second in pairwise(order):
            before, after = writers.get((key, first)), writers.get((key, second))
            if before is not None and after is not None and before != after:
                arrows[after].add(before)
    return arrows


def _with_reads(history: History, writers: dict[tuple[str, int], int], writes: Arrows) -> Arrows:
    arrows: Arrows = defaultdict(set, {after: set(before) for after, before in writes.items()})
    for place, operation in enumerate(history):
        if operation.outcome is not Outcome.OK:
            continue
        for key, seen in operation.lists.items():
            foreign = seen[: len(seen) - own_suffix(operation, key)]
            writer = writers.get((key, foreign[-1])) if foreign else None
            if writer is not None and writer != place:
                arrows[place].add(writer)
    return arrows


def _circle(name: str, arrows: Arrows, history: History) -> Iterator[Anomaly]:
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        text = " -> ".join(str(history.operations[place]) for place in error.args[1])
        yield Anomaly(name, text)
