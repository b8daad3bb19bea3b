"""What an app does outside of its graph once a commit stands: `on_commit(...)`.

An effect can be neither undone nor repeated. So it waits until the call cannot run again, and runs
at most once: never where nothing was stored, nor where nobody knows. By then the commit stands,
whatever the effect does: its errors are for the log. It changes with the promises about effects.
"""

import asyncio
import contextvars
import inspect
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from jaclang.runtimelib.context import ExecutionContext

from jac_converge.app_runtime.bridge.too_late import TooLate

__all__ = ["Effects", "RequestContext"]

logger = logging.getLogger(__name__)

type Effect = Callable[[], Any]


class Effects:
    """The effects of one call, each of which waits for a commit, and then for its turn."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Effect] = []
        self._due: deque[Effect] = deque()

    def add(self, effect: Effect) -> None:
        """Have one wait for the next commit that begins."""
        with self._lock:
            self._waiting.append(effect)

    def waiting(self) -> int:
        """Return how many wait for a commit that begins now."""
        with self._lock:
            return len(self._waiting)

    def release(self, count: int) -> None:
        """Let those that waited when a commit began run."""
        with self._lock:
            self._due += self._waiting[:count]
            del self._waiting[:count]

    def any_due(self) -> bool:
        """Return whether one may run now."""
        with self._lock:
            return bool(self._due)

    def next(self) -> Effect | None:
        """Take the one whose turn it is."""
        with self._lock:
            return self._due.popleft() if self._due else None


class RequestContext(ExecutionContext):  # type: ignore[misc] # jaclang has no types
    """jaclang's context of one request, whose effects wait for what is known to be stored."""

    def on_commit(self, callback: Effect) -> None:
        """Take an effect for after the next commit."""
        self.mem.effects.add(callback)

    def run_pending_effects(self) -> None:
        """Run the effects that are due, in the order in which they were registered.

        What one changes in the graph is committed when it ends, and effects that it registered
        follow. What one that failed has changed is taken back: it may be half of what was wanted.
        """
        memory = self.mem
        while (effect := memory.effects.next()) is not None:
            try:
                _run(effect)
                memory.flush()
            except TooLate:
                raise
            except BaseException:  # not even one that ends a process can undo a commit
                memory.take_back()
                logger.exception("an on_commit effect failed; what was committed before it stands")


def _run(effect: Effect) -> None:
    result = effect()
    if inspect.isawaitable(result):
        _wait_for(result)


def _wait_for(result: Any) -> None:
    """Run what an asynchronous effect gave; the loop of this thread may be that of its walker."""
    failed: list[BaseException] = []

    async def wait() -> None:
        await result

    def run() -> None:
        try:
            asyncio.run(wait())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            failed.append(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(run,), name="effect", daemon=True)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
