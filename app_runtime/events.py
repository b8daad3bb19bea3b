"""What a generator yields, as server-sent events, until it ends or the client leaves.

`data:` has an item as JSON; `event: end` comes last, or `event: error` where it failed. It changes
with how a stream looks on the wire.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from jac_converge.app_runtime.half_closed import HANG_UP, STREAMS
from jac_converge.app_runtime.outcomes import problem_of
from jac_converge.app_runtime.problems import Problem

__all__ = ["MEDIA_TYPE", "EventStream", "gone"]

MEDIA_TYPE = "text/event-stream"
FLUSH_WITHIN = 2.0  # s in which a client has to take the last event
QUIET = 15.0  # s after which a comment tells proxies that the connection is alive
LOOK = 0.5  # s between two looks whether the server has been told to stop

END = b"event: end\ndata: {}\n\n"
ALIVE = b": still here\n\n"


class EventStream(Response):
    """A response that ends with its generator, and ends its generator."""

    media_type = MEDIA_TYPE

    def __init__(
        self,
        name: str,
        items: AsyncGenerator[bytes],
        *,
        draining: Callable[[], bool],
        watched: Callable[[Callable[[Problem], None]], AbstractContextManager[None]] | None = None,
    ) -> None:
        """Describe it.

        Args:
            name: of the walker or function.
            items: JSON; closed at the end.
            draining: says whether the server has been told to stop.
            watched: holds while the stream goes on, and is given what ends it; None: nobody may
                lose the right to it.
        """
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._name = name
        self._items = items
        self._draining = draining
        self._watched = watched
        self._ended: asyncio.Future[Problem] = asyncio.get_running_loop().create_future()
        self._waiting: asyncio.Future[bytes | None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events; without a client that listens, stop."""
        state = scope.get("state", {})
        state[STREAMS] = True
        if HANG_UP in state:  # it has sent its end already, as one does that leaves
            state[HANG_UP]()
        with self._watched(self._end) if self._watched is not None else nullcontext():
            await self._until_the_end(receive, send)

    async def _until_the_end(self, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send_all(send))
        leaving = asyncio.ensure_future(gone(receive))
        both: set[asyncio.Future[Any]] = {sending, leaving}
        first = asyncio.FIRST_COMPLETED
        try:
            await asyncio.wait({*both, self._ended}, return_when=first)
            if self._ended.done():  # a client that does not read would hold it for ever
                await asyncio.wait(both, timeout=FLUSH_WITHIN, return_when=first)
            if sending.done():
                sending.result()
        finally:
            for task in (sending, leaving):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await self._items.aclose()

    def _end(self, problem: Problem) -> None:
        """Send nothing more, but why."""
        if not self._ended.done():
            self._ended.set_result(problem)

    async def _send_all(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        async for event in self._events():
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self) -> AsyncGenerator[bytes]:
        try:
            while (item := await self._next_or_sign()) is not None:
                yield ALIVE if item == ALIVE else b"data: %b\n\n" % item
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - TooLate and the app's own are told alike
            yield _failure(problem_of(self._name, error), error)
        else:
            yield END
        finally:
            await self._stop_waiting()

    async def _next_or_sign(self) -> bytes | None:
        """Wait for the next item, and give a sign of life where it takes its time.

        Raises:
            Problem: the server stops, or the caller may not listen any more.
        """
        if self._waiting is None:
            self._waiting = asyncio.ensure_future(anext(self._items, None))
        for _ in range(round(QUIET / LOOK)):
            both: set[asyncio.Future[Any]] = {self._waiting, self._ended}
            await asyncio.wait(both, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
            if self._ended.done():
                raise self._ended.result()
            if self._waiting.done():
                done, self._waiting = self._waiting, None
                return done.result()
            if self._draining():
                raise Problem(503, "the server stops; connect again", code="NOT_READY")
        return ALIVE

    async def _stop_waiting(self) -> None:
        """Let go of the item that is waited for; the generator is closed by whoever closes ours."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await waiting


def _failure(problem: Problem, error: BaseException) -> bytes:
    told = {"error_type": type(error).__name__, "code": problem.code, "message": problem.message}
    return b"event: error\ndata: %b\n\n" % json.dumps(told).encode()


async def gone(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        continue
