"""Requests that do not go through FastAPI get what they would get from it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message

from jac_converge.app_runtime import problems
from jac_converge.app_runtime.limits import BodyLimit
from jac_converge.app_runtime.problems import Problem
from jac_converge.app_runtime.straight import Answer, Shortcut, straight

LIMIT = 10  # bytes


def saying(text: str) -> Answer:
    """Make what answers with a text."""

    async def answer(_: Request) -> Response:
        return PlainTextResponse(text)

    return answer


async def echo(request: Request) -> Response:
    """Answer with the length of the body."""
    return PlainTextResponse(str(len(await request.body())))


async def refuse(_: Request) -> Response:
    """Fail as a route of ours does."""
    raise Problem(409, "no", headers={"X-Why": "test"})


async def fail(_: Request) -> Response:
    """Fail as nothing of ours should."""
    raise LookupError("of the inside")


async def break_off(_: Request) -> Response:
    """Begin to answer, and fail."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"begun"
        raise LookupError("too late to say so")

    return StreamingResponse(parts())


@pytest.fixture
def api() -> FastAPI:
    """Give an application with routes of all kinds."""
    made = FastAPI(redirect_slashes=False)
    made.root_path = "/api"
    problems.install(made)
    routes = {
        "/one/{name}": saying("many"),
        "/one/hidden": saying("hidden"),
        "/two": saying("two"),
        "/two/{name}": saying("two of many"),
        "/echo": echo,
        "/refuse": refuse,
        "/fail": fail,
        "/break": break_off,
        "/slash/": saying("with a slash"),
        "/page": saying("a page"),
    }
    for path, answer in routes.items():

        async def described() -> None:
            """Say nothing."""

        made.router.add_api_route(
            path,
            described,
            methods=["POST"],
            include_in_schema=path != "/page",
            route_class_override=straight(answer),
        )
    made.add_middleware(BodyLimit, max_bytes=LIMIT, prefix="/api")
    return made


def asked(app: ASGIApp, path: str, body: bytes = b"", method: str = "POST") -> list[Message]:
    """Send a request; returns the messages of the answer, with what failed as the last one."""
    sent: list[Message] = []
    incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if not incoming:
            await asyncio.Event().wait()  # the client stays
        return incoming.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "server": ("here", 80),
        "scheme": "http",
    }

    async def ask() -> None:
        await app(scope, receive, send)

    try:
        asyncio.run(ask())
    except LookupError as error:
        sent.append({"type": "failed", "error": str(error)})
    return sent


@pytest.mark.parametrize(
    "path",
    ["/one/x", "/one/hidden", "/two", "/two/x", "/echo", "/refuse", "/nowhere", "/", "/apitwo"],
)
@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("body", [b"", b"x" * LIMIT, b"x" * (LIMIT + 1)])
def test_answer_is_that_of_fastapi(
    api: FastAPI, prefix: str, path: str, method: str, body: bytes
) -> None:
    """Path and method, prefix and limit, a path that another one hides, and refusals."""
    expected = asked(api, prefix + path, body, method)
    assert expected == asked(Shortcut(api), prefix + path, body, method)


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/two/", "/two"),
        ("/two/x/", "/two/x"),
        ("/echo/", "/echo"),
        ("/slash/", "/slash/"),
        ("/slash//", "/slash/"),
        ("/two//", None),
        ("/page/", None),
        ("/nowhere/", None),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_slash_at_the_end_is_another_spelling(
    api: FastAPI, prefix: str, path: str, meant: str | None, method: str
) -> None:
    """Of a call, with the same middleware; one slash, and not where a path has it."""
    short = Shortcut(api)
    sent = asked(short, prefix + path, b"x" * LIMIT, method)
    assert asked(short, prefix + (meant or "/nowhere"), b"x" * LIMIT, method) == sent
    if meant is None:
        assert 404 == sent[0]["status"]


def test_what_nobody_foresaw_is_an_answer(api: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    """The log has it; the client has the envelope and nothing of the inside."""
    start, body = asked(Shortcut(api), "/fail")
    assert 500 == start["status"]
    assert b"INTERNAL_ERROR" in body["body"]
    assert b"inside" not in body["body"]
    assert "LookupError" in caplog.text


def test_answer_that_breaks_off_does_not_end_well(api: FastAPI) -> None:
    """The server hears of it, and closes the connection."""
    start, part, failed = asked(Shortcut(api), "/break")
    assert (200, b"begun", "failed") == (start["status"], part["body"], failed["type"])


def test_only_paths_without_parameters_are_in_the_table(api: FastAPI) -> None:
    """And only where nothing before them takes their requests."""
    short = Shortcut(api)
    api.router.routes.clear()
    found = {
        path
        for path in ("/one/x", "/one/hidden", "/two", "/two/x", "/echo")
        if asked(short, path)[0]["status"] == 200
    }
    assert {"/two", "/echo"} == found
