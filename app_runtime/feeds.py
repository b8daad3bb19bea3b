"""Generators of the app as streams: who drives them, and who ends them when nobody listens.

A synchronous generator gets a thread for each item, of a pool of its own: a feed may wait for hours
between two items, and calls must not wait for it. An asynchronous one runs on the loop of its
walkers. It changes with the policy for what outlives the call that began it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable

from jac_converge.app_runtime.bridge.memory import TooLate
from jac_converge.app_runtime.bridge.streaming import Stream
from jac_converge.app_runtime.pool import Pool

__all__ = ["Feeds"]

logger = logging.getLogger(__name__)

THREADS = 256  # a synchronous generator that waits for its next item holds one


class Feeds:
    """The streams of one process."""

    def __init__(self, walker_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        """Begin with none.

        Args:
            walker_loop: gives the loop of asynchronous walkers.
        """
        self._walker_loop = walker_loop
        self._pool = Pool(THREADS, "stream")
        self._ending: set[asyncio.Future[None]] = set()

    @property
    def running(self) -> int:
        """Threads that are at work for an item."""
        return self._pool.running

    def close(self) -> None:
        """Take no more work."""
        self._pool.close()

    async def items(self, stream: Stream) -> AsyncGenerator[bytes]:
        """Yield the items of a call as JSON, for as long as it takes.

        Whoever stops asking must close this: it ends the generator of the app.

        Raises:
            BaseException: whatever the generator or its commit raised.
        """
        ended = False
        try:
            while (text := await self._next(stream)) is not None:
                yield text
            ended = True
        finally:
            if not ended:
                self._abandon(stream)

    async def _next(self, stream: Stream) -> bytes | None:
        if stream.asynchronous:
            task = asyncio.run_coroutine_threadsafe(stream.anext(), self._walker_loop())
            return await asyncio.wrap_future(task)
        return await self._pool.run(stream.next)

    def _abandon(self, stream: Stream) -> None:
        """End a stream without waiting: nobody is there to wait."""
        if stream.asynchronous:
            asyncio.run_coroutine_threadsafe(_told(stream.aabandon()), self._walker_loop())
            return
        stream.give_up()  # at once, even if no thread is free
        ending = asyncio.ensure_future(_told(self._pool.run(stream.abandon)))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


async def _told(ending: Awaitable[None]) -> None:
    """Wait for the end of a stream that nobody listens to; its errors are for the log."""
    try:
        await ending
    except TooLate:
        logger.debug("a generator touched its graph while it was closed")
    except Exception:
        logger.exception("a generator failed while it was closed")
