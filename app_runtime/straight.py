"""Routes that FastAPI describes, and whose requests do not go through it.

FastAPI looks up dependencies, parses and validates a body into arguments, which costs a small call
as much as running it. It changes with how FastAPI hands over a request.
"""

from collections.abc import Awaitable, Callable

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["Answer", "straight"]

type Answer = Callable[[Request], Awaitable[Response]]
"""Answers a request, of which nothing has been read."""


def straight(answer: Answer, what: object = None) -> type[APIRoute]:
    """Make the class of a route.

    Args:
        answer: of every request with a method of the route; what it raises becomes an answer as
            anywhere else.
        what: they call, for whoever looks at the routes.
    """

    class Route(APIRoute):
        spec = what

        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] not in self.methods:
                await super().handle(scope, receive, send)
                return
            request = Request(scope, receive)
            response = await answer(request)
            await response(scope, receive, send)

    return Route
