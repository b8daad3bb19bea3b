"""The work queue of one key: the app. Many causes, one pass.

The first cause acts at once; what comes within 50 ms of a pass joins the next one. A cause that
arrives during a pass makes another pass afterwards (client-go's dirty and processing sets, for a
single key). A status alone changes no plan, so it waits longer, and delays nobody.
"""

from collections.abc import Callable
from threading import Condition
from typing import Final

__all__ = ["Trigger"]

GAP: Final = 0.05
"""Least seconds between the starts of two passes that plan."""

STATUS_GAP: Final = 0.1
"""Least seconds between two looks at statuses alone: nobody reads a table faster."""

STATUS: Final = "status"


class Trigger:
    """Causes to look at the world again.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changed = Condition()
        self._causes: set[str] = set()
        self._due: dict[str, float] = {}
        self._earliest = 0.0
        self._earliest_status = 0.0
        self._stopped = False

    def poke(self, cause: str) -> None:
        """Ask for a pass now."""
        with self._changed:
            self._causes.add(cause)
            self._changed.notify()

    def poke_at(self, due: float, cause: str) -> None:
        """Ask for a pass at a time (monotonic seconds); a later call for a cause replaces it."""
        with self._changed:
            self._due[cause] = due
            self._changed.notify()

    def stop(self) -> None:
        """Wake the waiter for the last time."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait(self) -> frozenset[str]:
        """Block until there is a reason for a pass.

        Returns:
            The causes since the last call; empty when stopped.
        """
        with self._changed:
            while not self._stopped:
                now = self._clock()
                for cause in [c for c, due in self._due.items() if due <= now]:
                    del self._due[cause]
                    self._causes.add(cause)
                if self._causes and now >= self._next_pass():
                    causes = frozenset(self._causes)
                    self._causes.clear()
                    self._earliest_status = now + STATUS_GAP
                    if causes != {STATUS}:
                        self._earliest = now + GAP
                    return causes
                self._changed.wait(self._seconds_until_next(now))
            return frozenset()

    def _next_pass(self) -> float:
        return self._earliest_status if self._causes == {STATUS} else self._earliest

    def _seconds_until_next(self, now: float) -> float | None:
        due = [*self._due.values(), *((self._next_pass(),) if self._causes else ())]
        return max(0.0, min(due) - now) if due else None
