"""Routes that a good request takes straight, while FastAPI describes them and answers the others.

FastAPI looks up dependencies, parses and validates a body into arguments, which costs a small call
as much as running it. Where all is as it should be, this does no more than that takes; anything
else goes FastAPI's way, which says what is wrong. It changes with the arguments of a call.
"""

from collections.abc import Awaitable, Callable

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

__all__ = ["Straight", "straight"]

type Straight = Callable[[Request, str | None, bytes, BaseModel], Awaitable[Response]]
"""Answers a request with its bearer token, its raw body, and the body validated."""


def straight(model: type[BaseModel], answer: Straight) -> type[APIRoute]:
    """Make the class of a route whose body is of a model.

    Args:
        model: of the body, which may be missing where all its fields have defaults.
        answer: of a good request.
    """

    class Route(APIRoute):
        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] != "POST":
                await super().handle(scope, receive, send)
                return
            request = Request(scope, receive)
            raw = await request.body()
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            plain = scheme.lower() in ("", "bearer") and (not raw or _is_json(request))
            body = _parsed(model, raw) if plain else None
            if body is None:
                await super().handle(scope, _again(raw, receive), send)
                return
            response = await answer(request, token or None, raw, body)
            await response(scope, receive, send)

    return Route


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower() == "application/json"


def _parsed(model: type[BaseModel], raw: bytes) -> BaseModel | None:
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError:
        return None


def _again(raw: bytes, receive: Receive) -> Receive:
    """Give a body that was read to whoever reads next, and then what comes after it."""
    unread: list[Message] = [{"type": "http.request", "body": raw, "more_body": False}]

    async def replay() -> Message:
        return unread.pop() if unread else await receive()

    return replay
