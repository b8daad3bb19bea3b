"""Heads of requests that do not come, on a real connection."""

import asyncio
import socket
from collections.abc import Iterator
from threading import Thread

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from jac_converge.app_runtime.kept import KeptConnections
from tests.servers.process import free_port, wait_until

HEAD = b"GET / HTTP/1.1\r\nHost: here\r\n"


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Give the port of a server of this process that is soon out of patience."""
    monkeypatch.setattr("jac_converge.app_runtime.heads.WITHIN", 0.5)
    chosen = free_port()
    config = uvicorn.Config(
        PlainTextResponse("here"),
        port=chosen,
        http=KeptConnections,
        ws="none",
        timeout_keep_alive=1,
        lifespan="off",
        log_config=None,
    )
    server = uvicorn.Server(config)
    thread = Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        wait_until(lambda: server.started, within=10, what="the server")
        yield chosen
    finally:
        server.should_exit = True
        thread.join(10)


def received(port: int, *parts: bytes) -> bytes:
    """Send something, and read until the other end closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
        found = b""
        while part := connection.recv(4096):
            found += part
    return found


def test_head_that_does_not_end_is_given_up(port: int) -> None:
    """Also the second one of a connection; with nothing to say where nobody asked for anything."""
    assert received(port, HEAD).startswith(b"HTTP/1.1 408 ")
    assert b"" == received(port)
    first, _, second = received(port, HEAD + b"\r\n", HEAD).partition(b"here")
    assert first.startswith(b"HTTP/1.1 200 ")
    assert second.startswith(b"HTTP/1.1 408 ")


def test_connection_that_asks_in_time_is_kept(port: int) -> None:
    """For as long as it may be idle, which is longer."""
    answered = received(port, HEAD + b"\r\n")
    assert answered.startswith(b"HTTP/1.1 200 ")
    assert b" 408 " not in answered
