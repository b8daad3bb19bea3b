"""What clients did and saw, as records that a checker can judge long after the servers are gone.

Every record has one shape, whatever the app calls it: lists that were appended to, numbers that
were added to. It changes when a workload does something that neither describes.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

__all__ = ["NOBODY", "History", "Operation", "Outcome"]

NOBODY = -1
"""The client that looks at everything once the others are done."""


class Outcome(Enum):
    """What is known about an operation that ended."""

    OK = "ok"
    """Acknowledged: it happened, once."""
    FAIL = "fail"
    """Refused: it never happens."""
    UNKNOWN = "unknown"
    """Nobody answered: it happened once, will still happen once, or never does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One call of one client; keys are ids of nodes."""

    client: int
    kind: str
    """The walker, for people."""
    invoked: float
    """s of a monotonic clock, taken before the first byte was sent."""
    completed: float = math.inf
    """s of the same clock, taken after the answer; infinite where there was none."""
    outcome: Outcome
    appends: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """What it appends to each list, in this order; a value is used once in a history."""
    adds: Mapping[str, int] = field(default_factory=dict)
    """What it adds to each number."""
    lists: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """What it saw of each list, its own appends included. Empty unless it was acknowledged."""
    numbers: Mapping[str, int] = field(default_factory=dict)
    """What it saw of each number, its own additions included."""

    def __str__(self) -> str:
        who = "the last look" if self.client == NOBODY else f"client {self.client}"
        wrote = "".join(f" {key[:6]}+{list(values)}" for key, values in self.appends.items())
        return f"{self.kind} of {who} at {self.invoked:.3f} ({self.outcome.value}){wrote}"


@dataclass(frozen=True, slots=True)
class History:
    """All operations of a run, in the order in which they were invoked."""

    operations: tuple[Operation, ...]

    @classmethod
    def of(cls, operations: Iterable[Operation]) -> "History":
        """Put operations into order."""
        return cls(tuple(sorted(operations, key=lambda operation: operation.invoked)))

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)

    def __len__(self) -> int:
        return len(self.operations)

    def having(self, outcome: Outcome) -> Iterator[Operation]:
        """Yield the operations that ended so."""
        return (operation for operation in self.operations if operation.outcome is outcome)

    def count(self, outcome: Outcome) -> int:
        """Return how many ended so."""
        return sum(1 for _ in self.having(outcome))
