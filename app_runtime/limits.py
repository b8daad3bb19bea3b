"""The largest body, enforced while it arrives: a false or missing length helps nobody.

It changes with what a request may cost before a route sees it.
"""

import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jac_converge.app_runtime.problems import Problem, refusal

__all__ = ["BodyLimit"]


class BodyLimit:
    """ASGI middleware that answers 413 to a body above a limit."""

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
            await self._refuse(limit, scope, receive, send)
            return
        seen, started = 0, False

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except _TooLarge:
            if started:
                raise
            await self._refuse(limit, scope, receive, send)

    async def _refuse(self, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
        text = f"the body is larger than {limit} bytes"
        # What is left of the body is not read, so the connection cannot be used again.
        problem = Problem(413, text, headers={"Connection": "close"})
        await refusal(problem)(scope, receive, send)


class _TooLarge(BaseException):
    """Passes through everything that catches errors of the application."""
