"""HEAD, on a real server: what GET would say of itself, and no body."""

from collections.abc import Iterator

import pytest

from tests.servers.jac_server import JacServer
from tests.servers.process import wait_until

APP = """
import asyncio;
import from collections.abc { AsyncGenerator }
import from http { HTTPMethod }

glob ended: list = [];

@restspec(method=HTTPMethod.GET, path="/greeting")
def:pub greet(name: str = "you") -> str {
    return f"hello, {name}";
}

@restspec(method=HTTPMethod.GET, path="/private")
def secret -> str {
    return "hidden";
}

@restspec(method=HTTPMethod.GET, path="/feed")
async def:pub feed -> AsyncGenerator[int, None] {
    try {
        while True {
            yield 1;
            await asyncio.sleep(0.01);
        }
    } finally {
        ended.append(1);
    }
}

def:pub feeds_that_ended -> int {
    return len(ended);
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give a small app with routes for GET."""
    app = tmp_path_factory.mktemp("head") / "source" / "tiny.jac"
    app.parent.mkdir()
    app.write_text(APP)
    with JacServer(app, app.parent.with_name("run")) as running:
        yield running


@pytest.mark.parametrize(
    "path",
    [
        "/", "/greeting?name=ann", "/private", "/docs", "/docs/assets/swagger-ui.css",
        "/openapi.json", "/healthz/ready", "/walkers", "/nowhere",
    ],
)  # fmt: skip
def test_head_is_the_head_of_get(server: JacServer, path: str) -> None:
    """The same status, length and kind, and not one byte of body."""
    get, head = server.get(path), server.send("HEAD", path)
    assert get.status == head.status
    assert b"" == head.body
    for name in ("Content-Type", "ETag", "Cache-Control", "X-Frame-Options", "WWW-Authenticate"):
        assert get.headers[name] == head.headers[name]
    if get.status == 200:
        assert get.headers["Content-Length"] == head.headers["Content-Length"]


def test_head_of_what_has_no_get_is_refused(server: JacServer) -> None:
    """As GET is."""
    assert server.get("/user/login").status == server.send("HEAD", "/user/login").status == 405


def test_head_of_a_stream_ends(server: JacServer) -> None:
    """And so does the generator behind it, which nobody hears."""
    head = server.send("HEAD", "/feed")
    assert (200, "text/event-stream; charset=utf-8") == (head.status, head.headers["Content-Type"])
    wait_until(
        lambda: server.call("/function/feeds_that_ended").result == 1,
        within=10,
        what="the end of the generator",
    )
