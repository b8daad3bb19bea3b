"""Clients that close their side of a connection once they have asked."""

import socket

from tests.servers.jac_server import HOST, JacServer


def received(server: JacServer, text: str) -> str:
    """Send something and the end of it; return all that comes before the server closes, too."""
    with socket.create_connection((HOST, server.port), timeout=20) as connection:
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts).decode()


def post(path: str, body: str) -> str:
    """Return a request."""
    kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
    return f"POST {path} HTTP/1.1\r\nHost: here\r\n{kind}\r\n\r\n{body}"


def test_client_that_sends_no_more_is_answered(api: JacServer) -> None:
    """What it asked for has been done, so it is told."""
    answer = received(api, post("/function/shout", '{"word": "one"}'))
    assert answer.startswith("HTTP/1.1 200 OK")
    assert "connection: close" in answer.lower()
    assert '"result":"ONE' in answer


def test_each_of_several_requests_is_answered(api: JacServer) -> None:
    """The connection ends after the last of them."""
    two = post("/function/shout", '{"word": "one"}') + post("/function/shout", '{"word": "two"}')
    answers = received(api, two)
    assert 2 == answers.count("HTTP/1.1 200 OK")
    assert answers.index('"result":"ONE') < answers.index('"result":"TWO')


def test_half_of_a_request_is_not_waited_for(api: JacServer) -> None:
    """Its client says that nothing will come."""
    assert "" == received(api, "")
    assert "" == received(api, "POST /function/shout HTTP/1.1\r\nHost: he")
    assert "200" not in received(api, post("/function/shout", '{"word": "one"}')[:-1])


def test_stream_to_a_client_that_sends_no_more_ends(api: JacServer) -> None:
    """Nobody can tell it from one that has left, also before the stream begins."""
    answer = received(api, post("/function/tick", '{"n": 1000000, "seconds": 1}'))
    assert "event: end" not in answer
