"""The largest body, enforced while it arrives: a false or missing length helps nobody.

It changes with what a request may cost before a route sees it.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jac_converge.app_runtime.problems import Problem, refusal

__all__ = ["BodyLimit"]


class BodyLimit:
    """ASGI middleware that answers 413 to a body above a limit."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        """Wrap an application.

        Args:
            app: sees only bodies within the limit.
            max_bytes: the limit.
        """
        self._app = app
        self._max = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max:
            await self._refuse(scope, receive, send)
            return
        seen, started = 0, False

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max:
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
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        text = f"the body is larger than {self._max} bytes"
        # What is left of the body is not read, so the connection cannot be used again.
        problem = Problem(413, text, headers={"Connection": "close"})
        await refusal(problem)(scope, receive, send)


class _TooLarge(BaseException):
    """Passes through everything that catches errors of the application."""
