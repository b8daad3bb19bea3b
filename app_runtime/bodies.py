"""Bodies of requests -> validated models, or a refusal that names what is wrong.

Everything is read as JSON is: bytes are base64, a number is finite, and a string has no half of a
surrogate pair, which nothing behind us could store or send. It changes with what a body may hold.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.types import Message, Receive, Scope, Send

__all__ = [
    "CheckedRoute",
    "body_from",
    "checked_object",
    "fields_in",
    "media_type",
    "model_from",
    "object_in",
]

NO_OBJECT = {
    "loc": ("body",),
    "type": "model_type",
    "msg": "a JSON object is needed, sent with Content-Type: application/json",
}
# A field of any type takes what no float field would; only a body with one of these may have it.
SUSPECT = re.compile(rb"NaN|Infinity|[eE]\+?0*\d{2}|\d{300}")
NO_CHARACTER = "half of a surrogate pair is no character"
PLACES = 20  # of wrong values that are told, at most


def body_from[M: BaseModel](model: type[M], request: Request, raw: bytes) -> M:
    """Validate a body; none, or null, is an object without fields.

    Raises:
        RequestValidationError: it does not fit.
    """
    if raw and not _is_json(request):
        raise RequestValidationError([NO_OBJECT])
    return model_from(model, raw, lambda _: "body")


def model_from[M: BaseModel](model: type[M], raw: bytes, place: Callable[[str], str]) -> M:
    """Validate an object of JSON; none, or null, is one without fields.

    Args:
        model: of its fields.
        raw: as it was sent, or made of what was sent.
        place: gives for a field what it was sent in, for the refusal.

    Raises:
        RequestValidationError: it does not fit.
    """
    try:
        body = model.model_validate_json(fields_in(raw))
    except ValidationError as error:
        _check(raw)
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError(
            [
                {**item, "loc": (place(str(item["loc"][0]) if item["loc"] else ""), *item["loc"])}
                for item in found
            ]
        ) from error
    if SUSPECT.search(raw):
        _check(raw)
    return body


def checked_object(request: Request, raw: bytes) -> dict[str, Any]:
    """Read a body that is an object of JSON, without looking at its fields.

    Raises:
        RequestValidationError: it is none.
    """
    if raw and not _is_json(request):
        raise RequestValidationError([NO_OBJECT])
    return object_in(raw)


def object_in(raw: bytes) -> dict[str, Any]:
    """Do the same with what is known to be JSON, or to be none.

    Raises:
        RequestValidationError: it is none.
    """
    sent = _check(fields_in(raw))
    if not isinstance(sent, dict):
        raise RequestValidationError([NO_OBJECT])
    return sent


def fields_in(raw: bytes) -> bytes:
    """Return a body; none, or null, is an object without fields."""
    return b"{}" if raw.strip() in (b"", b"null") else raw


class CheckedRoute(APIRoute):
    """A route whose body FastAPI reads, after we saw that there is nothing in it but JSON."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what is no JSON, and hand on the rest."""
        request = Request(scope, receive)
        raw = await request.body()
        if raw and _is_json(request):
            _check(raw)
        await super().handle(scope, _again(raw, receive), send)


def media_type(request: Request) -> str:
    """Return what a body is said to be, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_json(request: Request) -> bool:
    kind = media_type(request)
    return kind == "application/json" or (kind.startswith("application/") and kind[-5:] == "+json")


def _check(raw: bytes) -> Any:
    """Return the value of a body, and refuse what is no JSON, by its place where it has one."""
    wrong: list[dict[str, Any]] = []
    value = None
    try:
        value = from_json(raw or b"{}", allow_inf_nan=False)
    except ValueError as error:
        wrong = [*_odd_values(_leniently(raw))]
        wrong = wrong or [{"loc": ("body",), "type": "json_invalid", "msg": str(error)}]
    else:
        wrong = [*_odd_values(value)] if SUSPECT.search(raw) else []  # 1e400 becomes infinite
    if wrong:
        raise RequestValidationError(wrong)
    return value


def _leniently(raw: bytes) -> Any:
    """Read what Python's own reader takes and JSON has not; None if it is not even that."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _odd_values(body: Any) -> Iterator[dict[str, Any]]:
    """Find the values that no JSON can stand for."""
    unseen: list[tuple[tuple[str | int, ...], Any]] = [(("body",), body)]
    found = 0
    while unseen and found < PLACES:
        place, value = unseen.pop()
        text = ""
        if isinstance(value, dict):
            unseen += [((*place, _shown(key)), item) for key, item in value.items()]
            text = NO_CHARACTER if any(_shown(key) != key for key in value) else ""
        elif isinstance(value, list):
            unseen += [((*place, index), item) for index, item in enumerate(value)]
        elif isinstance(value, str):
            text = NO_CHARACTER if _shown(value) != value else ""
        elif isinstance(value, float):
            text = "" if math.isfinite(value) else "a finite number is needed"
        if text:
            found += 1
            yield {"loc": place, "type": "no_json", "msg": text}


def _shown(text: str) -> str:
    return text.encode(errors="replace").decode()


def _again(raw: bytes, receive: Receive) -> Receive:
    """Give a body that was read to whoever reads next, and then what comes after it."""
    unread: list[Message] = [{"type": "http.request", "body": raw, "more_body": False}]

    async def replay() -> Message:
        return unread.pop() if unread else await receive()

    return replay
