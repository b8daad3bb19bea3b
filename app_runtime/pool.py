"""A pool of threads that is as wide as the calls in it wait.

Python runs one thread at a time. Where calls compute, every thread too many only hands the
interpreter back and forth: 32 threads read the shelf half as fast as one. Where calls wait, for a
database or for their own `sleep`, every thread too few leaves the processor idle. So the pool
starts narrow, looks at how busy the processor is while it has work, and follows.
It changes with that policy.
"""

import asyncio
import contextlib
import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

__all__ = ["Pool"]

NARROW = 1  # threads; a second one costs 12 % of the reads from the shelf
LOOK = 0.005  # s between looks
IDLE, BUSY = 0.7, 0.9
"""Shares of a look that this process was on a processor: below, calls wait; above, they compute."""


@dataclass(slots=True, eq=False)
class _Job:
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    context: contextvars.Context
    function: Callable[..., Any]
    args: tuple[Any, ...]

    def tell(self, result: Any, error: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(self._settle, result, error)

    def forget(self) -> None:
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.future.cancel)

    def _settle(self, result: Any, error: BaseException | None) -> None:
        if self.future.done():
            return  # whoever waited has given up
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)


class Pool:
    """Threads for the calls that event loops hand over.

    Not an executor of the standard library: its two futures per call, and the chain between them,
    cost a small call a twentieth of its time.
    """

    def __init__(
        self, widest: int, name: str, *, processor: Callable[[], float] = time.process_time
    ) -> None:
        """Describe the pool; threads start when they are needed.

        Args:
            widest: threads at most.
            name: of the threads.
            processor: s of processor time that this process has used.
        """
        self._widest, self._name, self._processor = widest, name, processor
        self._lock = threading.Lock()
        self._waiting: deque[_Job] = deque()
        self._width = NARROW
        self._threads = 0
        self._threads_at_work = 0
        self._threads_asleep = 0
        self._wake: SimpleQueue[bool] = SimpleQueue()
        """True: there is work for one that sleeps; False: one may end."""
        self._looks: SimpleQueue[bool] = SimpleQueue()
        """The same for the thread that looks."""
        self._has_looker = False
        self._done = 0
        self._looking = self._closed = False
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

        Raises:
            RuntimeError: the pool is closed.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        job = _Job(loop, future, contextvars.copy_context(), function, args)
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is closed")
            self._waiting.append(job)
            self._fill()
            look = not self._looking and self._short
            self._looking |= look
        if look:
            self._look_again()
        return await future

    def close(self) -> None:
        """Take no more work and forget what has not begun; what runs may end or die with us."""
        with self._lock:
            closed, self._closed = self._closed, True
            waiting, self._waiting = self._waiting, deque()
            for _ in range(0 if closed else self._threads):
                self._wake.put(False)
            self._looks.put(False)
        for job in waiting:
            job.forget()

    def _fill(self) -> None:
        for _ in range(min(self._width - self._threads_at_work, len(self._waiting))):
            self._threads_at_work += 1
            if self._threads_asleep:
                self._threads_asleep -= 1
                self._wake.put(True)
            else:
                self._threads += 1
                name = f"{self._name}-{self._threads}"
                threading.Thread(target=self._serve, name=name, daemon=True).start()

    def _serve(self) -> None:
        self._work()
        while self._wake.get():
            self._work()

    def _work(self) -> None:
        job = self._next(ended=0)
        while job is not None:
            result, failure = None, None
            try:
                result = job.context.run(job.function, *job.args)
            except BaseException as error:  # noqa: BLE001 - it is raised where the call came from
                failure = _raisable(error)
            following = self._next(ended=1)
            job.tell(result, failure)
            # No result is kept alive until the next job.
            job, following, result, failure = following, None, None, None

    def _next(self, *, ended: int) -> _Job | None:
        with self._lock:
            self.running -= ended
            self._done += ended
            while self._waiting and self._threads_at_work <= self._width:
                job = self._waiting.popleft()
                if not job.future.cancelled():
                    self.running += 1
                    return job
            self._threads_at_work -= 1
            self._threads_asleep += 1
            return None

    def _look_again(self) -> None:
        if not self._has_looker:
            self._has_looker = True
            # A thread, not an event loop: that may stand still while its app computes. And the same
            # one for ever, since to start one is to wait for it.
            threading.Thread(target=self._keep_looking, name="pool-width", daemon=True).start()
        self._looks.put(True)

    def _keep_looking(self) -> None:
        while self._looks.get():
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
