"""Clients that take their time, and hold what others need."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.servers.jac_server import JacServer

APP = Path(__file__).parent / "apps" / "files" / "files.jac"
HEAD = b"POST %b HTTP/1.1\r\nHost: here\r\nContent-Type: %b\r\nContent-Length: 100000\r\n\r\n"
FORM = b"multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + b"x" * 5000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give a server that waits for a second."""
    folder = tmp_path_factory.mktemp("slow")
    made = JacServer(APP, folder)
    (folder / "jac.toml").write_text("[converge.server]\nrequest_timeout = 1\n")
    with made:
        yield made


def answered(server: JacServer, *pieces: bytes) -> bytes:
    """Send something, and nothing more; return all that comes until the connection is closed."""
    with socket.create_connection((server.host, server.port), timeout=20) as connection:
        for piece in pieces:
            connection.sendall(piece)
        received = b""
        with suppress(ConnectionError):
            while part := connection.recv(65536):
                received += part
        return received


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"GET / HT"], id="half a line"),
        pytest.param([b"GET / HTTP/1.1\r\nHost: here\r\n", b"X-More: "], id="half a head"),
    ],
)
def test_request_that_does_not_come_is_a_408(server: JacServer, pieces: list[bytes]) -> None:
    """Whatever it has sent of one."""
    assert answered(server, *pieces).startswith(b"HTTP/1.1 408")


def test_connection_without_a_request_is_closed(server: JacServer) -> None:
    """There is nothing to say to who said nothing."""
    assert b"" == answered(server)


def test_second_head_has_to_end_as_well(server: JacServer) -> None:
    """After a first request that was answered."""
    text = answered(server, b"GET /healthz/live HTTP/1.1\r\nHost: here\r\n\r\nGET / HT")
    assert text.startswith(b"HTTP/1.1 200")
    assert 1 == text.count(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        (b"/walker/get", b"application/json", b'{"name": '),
        (b"/user/login", b"application/json", b""),
        (b"/walker/put", FORM, PART),
    ],
)
def test_body_that_does_not_end_is_a_408(
    server: JacServer, path: bytes, kind: bytes, body: bytes
) -> None:
    """And its connection ends, and nothing is left of it."""
    text = answered(server, HEAD % (path, kind), body)
    assert text.startswith(b"HTTP/1.1 408")
    assert b"BODY_TOO_SLOW" in text
    assert b"connection: close" in text.lower()
    assert not (server.file.parent / "storage").exists()
