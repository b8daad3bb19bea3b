"""The body limit, chunk by chunk."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from jac_converge.app_runtime.limits import BodyLimit

LIMITS = "jac_converge.app_runtime.limits"


async def echo_length(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the length of the body."""
    body = await Request(scope, receive).body()
    await PlainTextResponse(str(len(body)))(scope, receive, send)


def status_of(chunks: list[bytes], headers: list[tuple[bytes, bytes]]) -> int:
    """Send chunks through a limit of 10 bytes; returns the status of the answer."""
    incoming: list[Message] = [
        {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
    ]
    incoming.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    asyncio.run(BodyLimit(echo_length, max_bytes=10)(scope, receive, send))
    status: int = sent[0]["status"]
    return status


def test_body_within_the_limit_passes() -> None:
    """Up to the last byte."""
    assert 200 == status_of([b"12345", b"67890"], [])


def test_chunks_beyond_the_limit_are_refused() -> None:
    """Without a length, as soon as too much has come."""
    assert 413 == status_of([b"12345", b"67890", b"1"], [])


def test_declared_length_is_refused_unread() -> None:
    """No chunk is asked for."""
    assert 413 == status_of([], [(b"content-length", b"11")])


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ((b"content-encoding", b"gzip"), 415),
        ((b"content-encoding", b"Identity"), 200),
        ((b"content-encoding", b"identity, br"), 415),
        ((b"content-type", b"application/json"), 200),
        ((b"content-type", b'application/json; Charset="UTF-8"'), 200),
        ((b"content-type", b"application/json;charset=utf-16"), 415),
        ((b"content-type", b"text/plain; a=b; charset = latin1"), 415),
        ((b"content-type", b"application/json; charset="), 415),
    ],
)
def test_body_is_read_as_it_is_said_to_be_or_not_at_all(
    header: tuple[bytes, bytes], status: int
) -> None:
    """Compressed, or in another charset, it would mean something else; without one, nothing."""
    length = (b"content-length", b"5")
    assert status == status_of([b"12345"], [length, header])
    assert status == status_of([b"12345"], [(b"transfer-encoding", b"chunked"), header])
    identity = (b"content-encoding", b"identity")
    assert status == status_of([b"12345"], [length, identity, header, identity])
    assert 200 == status_of([], [header])


def test_false_length_does_not_help() -> None:
    """What comes counts, not what was promised."""
    assert 413 == status_of([b"x" * 11], [(b"content-length", b"1")])


def test_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is sent byte by byte; whoever sends enough of it may take as long as it needs."""
    assert 408 == slow_status(1000)
    monkeypatch.setattr(f"{LIMITS}.SLOWEST", 1)
    assert 200 == slow_status(8)


def slow_status(most: int) -> int:
    """Send so many bytes, one by one; returns the status of the answer."""
    sent: list[Message] = []
    left = iter(range(most, -1, -1))

    async def receive() -> Message:
        await asyncio.sleep(0.05)
        return {"type": "http.request", "body": b"1", "more_body": next(left) > 0}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "headers": []}
    asyncio.run(BodyLimit(echo_length, max_bytes=10, within=0.2)(scope, receive, send))
    status: int = sent[0]["status"]
    return status


def test_body_that_does_not_come_is_refused() -> None:
    """It has a time; and more of it the more has come."""
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(60)
        return {}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "headers": []}
    asyncio.run(BodyLimit(echo_length, max_bytes=10, within=0.01)(scope, receive, send))
    assert 408 == sent[0]["status"]
    assert (b"connection", b"close") in sent[0]["headers"]


def test_end_of_a_complete_body_is_waited_for() -> None:
    """Who listens for the end of a connection does so for as long as it takes."""

    async def listen(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"
        await PlainTextResponse("left")(scope, receive, send)

    incoming: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]
    sent: list[Message] = []

    async def receive() -> Message:
        if incoming:
            return incoming.pop(0)
        await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "headers": []}
    asyncio.run(BodyLimit(listen, max_bytes=10, within=0.01)(scope, receive, send))
    assert 200 == sent[0]["status"]
