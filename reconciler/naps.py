"""Whether the machine was asleep: its wall clock went on meanwhile, and the monotonic one did not.

It changes when sleep is to be noticed by something else.
"""

from collections.abc import Callable
from typing import Final

__all__ = ["Naps"]

NAP: Final = 30.0
"""Seconds that the wall clock may run ahead of the monotonic one before it means sleep."""


class Naps:
    """Looks at both clocks, from its making on.

    Args:
        clock: monotonic seconds.
        wall: seconds since the epoch.
    """

    def __init__(self, *, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._clock = clock
        self._wall = wall
        self._ahead = wall() - clock()

    def minutes(self) -> float:
        """How long the machine slept since the latest look; 0 when it did not."""
        before, self._ahead = self._ahead, self._wall() - self._clock()
        slept = self._ahead - before
        return slept / 60 if slept > NAP else 0.0
