"""What a client is told of a commit to MongoDB that is too large, or takes too long."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.jac_server import JacServer
from tests.servers.mongo_proxy import MongoProxy
from tests.servers.mongo_server import MongoServer
from tests.servers.process import wait_until

LARGE = Path(__file__).parent / "apps" / "large" / "large.jac"


@pytest.fixture
def proxy(mongo_server: MongoServer) -> Iterator[MongoProxy]:
    """Give a proxy before an empty MongoDB."""
    with MongoProxy(mongo_server.port) as proxy:
        yield proxy


@pytest.fixture
def server(proxy: MongoProxy, tmp_path: Path) -> Iterator[JacServer]:
    """Give a server on it, that has two notes."""
    env = os.environ | {"MONGODB_URI": proxy.url + "notes"}
    with JacServer(LARGE, tmp_path, env=env) as server:
        assert [] == server.call("/walker/note").reports
        yield server


def test_node_that_is_too_large_is_refused(server: JacServer) -> None:
    """The client learns the limit and what to do; of the whole call nothing is stored."""
    answer = server.call("/walker/note", size=9_000_000)
    assert (413, "TOO_LARGE") == (answer.status, answer.code)
    message = answer.body["error"]["message"]
    assert "MongoDB takes 8355840 of one node or edge; spread its fields" in message
    assert message.endswith("nothing was stored")
    assert [2] == server.call("/walker/notes").reports
    assert [] == server.call("/walker/note", size=8_000_000).reports
    assert [4] == server.call("/walker/notes").reports


@pytest.mark.parametrize(
    ("write", "code"),
    [(1, "TIMEOUT"), (2, "TIMEOUT"), (3, "OUTCOME_UNKNOWN")],
    ids=["record", "locks", "decision"],
)
def test_commit_that_takes_too_long_is_called_off(
    server: JacServer, proxy: MongoProxy, write: int, code: str
) -> None:
    """Up to the write that decides, it is known that nothing is stored, nor will be."""
    release = threading.Event()
    proxy.reset()
    proxy.before(write, release.wait)
    try:
        answer = server.call("/walker/forget")
        sent = proxy.done
    finally:
        release.set()
    assert (504, code) == (answer.status, answer.code)
    if code == "TIMEOUT":
        message = answer.body["error"]["message"]
        assert "request_timeout of 3 s is over; nothing was stored, nor will be" in message
        assert "do less in one call, or raise [converge.server] request_timeout" in message
    # The record is deleted at the end, whatever became of it.
    wait_until(lambda: proxy.commands["delete"] > 0, within=20, what="the end of the commit")
    wait_until(lambda: proxy.done > sent, within=20, what="its answers")
    assert [2 if code == "TIMEOUT" else 0] == server.call("/walker/notes").reports
