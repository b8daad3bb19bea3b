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


def test_false_length_does_not_help() -> None:
    """What comes counts, not what was promised."""
    assert 413 == status_of([b"x" * 11], [(b"content-length", b"1")])


def test_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is sent byte by byte; whoever sends enough of it may take as long as it needs."""
    monkeypatch.setattr(f"{LIMITS}.PATIENCE", 0.2)
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
    asyncio.run(BodyLimit(echo_length, max_bytes=10)(scope, receive, send))
    status: int = sent[0]["status"]
    return status
