"""Routes that a good request takes straight, while FastAPI describes them and answers the others.

FastAPI looks up dependencies, parses and validates a body into arguments, which costs a small call
as much as running it. Where all is as it should be, this does no more than that takes; anything
else goes FastAPI's way, which says what is wrong. It changes with the arguments of a call.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

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
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            described = super().get_route_handler()

            async def handle(request: Request) -> Response:
                raw = await request.body()
                scheme, _, token = request.headers.get("authorization", "").partition(" ")
                if (raw and not _is_json(request)) or scheme.lower() not in ("", "bearer"):
                    return await described(request)
                try:
                    body = model.model_validate_json(raw or b"{}")
                except ValidationError:
                    return await described(request)
                return await answer(request, token or None, raw, body)

            return handle

    return Route


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower() == "application/json"
