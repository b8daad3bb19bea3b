"""The largest body, and the slowest, enforced while it arrives: a false length helps nobody.

One that is said to be compressed, or in other characters than UTF-8, is refused: it would be read
as if it were not. It changes with what a request may cost before a route sees it.
"""

import asyncio
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jac_converge.app_runtime.problems import Problem, refusal

__all__ = ["BodyLimit"]

SLOWEST = 8 * 1024  # bytes per s, on average, beyond the time that every body has
LINGER, LINGER_BYTES = 2.0, 16 * 1024 * 1024  # s and bytes
"""Of a body that was refused: a client that is cut off while it sends reads no answer."""
CHARSET = re.compile(rb";\s*charset\s*=\s*\"?([^\s;\"]*)", re.IGNORECASE)
READ_AS_SENT = (b"utf-8", b"utf8", b"us-ascii", b"ascii")


class BodyLimit:
    """ASGI middleware: 413 to a large body, 408 to one that never ends, 415 to a coded one."""

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
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            await _refuse(_larger(limit), scope, receive, send)
            return
        bodiless = declared == b"0" and b"transfer-encoding" not in headers
        if not bodiless and (coded := _coded(scope["headers"])) is not None:
            await _refuse(coded, scope, receive, send)
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
                await _refuse(_larger(limit), scope, receive, send)
            else:
                text = f"the body did not arrive within {self._within:g} s"
                await refusal(Problem(408, text, headers=CLOSE))(scope, receive, send)


def _larger(limit: int) -> Problem:
    return Problem(413, f"the body is larger than {limit} bytes", headers=CLOSE)


def _coded(headers: Iterable[tuple[bytes, bytes]]) -> Problem | None:
    """Say what is wrong with how a body is sent; None: it is sent as we read it."""
    for name, value in headers:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            text = "send the body as it is: no Content-Encoding is read"
            return Problem(415, text, headers=CLOSE | {"Accept-Encoding": "identity"})
        if name == b"content-type":
            charset = CHARSET.search(value)
            if charset is not None and charset[1].lower() not in READ_AS_SENT:
                text = "send the body in UTF-8: no other charset is read"
                return Problem(415, text, headers=CLOSE)
    return None


async def _refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a body of which nothing, or not all, was read."""

    async def lingering(message: Message) -> None:
        if message["type"] == "http.response.body":
            await send({**message, "more_body": True})
            await _pass_over(receive)
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    await refusal(problem)(scope, receive, lingering)


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
