"""What went wrong, as the envelope that clients read; no traceback ever leaves the process.

It changes when a new kind of error gets a code.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import pydantic_core
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from jac_converge.app_runtime.bridge.wire import CannotSend, to_text, to_wire
from jac_converge.app_runtime.files import FilesDown
from jac_converge.app_runtime.front import sent_path
from jac_converge.app_runtime.stores import (
    Conflict,
    TooLarge,
    Unavailable,
    UnknownOutcome,
    Unreadable,
)
from jac_converge.config.logs import current_request

__all__ = [
    "NO_STORE",
    "Problem",
    "answer",
    "answer_with",
    "damaged",
    "install",
    "message_with",
    "no_files",
    "no_store",
    "problem_from_http",
    "refusal",
    "too_large",
    "unfit",
]

logger = logging.getLogger(__name__)

CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "BODY_TOO_SLOW",
    409: "WRITE_CONFLICT",
    413: "BODY_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    416: "RANGE_NOT_SATISFIABLE",
    422: "VALIDATION_ERROR",
    429: "TOO_MANY_REQUESTS",
    503: "UNAVAILABLE",
    504: "TIMEOUT",
}

MOST_TOLD, LONGEST_TOLD = 50, 200  # places of a request that do not fit, and their characters
LOWEST, HIGHEST = 200, 599  # statuses of answers; those below announce one
NO_BODY = (204, 205, 304)
FRAMING = frozenset({"connection", "content-length", "content-type", "transfer-encoding"})
"""Headers that say how our own body is sent."""
_NAME, _VALUE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"), re.compile(r"[\t\x20-\x7e\x80-\xff]*")
NO_STORE = {"Cache-Control": "no-store"}
"""Headers of what no cache may keep."""
BEFORE = b'{"ok":true,"type":"response","data":'
AFTER = b',"error":null,"meta":{"extra":{"http_status":200}}}'


class Problem(Exception):
    """An answer that is no result: an error, or what an app raised with a status of its own."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        details: Any = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Describe the answer.

        Args:
            status: of HTTP.
            message: for the caller; no secret, no path, no traceback.
            code: for programs; the usual one of the status when not given.
            details: JSON.
            headers: further ones.
        """
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code or CODES.get(status, "ERROR")
        self.details = details
        self.headers = headers


def answer(data: Any, status: int = 200, *, headers: dict[str, str] | None = None) -> Response:
    """Wrap data of a success into the envelope."""
    envelope = {
        "ok": True,
        "type": "response",
        "data": data,
        "error": None,
        "meta": {"extra": {"http_status": status}},
    }
    return _json(envelope, status, headers)


def answer_with(data: bytes, headers: dict[str, str] | None = None) -> Response:
    """Wrap data that is JSON already."""
    content = b"%b%b%b" % (BEFORE, data, AFTER)
    return Response(content, headers=headers, media_type="application/json")


def message_with(kind: str, data: bytes) -> str:
    """Do the same as the text of a message, which is of some kind."""
    before = BEFORE.replace(b'"response"', b'"%b"' % kind.encode(), 1)
    return (before + data + AFTER).decode()


def refusal(problem: Problem) -> Response:
    """Wrap a problem into the envelope."""
    error = {"code": problem.code, "message": problem.message}
    if problem.details is not None:
        error["details"] = problem.details
    extra: dict[str, Any] = {"http_status": problem.status}
    if (request := current_request.get()) is not None:
        extra["request_id"] = request
    envelope = {
        "ok": False,
        "type": "error",
        "data": None,
        "error": error,
        "meta": {"extra": extra},
    }
    return _json(envelope, problem.status, problem.headers)


def problem_from_http(error: HTTPException) -> Problem:
    """Return what the app says by an `HTTPException`: its status, text or value, and headers.

    What no answer can have would end the connection without one, or begin another one in its
    headers; it is a mistake of the app like any other.
    """
    status, headers = error.status_code, dict(error.headers or {})
    fits = isinstance(status, int) and LOWEST <= status <= HIGHEST
    if not fits or not all(map(_is_header, headers.items())):
        names = ", ".join(map(str, headers)) or "none"
        logger.error("no answer can have status %r and these headers: %s", status, names)
        text = "the app answered what cannot be sent; the server's log says more"
        return Problem(500, text, code="EXECUTION_ERROR")
    headers = {name: value for name, value in headers.items() if name.lower() not in FRAMING}
    detail: Any = error.detail
    if isinstance(detail, str):
        text = detail.encode(errors="replace").decode()  # half of a surrogate pair is no text
        return Problem(status, text, headers=headers or None)
    try:
        details = to_wire(detail)
        to_text(details)
    except CannotSend as unsent:
        logger.warning("what was raised with status %s is left out: %s", status, unsent)
        details = None
    text = HTTPStatus(status).phrase if status in HTTPStatus else f"status {status}"
    return Problem(status, text, details=details, headers=headers or None)


def _is_header(item: tuple[Any, Any]) -> bool:
    name, value = item
    texts = isinstance(name, str) and isinstance(value, str)
    return texts and bool(_NAME.fullmatch(name) and _VALUE.fullmatch(value))


def no_store(what: str, error: Unavailable) -> Problem:
    """Log that a store did not do its part, and say what that means for the data.

    Args:
        what: was asked for.
        error: of the store; what it says is for the log alone.
    """
    logger.error("%s failed: %s", what, error)
    if isinstance(error, UnknownOutcome):
        text = f"{what} may or may not have been stored; read before you try again"
        return Problem(504, text, code="OUTCOME_UNKNOWN")
    text = "the data store does not answer; nothing was stored"
    return Problem(503, text, headers={"Retry-After": "1"})


def no_files(what: str, error: FilesDown) -> Problem:
    """Log that the storage of files did not do its part, and say so.

    Args:
        what: was asked for.
        error: what it says is for the log alone.
    """
    logger.error("%s failed: %s", what, error)
    text = "the storage of files does not do its part; try again"
    return Problem(503, text, code="NO_FILES", headers={"Retry-After": "5"})


def too_large(what: str, error: TooLarge) -> Problem:
    """Say what was more than the store can hold: which limit, and what to do."""
    return Problem(413, f"{what}: {error}; nothing was stored", code="TOO_LARGE")


def damaged(what: str, error: Unreadable) -> Problem:
    """Log which document cannot be read, and say that there is one.

    Args:
        what: was asked for.
        error: of the store; what it says is for the log alone.
    """
    logger.error("%s failed: %s", what, error)
    text = f"{what} needs something that is stored and cannot be read; the server's log says what"
    return Problem(500, f"{text}; nothing was stored", code="UNREADABLE")


def unfit(error: RequestValidationError, *, body: str = "body") -> Problem:
    """Say where a request does not fit, whose body may be called something else."""
    found = error.errors()
    details = [
        {"loc": [_short(part) for part in item["loc"]], "msg": item["msg"], "type": item["type"]}
        for item in found[:MOST_TOLD]
    ]
    kinds = {(item["type"], tuple(item["loc"])) for item in details}
    if any(kind == "json_invalid" for kind, _ in kinds):
        text = f"the {body} is not valid JSON: {details[0]['msg']}"
    elif kinds & {("model_type", ("body",)), ("model_attributes_type", ("body",))}:
        text = f"the {body} must be a JSON object"
        if body == "body":
            text += ", sent with Content-Type: application/json"
    else:
        places = ", ".join(sorted({".".join(map(str, item["loc"])) for item in details}))
        text = f"the request does not fit: {places}"
        if (more := len(found) - len(details)) > 0:
            text += f", and {more} more"
    return Problem(422, text, details=details)


def _short(part: Any) -> Any:
    """Cut what a client made long: the answer is not to be longer than the request."""
    return part if isinstance(part, int) else str(part)[:LONGEST_TOLD]


def install(app: FastAPI) -> None:
    """Turn everything that a route may raise into the envelope."""
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - how it is registered, as for those below
    return refusal(error)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    return refusal(unfit(error))


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    told = problem_from_http(error)
    if told.status in NO_BODY:
        return Response(status_code=told.status, headers=told.headers)
    return refusal(told)


async def _unavailable(request: Request, error: Exception) -> Response:
    assert isinstance(error, Unavailable)  # noqa: S101
    return refusal(no_store(_named(request), error))


async def _larger(request: Request, error: Exception) -> Response:
    assert isinstance(error, TooLarge)  # noqa: S101
    return refusal(too_large(_named(request), error))


async def _unreadable(request: Request, error: Exception) -> Response:
    assert isinstance(error, Unreadable)  # noqa: S101
    return refusal(damaged(_named(request), error))


async def _conflict(request: Request, error: Exception) -> Response:
    logger.warning("%s failed: %s", _named(request), error)
    return refusal(Problem(409, "others changed the same at the same time; try again"))


async def _hung_up(request: Request, error: Exception) -> Response:
    logger.debug("%s: the client hung up (%s)", _named(request), error)
    return Response(status_code=400)  # to nobody


async def _unexpected(request: Request, error: Exception) -> Response:
    logger.error("%s failed", _named(request), exc_info=error)
    return refusal(Problem(500, "the server failed; its log says why", code="INTERNAL_ERROR"))


_HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    Problem: _problem,
    RequestValidationError: _invalid,
    HTTPException: _http,
    Unavailable: _unavailable,
    TooLarge: _larger,
    Unreadable: _unreadable,
    Conflict: _conflict,
    ClientDisconnect: _hung_up,
    Exception: _unexpected,
}


def _named(request: Request) -> str:
    return f"{request.method} {sent_path(request.scope)}"


def _json(envelope: dict[str, Any], status: int, headers: dict[str, str] | None) -> Response:
    content = pydantic_core.to_json(envelope, inf_nan_mode="null")
    return Response(content, status, headers, media_type="application/json")
