"""What a loop is made of, and whom it tells. No decision is made here.

It changes when a loop needs another collaborator.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from jac_converge.reconciler.apply import Outcome
from jac_converge.reconciler.converge import Converger
from jac_converge.reconciler.lease import Lease
from jac_converge.reconciler.render import Heal, Row
from jac_converge.reconciler.source import Source
from jac_converge.reconciler.trigger import Trigger
from jac_converge.reconciler.watch import KindWatch

__all__ = ["Parts", "View"]


class View(Protocol):
    """Where the loop tells what happens. Called from the loop's thread only."""

    def show(self, rows: tuple[Row, ...]) -> None:
        """The state of every object."""
        ...

    def applied(self, outcome: Outcome, heals: tuple[Heal, ...]) -> None:
        """What a pass wrote."""
        ...

    def say(self, message: str) -> None:
        """Something a person should know; said once, however often it is found."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a loop is made of."""

    converger: Converger
    source: Source
    trigger: Trigger
    lease: Lease
    watches: tuple[KindWatch, ...]
    view: View
    clock: Callable[[], float]
    """Monotonic seconds."""
    wall: Callable[[], float]
    """Seconds since the epoch."""
    rng: Random
    turn: AbstractContextManager[object] = field(default_factory=nullcontext)
    """Held during a pass; apps that share a process take turns."""
