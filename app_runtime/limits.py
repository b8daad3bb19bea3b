"""The largest body and the slowest one, enforced while it arrives: a false length helps nobody.

It changes with what a request may cost before a route sees it.
"""

import asyncio
import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jac_converge.app_runtime.problems import Problem, refusal

__all__ = ["BodyLimit"]

PATIENCE = 30.0  # s for a body
SLOWEST = 1024  # bytes per s of what is sent beyond that


class BodyLimit:
    """ASGI middleware that answers 413 to a body above a limit, and 408 to one that does not come.

    Whoever sends one byte a minute would hold a connection and a task for as long as they like.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int,
        uploads: Sequence[str] = (),
        max_upload_bytes: int = 0,
        prefix: str = "",
    ) -> None:
        """Wrap an application.

        Args:
            app: sees only bodies within the limit.
            max_bytes: the limit.
            uploads: regular expressions of paths that take files, which are not kept in memory.
            max_upload_bytes: the limit of those.
            prefix: that a path may have before them.
        """
        self._app = app
        self._max = max_bytes
        self._uploads = [re.compile(one) for one in uploads]
        self._max_upload = max_upload_bytes
        self._prefix = prefix

    def _limit(self, scope: Scope) -> int:
        path = scope["path"].removeprefix(self._prefix)
        files = any(upload.match(path) for upload in self._uploads)
        return max(self._max, self._max_upload) if files else self._max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope)
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            refused = _Refused(413, f"the body is larger than {limit} bytes")
            await refused.answer(scope, receive, send)
            return
        seen, started, complete = 0, False, False
        began = asyncio.get_running_loop().time()

        async def counted() -> Message:
            nonlocal seen, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout_at(began + PATIENCE + seen / SLOWEST):
                    message = await receive()
            except TimeoutError:
                raise _Refused(408, "the body does not come") from None
            seen += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if seen > limit:
                raise _Refused(413, f"the body is larger than {limit} bytes")
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except _Refused as refused:
            if started:
                raise
            await refused.answer(scope, receive, send)


class _Refused(BaseException):
    """Passes through everything that catches errors of the application."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        # What is left of the body is not read, so the connection cannot be used again.
        self._problem = Problem(status, text, headers={"Connection": "close"})

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await refusal(self._problem)(scope, receive, send)
