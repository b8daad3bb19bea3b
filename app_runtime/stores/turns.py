"""Turns among calls that lost a race for the same document.

Of many that run again at once, one wins and the others have run in vain: 64 clients of one counter
spend 64 runs on each increment. So calls of one process that lost the same race run one by one.
Other processes take their chances, as do calls that have lost nothing yet.
It changes with what is fair among them.
"""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager

__all__ = ["Turns"]

LOCKS = 256
PATIENCE = 1.0  # s; one that runs for longer does not hold up who may be done at once


class Turns:
    """The queues before contested documents."""

    def __init__(self) -> None:
        # Few enough to keep for ever; two documents that share one cost a wait, never a result.
        self._locks = tuple(threading.Lock() for _ in range(LOCKS))

    @contextmanager
    def of(self, contested: Collection[str]) -> Iterator[None]:
        """Wait for one's turn, for a while, and have it inside; at once where nothing was lost."""
        if not contested:
            yield
            return
        # One lock of one document is enough to take turns, and two could be waited for crosswise.
        lock = self._locks[hash(min(contested)) % LOCKS]
        mine = lock.acquire(timeout=PATIENCE)
        try:
            yield
        finally:
            if mine:
                lock.release()
