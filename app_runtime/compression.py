"""Large answers compressed for who takes that; of small ones, nothing but the length is looked at.

A stream of events is left alone: whoever collects it to compress holds it up. It changes with what
is worth compressing.
"""

import re

from starlette.middleware.gzip import GZipResponder, IdentityResponder
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Compression"]

LEVEL = 5  # of 9; the last ones cost twice the time for a hundredth of the size
LARGE = 32 * 1024  # bytes that are compressed in a thread: the event loop has others to answer
REFUSED = re.compile(rb"gzip\s*;\s*q=0(\.0*)?\s*(,|$)")


class Compression:
    """ASGI middleware around Starlette's, whose cost is too much for an answer of 200 bytes."""

    def __init__(self, app: ASGIApp, *, min_bytes: int) -> None:
        """Wrap an application.

        Args:
            app: answers.
            min_bytes: of an answer that is compressed.
        """
        self._app = app
        self._min_bytes = min_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passing = send

        async def passed(message: Message) -> None:
            nonlocal passing
            if message["type"] == "http.response.start" and not self._goes_as_it_is(message):
                responder = self._responder(scope)
                responder.send = send
                passing = responder.send_with_compression
            await passing(message)

        await self._app(scope, receive, passed)

    def _goes_as_it_is(self, start: Message) -> bool:
        """Say whether an answer says that it is; of one that does not, nobody knows.

        A stored file is sent as it is, since a range of it is one of those bytes.
        """
        for name, value in start.get("headers", ()):
            if name == b"content-disposition":
                return True
            if name == b"content-length":
                return int(value) < self._min_bytes
        return False

    def _responder(self, scope: Scope) -> IdentityResponder:
        sent = b",".join(value for name, value in scope["headers"] if name == b"accept-encoding")
        if b"gzip" not in sent or REFUSED.search(sent):
            return IdentityResponder(self._app, self._min_bytes)  # says that others get another one
        return GZipResponder(self._app, self._min_bytes, LEVEL, thread_minimum_size=LARGE)
