"""A HEAD asks for the head of what a GET gets, whatever route answers that.

FastAPI gives a route for GET none for HEAD, and a route that had one would have to know of it. It
changes with what HEAD means.

Source: RFC 9110, section 9.3.2.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HeadAsGet"]


class HeadAsGet:
    """ASGI middleware: an application behind it sees no HEAD, and sends no body for one."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        ended = False

        async def bodiless(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.body":
                if ended:
                    return
                # The end, so that a stream hears that nobody listens instead of going on for ever.
                ended = True
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, bodiless)
