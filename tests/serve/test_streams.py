"""Generators as server-sent events, on a real server."""

import http.client
import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.servers.jac_server import HOST, JacServer
from tests.servers.process import wait_until

API = Path(__file__).parent / "apps" / "api"


@contextmanager
def opened(server: JacServer, path: str, **fields: Any) -> Iterator[http.client.HTTPResponse]:
    """Begin a call, and hang up at the end."""
    with closing(http.client.HTTPConnection(HOST, server.port, timeout=20)) as connection:
        kind = {"Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(fields), kind)
        answer = connection.getresponse()
        yield answer
        answer.close()


def event(answer: http.client.HTTPResponse) -> list[str]:
    """Read the lines of one event."""
    lines = []
    while line := answer.readline().decode().rstrip("\n"):
        lines.append(line)
    return lines


@pytest.mark.parametrize(
    ("path", "fields", "items"),
    [
        pytest.param("/function/narrate", {"n": 2}, ['"chunk 0"', '"chunk 1"'], id="reported"),
        pytest.param("/function/count_up", {"n": 2}, ["0", "1"], id="returned"),
        pytest.param("/function/tick", {"n": 2}, ['{"tick":0}', '{"tick":1}'], id="asynchronous"),
        pytest.param("/function/count_up", {"n": 0}, [], id="empty"),
    ],
)
def test_generator_is_sent_item_by_item(
    api: JacServer, path: str, fields: dict[str, int], items: list[str]
) -> None:
    """In the form that jaclang documents."""
    answer = api.call(path, **fields)
    assert 200 == answer.status
    assert "text/event-stream; charset=utf-8" == answer.headers["Content-Type"]
    assert "no-cache" == answer.headers["Cache-Control"]
    events = "".join(f"data: {item}\n\n" for item in items) + "event: end\ndata: {}\n\n"
    assert events == answer.body.decode()


def test_description_says_who_may_stream(api: JacServer) -> None:
    """A function that gives a generator, and a walker that has such a function to report one of."""
    paths = api.get("/openapi.json").body["paths"]
    kinds = {
        name: sorted(paths[f"/{name}"]["post"]["responses"]["200"]["content"])
        for name in ("walker/counting", "walker/waiting", "function/count_up", "walker/notes")
    }
    both = ["application/json", "text/event-stream"]
    assert both == kinds["walker/counting"] == kinds["walker/waiting"]
    assert "text/event-stream" in kinds["function/count_up"]
    assert ["application/json"] == kinds["walker/notes"]


@pytest.mark.parametrize("path", ["/function/narrate", "/function/tick"])
def test_item_is_sent_when_it_is_yielded(api: JacServer, path: str) -> None:
    """Nobody waits for the last to see the first."""
    began = monotonic()
    with opened(api, path, n=100, seconds=0.4) as answer:
        assert event(answer)[0].startswith("data: ")
        assert event(answer)[0].startswith("data: ")
    assert monotonic() - began < 100 * 0.4 / 2


def test_stream_outlives_the_time_of_a_call(api: JacServer) -> None:
    """`request_timeout` (3 s here) is for the call that begins it."""
    answer = api.call("/function/tick", n=5, seconds=0.8)
    assert answer.body.endswith(b'data: {"tick":4}\n\nevent: end\ndata: {}\n\n')


def test_generator_that_fails_says_so_and_no_more(api: JacServer) -> None:
    """The log has the rest."""
    answer = api.call("/function/break_off")
    first, last = answer.body.decode().split("\n\n")[:2]
    assert "data: 1" == first
    name, data = last.split("\n")
    assert "event: error" == name
    told = json.loads(data.removeprefix("data: "))
    assert ("ValueError", "EXECUTION_ERROR") == (told["error_type"], told["code"])
    assert "42" not in told["message"]
    assert "the secret is 42" in api.log_text()


def test_item_without_a_form_ends_the_stream(api: JacServer) -> None:
    """With the code that such a report has."""
    assert b'"code": "UNSUPPORTED_VALUE"' in api.call("/function/cannot_send_all").body


def test_generator_beside_other_reports_is_refused(api: JacServer) -> None:
    """There is no place for them in a stream."""
    answer = api.call("/walker/two_at_once")
    assert (500, "UNSUPPORTED_VALUE") == (answer.status, answer.code)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[JacServer]:
    """Give a server to one test alone."""
    server = JacServer(API / "api.jac", tmp_path / "own")
    shutil.copy(API / "words.jac", server.file.parent)
    toml = server.file.with_name("jac.toml")
    toml.write_text(toml.read_text() + "metrics_enabled = true\n")
    with server:
        yield server


def test_what_a_generator_changes_is_stored_at_its_end(own: JacServer) -> None:
    """It reads its own writes before that."""
    answer = own.call("/walker/counting", n=2)
    assert b'data: ["begun","item 0","item 1"]' in answer.body
    assert [["begun", "item 0", "item 1"]] == own.call("/walker/notes").reports


def test_client_that_leaves_ends_its_generator(own: JacServer, tmp_path: Path) -> None:
    """Its `finally` runs, what it changed is not stored, and no thread is left."""
    mark = tmp_path / "ended"
    with opened(own, "/walker/counting", n=1000, mark=str(mark), seconds=0.05) as answer:
        event(answer)
    wait_until(mark.exists, within=10, what="the end of the generator")
    wait_until(lambda: not running(own), within=10, what="the end of its thread")
    assert [["begun"]] == own.call("/walker/notes").reports


def test_client_that_leaves_ends_a_generator_that_waits(own: JacServer, tmp_path: Path) -> None:
    """An asynchronous one is cancelled where it waits."""
    mark = tmp_path / "ended"
    with opened(own, "/walker/waiting", mark=str(mark)) as answer:
        assert ['data: "listening"'] == event(answer)
        assert not mark.exists()
    wait_until(mark.exists, within=10, what="the end of the generator")


def test_server_that_stops_tells_its_streams(own: JacServer, tmp_path: Path) -> None:
    """A stream without an end must not hold up the drain."""
    with opened(own, "/walker/waiting", mark=str(tmp_path / "ended")) as answer:
        event(answer)
        own.signal(signal.SIGTERM)
        assert "event: error" == event(answer)[0]
    assert 0 == own.wait_for_exit(within=4)


def running(server: JacServer) -> int:
    """Return how many threads are at work for calls."""
    text = server.get("/metrics").body.decode()
    (line,) = [it for it in text.splitlines() if it.startswith("jac_calls_running{")]
    return int(float(line.rpartition(" ")[2]))
