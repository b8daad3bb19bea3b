"""Turns among calls that lost a race for the same document.

Of many that run again at once, one wins and the others have run in vain: 64 clients of one counter
spend 64 runs on each increment. So calls of one process that lost the same race run one by one.
Other processes take their chances, as do calls that have lost nothing yet.
It changes with what is fair among them.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager

__all__ = ["AsyncTurns", "Turns"]

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
        lock = self._locks[_place(contested)]
        mine = lock.acquire(timeout=PATIENCE)
        try:
            yield
        finally:
            if mine:
                lock.release()


class AsyncTurns:
    """The same for the tasks of one event loop, which no lock of threads may stop."""

    def __init__(self) -> None:
        self._locks = tuple(asyncio.Lock() for _ in range(LOCKS))

    @asynccontextmanager
    async def of(self, contested: Collection[str]) -> AsyncIterator[None]:
        """Wait for one's turn, for a while, and have it inside; at once where nothing was lost."""
        if not contested:
            yield
            return
        lock, mine = self._locks[_place(contested)], False
        try:
            async with asyncio.timeout(PATIENCE):
                mine = await lock.acquire()
        except TimeoutError:
            pass  # whoever has it takes too long to be waited for
        try:
            yield
        finally:
            if mine:
                lock.release()


def _place(contested: Collection[str]) -> int:
    # One lock of one document is enough to take turns, and two could be waited for crosswise.
    return hash(min(contested)) % LOCKS
