"""How fast one loop may ask: a token bucket over its single requests.

A loop that goes wrong, or a storm of foreign edits, must not become a storm at the API server. What
comes seldom, such as the heal of one edit, never waits. It comes on top of every other wait: a
Retry-After is kept to first.
"""

from collections.abc import Callable
from threading import Lock
from typing import Final

__all__ = ["BURST", "RATE", "Pace"]

RATE: Final = 50.0
"""Requests per second, in the long run."""

BURST: Final = 100
"""Requests that may go at once after a quiet time."""


class Pace:
    """Calling it waits until the next request may go; in the order of the calls.

    Args:
        clock: monotonic seconds.
        wait: sleeps for some seconds, or less: a stop event's `wait`.
    """

    def __init__(self, *, clock: Callable[[], float], wait: Callable[[float], object]) -> None:
        self._clock = clock
        self._wait = wait
        self._lock = Lock()
        self._tokens = float(BURST)
        self._at = clock()

    def __call__(self) -> None:
        """Take a token; one that is not there yet is waited for."""
        with self._lock:
            now = self._clock()
            self._tokens = min(BURST, self._tokens + (now - self._at) * RATE) - 1.0
            self._at = now
            missing = -self._tokens
        if missing > 0:
            self._wait(missing / RATE)
