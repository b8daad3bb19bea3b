"""Requests that a proxy before us might read in another way than we do: refused, not guessed."""

import socket
from contextlib import suppress

import pytest

from tests.servers.jac_server import HOST, JacServer

NEXT = "GET /smuggled HTTP/1.1\r\nHost: here\r\n\r\n"


def answers(server: JacServer, head: str, body: str) -> list[str]:
    """Send a request, and another one in its body; returns the status lines."""
    text = f"POST /function/add HTTP/1.1\r\nHost: here\r\n{head}\r\n\r\n{body}{NEXT}"
    received = b""
    with socket.create_connection((HOST, server.port), timeout=10) as connection:
        connection.sendall(text.encode("latin-1"))
        with suppress(TimeoutError, ConnectionError):
            connection.settimeout(3)
            while part := connection.recv(4096):
                received += part
    lines = received.decode().split("\r\n")
    return [line for line in lines if line.startswith("HTTP/1.1 ")]


@pytest.mark.parametrize(
    ("head", "body"),
    [
        pytest.param("Content-Length: 2\r\nContent-Length: 43", "{}", id="two-lengths"),
        pytest.param("Content-Length: 2, 43", "{}", id="list-of-lengths"),
        pytest.param("Content-Length: +2", "{}", id="length-with-a-sign"),
        pytest.param("Content-Length: -2", "{}", id="length-below-nought"),
        pytest.param("Content-Length: 0x2", "{}", id="length-in-hex"),
        pytest.param(
            "Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n", id="length-and-chunks"
        ),
        pytest.param(
            "Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n", id="chunks-and-length"
        ),
        pytest.param("Transfer-Encoding: xchunked", "0\r\n\r\n", id="no-encoding"),
        pytest.param("Transfer-Encoding: chunked, identity", "0\r\n\r\n", id="chunks-not-last"),
        pytest.param("Transfer-Encoding : chunked", "0\r\n\r\n", id="blank-before-the-colon"),
        pytest.param(
            "Transfer-Encoding: chunked", "fffffffffffffffff1\r\n", id="chunk-without-bounds"
        ),
        pytest.param("Transfer-Encoding: chunked", "-1\r\n", id="chunk-below-nought"),
        pytest.param("Content-Length: 2\r\nX-Folded: a\r\n b: c", "{}", id="folded"),
        pytest.param("Content-Length: 2\r\nX-Null: a\0b", "{}", id="null"),
        pytest.param("Content-Length: 2\r\nX Blank: a", "{}", id="blank-in-a-name"),
    ],
)
def test_request_of_two_meanings_is_refused(api: JacServer, head: str, body: str) -> None:
    """And what comes after it on the connection is no request of anybody."""
    found = answers(api, head, body)
    assert ["HTTP/1.1 400 Bad Request"] == found
