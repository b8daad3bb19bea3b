"""Routes that FastAPI describes, and whose requests do not go through it.

FastAPI looks up dependencies, parses and validates a body into arguments, and asks each of its
routes and layers on the way there, which costs a small call more than running it. Where a path has
no parameters, a table has the answer at once. A path with a slash too many at its end is another
spelling of the one without. It changes with how FastAPI hands over a request.
"""

import inspect
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Answer", "Shortcut", "straight"]

type Answer = Callable[[Request], Awaitable[Response]]
"""Answers a request, of which nothing has been read."""


class _Straight(APIRoute):
    answer: Answer
    spec: object


def straight(answer: Answer, what: object = None) -> type[APIRoute]:
    """Make the class of a route.

    Args:
        answer: of every request with a method of the route; what it raises becomes an answer as
            anywhere else.
        what: they call, for whoever looks at the routes.
    """
    given = staticmethod(answer)

    class Route(_Straight):
        answer = given
        spec = what

        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] not in (self.methods or ()):
                raise HTTPException(405, headers={"Allow": ", ".join(_allowed(scope))})
            request = Request(scope, receive)
            response = await answer(request)
            await response(scope, receive, send)

    return Route


def _allowed(scope: Scope) -> list[str]:
    """Return the methods of a path, of which each is a route."""
    routes: list[BaseRoute] = scope["app"].routes
    found = [route for route in routes if route.matches(scope)[0] is not Match.NONE]
    return sorted({method for route in found for method in getattr(route, "methods", None) or ()})


class Shortcut:
    """ASGI app in front of FastAPI, with the same middleware: answers what is in its table."""

    def __init__(self, api: FastAPI) -> None:
        """Look at the routes, all of which have to be there."""
        self._api = api
        self._prefix = api.root_path
        self._table = _table(api)
        self._handlers = api.exception_handlers
        answering: ASGIApp = self._answer
        for wrap, args, kwargs in reversed(api.user_middleware):
            answering = wrap(answering, *args, **kwargs)
        self._answering = answering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "lifespan" and scope["path"].endswith("/"):
            scope = self._spelt(scope)
        if scope["type"] == "http":
            path = scope["path"].removeprefix(self._prefix)
            route = self._table.get((scope["method"], path))
            if route is not None:
                # What FastAPI and its router leave there for others.
                scope["app"], scope["root_path"], scope["route"] = self._api, self._prefix, route
                await self._answering(scope, receive, send)
                return
        await self._api(scope, receive, send)

    def _spelt(self, scope: Scope) -> Scope:
        """Take the last slash from a path that nobody answers, where somebody does without it.

        FastAPI would redirect there, to a URL with the `Host` of whoever asks, and a client would
        send its body twice. Pages are no calls: their links are relative to the path they are at.
        """
        path = scope["path"].removeprefix(self._prefix)
        if self._route(scope, path) is not None:
            return scope
        meant = self._route(scope, path[:-1])
        if meant is None or not getattr(meant, "include_in_schema", True):
            return scope
        return {**scope, "path": scope["path"][:-1]}

    def _route(self, scope: Scope, path: str) -> BaseRoute | None:
        """Return the route that the router chooses, if it does not refuse the path."""
        asked = {"type": scope["type"], "method": scope.get("method", "GET"), "path": path}
        matches = [(route, route.matches(asked)[0]) for route in self._api.routes]
        found = [route for route, match in matches if match is Match.FULL]
        found += [route for route, match in matches if match is Match.PARTIAL]
        return found[0] if found else None

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        request = Request(scope, receive)
        try:
            response = await scope["route"].answer(request)
            await response(scope, receive, noted)
        except Exception as error:
            if started:
                raise
            response = await self._told(request, error)
            await response(scope, receive, send)

    async def _told(self, request: Request, error: Exception) -> Response:
        """Do what FastAPI does with an error: ask the handler of the nearest class."""
        handler = next(self._handlers[one] for one in type(error).__mro__ if one in self._handlers)
        response = handler(request, error)
        return await response if inspect.isawaitable(response) else response


def _table(api: FastAPI) -> dict[tuple[str, str], _Straight]:
    """Return the routes that a request for their very path gets."""
    table: dict[tuple[str, str], _Straight] = {}
    before: list[BaseRoute] = []
    for route in api.routes:
        if isinstance(route, _Straight) and "{" not in route.path:
            for method in route.methods or ():
                scope = {"type": "http", "method": method, "path": route.path}
                if not any(other.matches(scope)[0] is Match.FULL for other in before):
                    table[method, route.path] = route
        before.append(route)
    return table
