"""The largest body, and the slowest, enforced while it arrives: a false length helps nobody.

It changes with what a request may cost before a route sees it.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jac_converge.app_runtime.problems import Problem, refusal

__all__ = ["BodyLimit"]

SLOWEST = 8 * 1024  # bytes per s, on average, beyond the time that every body has
LINGER, LINGER_BYTES = 2.0, 16 * 1024 * 1024  # s and bytes
"""Of a body that was refused: a client that is cut off while it sends reads no answer."""


class BodyLimit:
    """ASGI middleware that answers 413 to a body above a limit, and 408 to one that never ends."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int,
        uploads: Sequence[str] = (),
        max_upload_bytes: int = 0,
        prefix: str = "",
        within: float = 60.0,
    ) -> None:
        """Wrap an application.

        Args:
            app: sees only bodies within the limit.
            max_bytes: the limit.
            uploads: regular expressions of paths that take files, which are not kept in memory.
            max_upload_bytes: the limit of those.
            prefix: that a path may have before them.
            within: s that a body has to arrive, and more the more of it has arrived.
        """
        self._app = app
        self._max = max_bytes
        self._uploads = [re.compile(one) for one in uploads]
        self._max_upload = max_upload_bytes
        self._prefix = prefix
        self._within = within

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
        seen, started, complete = 0, False, False
        clock = asyncio.get_running_loop().time
        began = clock()

        async def counted() -> Message:
            nonlocal seen, complete
            if complete:  # what comes now is the end of the connection
                return await receive()
            try:
                async with asyncio.timeout_at(began + self._within + seen / SLOWEST):
                    message = await receive()
            except TimeoutError:
                raise _TooSlow from None
            complete = not message.get("more_body", False)
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
        except (_TooLarge, _TooSlow) as error:
            if started:
                raise
            if isinstance(error, _TooLarge):
                await self._refuse(limit, scope, receive, send)
            else:
                text = f"the body did not arrive within {self._within:g} s"
                await refusal(Problem(408, text, headers=CLOSE))(scope, receive, send)

    async def _refuse(self, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
        text = f"the body is larger than {limit} bytes"

        async def lingering(message: Message) -> None:
            if message["type"] == "http.response.body":
                await send({**message, "more_body": True})
                await _pass_over(receive)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await refusal(Problem(413, text, headers=CLOSE))(scope, receive, lingering)


CLOSE = {"Connection": "close"}
"""What is left of a body is passed over, or not read, so no other request can follow."""


async def _pass_over(receive: Receive) -> None:
    """Read on for a while, for nothing."""
    left = LINGER_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            while left > 0:
                message = await receive()
                if not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))


class _TooLarge(BaseException):
    """Passes through everything that catches errors of the application."""


class _TooSlow(BaseException):
    """Does so, too."""
