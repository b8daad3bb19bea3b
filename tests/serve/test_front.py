"""What every answer has: an id, a line in the log, compression; on a real server."""

import gzip
import http.client
import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.servers.jac_server import HOST, JacServer
from tests.servers.process import wait_until

APP = """
import from collections.abc { Generator }

walker:pub sizes {
    has n: int;

    can look with Root entry {
        report "x" * self.n;
    }
}

walker:pub fail {
    can look with Root entry {
        raise ValueError("the secret is 42");
    }
}

def:pub tick(n: int) -> Generator {
    for number in range(n) {
        yield number;
    }
}
"""
TOML = """
[converge.server]
access_log = true
trusted_proxies = ["127.0.0.1"]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give one worker that logs requests and trusts this machine as a proxy."""
    folder = tmp_path_factory.mktemp("front")
    (folder / "sizes.jac").write_text(APP)
    (folder / "jac.toml").write_text(TOML)
    with JacServer(folder / "sizes.jac", folder / "served") as running:
        yield running


def raw(
    server: JacServer, method: str, path: str, body: str | None = None, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Send a request; give status, headers and body as they came."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(http.client.HTTPConnection(HOST, server.port, timeout=20)) as connection:
        connection.request(method, path, body, {"Content-Type": "application/json"} | sent)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def test_id_of_a_client_is_in_answer_envelope_and_log(server: JacServer) -> None:
    """So one request can be followed through many servers."""
    sent = {"X-Request-Id": "trace-4711.a"}
    answer = server.send("POST", "/walker/fail", {}, headers=sent)
    assert (500, "trace-4711.a") == (answer.status, answer.headers["X-Request-Id"])
    assert "trace-4711.a" == answer.body["meta"]["extra"]["request_id"]
    assert "fail raised request=trace-4711.a" in server.log_text()


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "a\tb", 'a"b', "\xe4"])
def test_id_that_is_none_is_replaced(server: JacServer, sent: str) -> None:
    """It would go into logs and headers."""
    _, headers, _ = raw(server, "GET", "/nowhere", X_Request_Id=sent)
    assert re.fullmatch("[a-p]{16}", headers["X-Request-Id"])


def test_every_answer_has_an_id_of_its_own(server: JacServer) -> None:
    """Whether it is a success, an error, or none of ours."""
    answers = [server.get(path) for path in ("/", "/", "/nowhere", "/docs", "/healthz/live")]
    answers.append(server.call("/function/tick", n=1))
    ids = {answer.headers["X-Request-Id"] for answer in answers}
    assert len(answers) == len(ids)


def test_request_is_a_line_without_its_query(server: JacServer) -> None:
    """With status, time and the client that a trusted proxy names; probes have none."""
    server.send("GET", "/nowhere/at%0Aall?token=hidden", headers={"X-Forwarded-For": "8.8.4.4"})
    line = r"GET /nowhere/at%0Aall 404 in \d+\.\d ms from 8\.8\.4\.4 request=[a-p]{16}\n"
    wait_until(lambda: re.search(line, server.log_text()) is not None, within=5, what="the line")
    assert "hidden" not in server.log_text()
    server.get("/healthz/live")
    assert "/healthz/" not in server.log_text()


def test_large_answer_is_compressed_for_who_takes_that(server: JacServer) -> None:
    """And says for caches that another client gets another one."""
    body = '{"n": 50000}'
    _, headers, content = raw(server, "POST", "/walker/sizes", body, Accept_Encoding="gzip, br")
    assert ("gzip", "Accept-Encoding") == (headers["Content-Encoding"], headers["Vary"])
    assert len(content) == int(headers["Content-Length"]) < 1000
    _, plain_headers, plain = raw(server, "POST", "/walker/sizes", body)
    assert (None, "Accept-Encoding") == (plain_headers["Content-Encoding"], plain_headers["Vary"])
    _, refused, _ = raw(server, "POST", "/walker/sizes", body, Accept_Encoding="br, gzip;q=0")
    assert (None, "Accept-Encoding") == (refused["Content-Encoding"], refused["Vary"])
    assert all(b"x" * 50_000 in one for one in (plain, gzip.decompress(content)))


def test_small_answer_and_stream_are_not_compressed(server: JacServer) -> None:
    """One gains nothing, and the other must not wait."""
    for path, body in (("/walker/sizes", '{"n": 5}'), ("/function/tick", '{"n": 500}')):
        _, headers, _ = raw(server, "POST", path, body, Accept_Encoding="gzip")
        assert headers["Content-Encoding"] is None


def test_file_that_a_client_has_is_not_sent_again(server: JacServer) -> None:
    """By its tag; with another tag it is."""
    path = "/docs/assets/swagger-ui.css"
    status, headers, content = raw(server, "GET", path)
    assert (200, True) == (status, len(content) > 1000)
    tag = headers["ETag"]
    for sent in (tag, f'"other", W/{tag}', "*"):
        status, again, content = raw(server, "GET", path, If_None_Match=sent)
        assert (304, b"", tag) == (status, content, again["ETag"])
    assert 200 == raw(server, "GET", path, If_None_Match='"other"')[0]
    _, packed, content = raw(server, "GET", path, Accept_Encoding="gzip")
    assert "gzip" == packed["Content-Encoding"]
    assert 304 == raw(server, "GET", path, Accept_Encoding="gzip", If_None_Match=tag)[0]
