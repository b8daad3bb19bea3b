"""A pool of threads that is as wide as the calls in it wait.

Python runs one thread at a time. Where calls compute, every thread too many only hands the
interpreter back and forth: 32 threads read the shelf half as fast as one. Where calls wait, for a
database or for their own `sleep`, every thread too few leaves the processor idle. So the pool
starts narrow, looks at how busy the processor is while it has work, and follows.
It changes with that policy.
"""

import asyncio
import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

__all__ = ["Pool"]

NARROW = 1  # threads; a second one costs 12 % of the reads from the shelf
LOOK = 0.005  # s between looks
IDLE, BUSY = 0.7, 0.9
"""Shares of a look that this process was on a processor: below, calls wait; above, they compute."""


class Pool:
    """Threads for the calls that event loops hand over."""

    def __init__(
        self, widest: int, name: str, *, processor: Callable[[], float] = time.process_time
    ) -> None:
        """Describe the pool; threads start when they are needed.

        Args:
            widest: threads at most.
            name: of the threads.
            processor: s of processor time that this process has used.
        """
        self._threads = ThreadPoolExecutor(widest, thread_name_prefix=name)
        self._widest, self._processor = widest, processor
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._width = NARROW
        self._threads_at_work = 0
        self._done = 0
        self._looking = False
        self.running = 0
        """Calls that are at work now, whether somebody still waits for them or not."""

    @property
    def waiting(self) -> int:
        """Calls that no thread has taken yet."""
        return len(self._waiting)

    async def run[T](self, function: Callable[..., T], *args: Any) -> T:
        """Run a function in a thread, with the context of the caller.

        A StopIteration comes back as a RuntimeError: no future takes it, and its caller would wait
        for ever.
        """
        context = contextvars.copy_context()
        future: Future[T] = Future()
        with self._lock:
            self._waiting.append((future, lambda: context.run(function, *args)))
            self._fill()
            look = not self._looking and self._short
            self._looking |= look
        if look:
            # A thread, not an event loop: that may stand still while its app computes.
            threading.Thread(target=self._keep_looking, name="pool-width", daemon=True).start()
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Take no more work and forget what has not begun; what runs may end or die with us."""
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
        for future, _ in waiting:
            future.cancel()
        self._threads.shutdown(wait=False)

    def _fill(self) -> None:
        for _ in range(min(self._width - self._threads_at_work, len(self._waiting))):
            self._threads_at_work += 1
            self._threads.submit(self._work)

    def _work(self) -> None:
        while (job := self._next()) is not None:
            future, call = job
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - it is raised where the call came from
                self._finish()
                future.set_exception(_raisable(error))
            else:
                self._finish()
                future.set_result(result)
            del job, future, call  # until the next job, they would keep a result alive

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        with self._lock:
            while self._waiting and self._threads_at_work <= self._width:
                job = self._waiting.popleft()
                if job[0].set_running_or_notify_cancel():
                    self.running += 1
                    return job
            self._threads_at_work -= 1
            return None

    def _finish(self) -> None:
        with self._lock:
            self.running -= 1
            self._done += 1

    def _keep_looking(self) -> None:
        again = True
        while again:
            began, used, done = time.monotonic(), self._processor(), self._done
            time.sleep(LOOK)
            again = self._look(began, used, done)

    def _look(self, began: float, used: float, done: int) -> bool:
        """Widen or narrow the pool by what the process did since; return whether to look again."""
        share = (self._processor() - used) / (time.monotonic() - began)
        with self._lock:
            if self._waiting and (share < IDLE or self._done == done):
                self._width = min(self._widest, self._width * 2)
            elif share > BUSY:
                self._width = max(NARROW, self._width * 3 // 4)
            self._fill()
            self._looking = self._short or self._threads_at_work > NARROW
            return self._looking

    @property
    def _short(self) -> bool:
        """Whether a call waits that no thread is on its way to."""
        return len(self._waiting) > self._threads_at_work - self.running


def _raisable(error: BaseException) -> BaseException:
    if not isinstance(error, StopIteration):
        return error
    made = RuntimeError(f"StopIteration: {error.value}")
    made.__cause__ = error
    return made
