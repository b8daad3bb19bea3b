"""The proxy does to connections what it says."""

import socket
from collections.abc import Iterator

import pytest

from tests.servers.process import wait_until
from tests.servers.redis_server import RedisServer
from tests.servers.tcp_proxy import TcpProxy


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[TcpProxy]:
    """Give a proxy in front of a Redis."""
    with TcpProxy(redis_server.port) as running:
        yield running


def connect(proxy: TcpProxy) -> socket.socket:
    """Open a connection through it that gives up after half a second of silence."""
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=0.5)


def ping(connection: socket.socket) -> bytes:
    """Ask the server behind it."""
    connection.sendall(b"PING\r\n")
    return connection.recv(64)


def test_proxy_passes_and_counts(proxy: TcpProxy) -> None:
    """Bytes pass both ways, and an end passes too."""
    with connect(proxy) as connection:
        answer = ping(connection)
        connection.shutdown(socket.SHUT_WR)
        end = connection.recv(64)

    assert (b"+PONG\r\n", b"") == (answer, end)
    assert (1, 6, 7) == (proxy.accepted, proxy.bytes_up, proxy.bytes_down)
    wait_until(lambda: proxy.open == 0, within=5, what="the end of the connection")


def test_proxy_resets_when_cut(proxy: TcpProxy) -> None:
    """A cut resets what is open; the next connection passes."""
    with connect(proxy) as connection:
        ping(connection)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(64)

    with connect(proxy) as connection:
        assert b"+PONG\r\n" == ping(connection)


def test_proxy_goes_mute_when_stalled(proxy: TcpProxy) -> None:
    """Old and new connections wait without an answer, and get it when the proxy resumes."""
    with connect(proxy) as old:
        ping(old)
        proxy.stall()
        with connect(proxy) as new:
            for connection in (old, new):
                with pytest.raises(TimeoutError):
                    ping(connection)
            proxy.resume()
            answers = [connection.recv(64) for connection in (old, new)]

    assert [b"+PONG\r\n"] * 2 == answers


def test_proxy_refuses_until_it_resumes(proxy: TcpProxy) -> None:
    """It leaves its port and comes back to it."""
    with connect(proxy) as connection:
        ping(connection)
        proxy.refuse()
        with pytest.raises(ConnectionResetError):
            connection.recv(64)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)

    proxy.resume()

    with connect(proxy) as connection:
        assert b"+PONG\r\n" == ping(connection)


def test_proxy_cuts_what_is_stalled(proxy: TcpProxy) -> None:
    """A connection that was mute is reset all the same."""
    with connect(proxy) as connection:
        proxy.stall()
        wait_until(lambda: proxy.open == 1, within=5, what="the connection")
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(64)


def test_proxy_resets_when_the_server_is_gone(proxy: TcpProxy, redis_server: RedisServer) -> None:
    """A dead server behind it is a dead connection."""
    redis_server.kill9()

    # The reset may come before `connect` has returned.
    with pytest.raises(ConnectionResetError), connect(proxy) as connection:
        ping(connection)
