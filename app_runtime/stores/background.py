"""Two threads for what no request waits for: settling with the cache, and looking at the epoch.

Both begin with the first work and sleep without any. It changes with how such work is queued.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from jac_converge.app_runtime.stores.cache import CacheDown, Settlement

__all__ = ["Background", "Threads"]

logger = logging.getLogger(__name__)

WAITING = 10_000  # settlements at most; what comes then is forgotten, which costs misses
AT_ONCE = 100  # settlements in one round trip
LAST_WORDS = 1.0  # s to settle at the end


class Background(Protocol):
    """What is done when no request waits for it."""

    def settle(self, settlement: Settlement) -> None:
        """Send it to the cache, or forget it."""
        ...

    def soon(self, task: Callable[[], None]) -> None:
        """Run a task, unless one is waiting; one that is running may have begun too early."""
        ...

    def close(self) -> None:
        """Send what is there, for a moment, and end."""
        ...


class Threads:
    """A `Background` of daemon threads."""

    def __init__(self, settle: Callable[[Sequence[Settlement]], None]) -> None:
        """Wait for work.

        Args:
            settle: sends settlements; raises `CacheDown` where it cannot.
        """
        self._send = settle
        self._settlements: queue.Queue[Settlement | None] = queue.Queue(WAITING)
        self._tasks: queue.Queue[Callable[[], None] | None] = queue.Queue(1)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._closed = False

    def settle(self, settlement: Settlement) -> None:
        """Queue a settlement."""
        self._start()
        try:
            self._settlements.put_nowait(settlement)
        except queue.Full:
            return  # its hold or lease ends by itself

    def soon(self, task: Callable[[], None]) -> None:
        """Queue a task, unless one is waiting."""
        self._start()
        try:
            self._tasks.put_nowait(task)
        except queue.Full:
            return  # it is the same task

    def close(self) -> None:
        """Send what is queued, for a moment, and end; idempotent."""
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, []
        if not threads:
            return
        for waiting in (self._settlements, self._tasks):
            try:
                waiting.put(None, timeout=LAST_WORDS)
            except queue.Full:
                continue  # a daemon thread ends with us
        for thread in threads:
            thread.join(LAST_WORDS)

    def _start(self) -> None:
        if self._threads or self._closed:
            return
        with self._lock:
            if self._threads or self._closed:
                return
            for name, run in (("cache-settle", self._settle_all), ("cache-look", self._run_all)):
                thread = threading.Thread(target=run, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _settle_all(self) -> None:
        while (first := self._settlements.get()) is not None:
            batch, more = self._gather(first)
            try:
                self._send(batch)
            except CacheDown:
                pass  # said by the cache; holds and leases just end
            except Exception:
                # Nobody would start this thread again, and the cache would stay cold for good.
                logger.exception("cache: %d settlements failed and are forgotten", len(batch))
            if not more:
                return

    def _gather(self, first: Settlement) -> tuple[list[Settlement], bool]:
        """Take what else is queued; returns it, and whether there may be more."""
        batch = [first]
        while len(batch) < AT_ONCE:
            try:
                following = self._settlements.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, False
            batch.append(following)
        return batch, True

    def _run_all(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except Exception:
                logger.exception("cache: looking at the epoch failed; the next request asks again")
