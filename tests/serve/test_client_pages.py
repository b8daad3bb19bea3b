"""The pages of an app with a client side, on real servers: none, built, broken, brought along."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.serve.conformance import EVERYWHERE, ask_everything
from tests.servers.browser import Browser
from tests.servers.jac_server import Answer, JacServer
from tests.servers.process import wait_until

EXAMPLE = Path(__file__).parents[2] / "examples" / "fullstack"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
BUNDLE = 'document.getElementById("root").textContent = "here";\n'
BUNDLER = """#!/bin/sh
# Fails as Vite does.
[ "$1" = x ] || exit 0
rm -rf dist/* && mkdir -p dist && echo half >dist/client.half.js
echo "look.css: $(cat ../../look.css)" >&2
exit 1
"""
ENVIRON = os.environ | {"PATH": "/nowhere"}
"""Of a machine that can build no bundle."""


class Folder:
    """The example, for servers that come one after the other.

    What the compiler says of it takes seconds, and is kept there.
    """

    def __init__(self, folder: Path) -> None:
        """Copy it."""
        tools = folder / "bin"
        tools.mkdir()
        (tools / "bun").write_text(BUNDLER)
        (tools / "bun").chmod(0o755)
        # All of them before the first one starts: each copies the app, which is then newer.
        with_bundler = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
        self.alone = self._server(folder, env=ENVIRON)
        self.building = self._server(folder)
        self.reloading = self._server(folder, "--reload", env=with_bundler)
        shutil.copytree(EXAMPLE / "assets", self.alone.file.parent / "assets")
        self.client = self.alone.file.parent / ".jac" / "client"

    @staticmethod
    def _server(folder: Path, *flags: str, env: Mapping[str, str] | None = None) -> JacServer:
        server = JacServer(EXAMPLE / "guestbook.jac", folder / "served", *flags, env=env)
        server._ready_within = 240.0  # until it is compiled and built
        return server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Give the example; nothing runs."""
    return Folder(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def server(folder: Folder) -> Iterator[JacServer]:
    """Give it with a bundle such as Vite leaves, which nobody built."""
    dist = folder.client / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    (dist / "assets").mkdir(parents=True)
    (dist / "client.AbCd-123.js").write_text(BUNDLE)
    (dist / "client.AbCd-123.js.map").write_text('{"sourcesContent": ["node Entry"]}')
    (dist / "styles.css").write_text("main { color: red; }\n")
    (dist / "assets" / "part-Ab_d1234.js").write_text("export const part = 1;\n")
    (dist / "notes.txt").write_text("plain\n")
    with folder.alone as running:
        yield running


def navigate(server: JacServer, path: str) -> Answer:
    """Open a path as a browser does that goes there."""
    return server.send("GET", path, headers=BROWSER)


def test_guest_book_is_built_and_signed_in_a_browser(
    folder: Folder, client_packages: Path, browser: Browser
) -> None:
    """And read by another one, at a path of the app's own; a second start builds nothing."""
    toml = folder.building.file.with_name("jac.toml").read_text()
    folder.client.mkdir(parents=True, exist_ok=True)
    (folder.client / "node_modules").symlink_to(client_packages)
    with folder.building as server:
        url = f"http://{server.host}:{server.port}"
        with browser.page() as page:
            complaints: list[str] = []
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(url)
            expect(page).to_have_title("Guest book")
            page.get_by_placeholder("your name").fill("ann")
            page.get_by_placeholder("what you want to say").fill("<b>hello</b>")
            page.get_by_role("button", name="Sign").click()
            expect(page.get_by_role("listitem")).to_have_text("ann: <b>hello</b>")
            expect(page.get_by_role("alert")).to_have_count(0)
            assert [] == complaints
        with browser.page() as page:
            page.goto(f"{url}/somewhere/else")
            expect(page.get_by_role("listitem")).to_have_text("ann: <b>hello</b>")
        (entry,) = server.call("/walker/entries").reports
        assert "ann" == entry["author"]
        (script,) = re.findall(r'src="(/static/client\.[^"]+\.js)"', server.get("/").body.decode())
        assert "immutable" in server.get(script).headers["Cache-Control"]
    assert toml == folder.building.file.with_name("jac.toml").read_text()
    built = (folder.client / "dist").stat().st_mtime_ns
    with folder.building as server:
        assert script in server.get("/").body.decode()
    assert built == (folder.client / "dist").stat().st_mtime_ns


def test_api_is_served_alone_where_no_bundle_can_be_had(folder: Folder) -> None:
    """And one line says why, and what to do."""
    shutil.rmtree(folder.client / "dist", ignore_errors=True)
    with folder.alone as server:
        lines = [
            line for line in server.log_text().splitlines() if "pages of guestbook.jac" in line
        ]
        assert 1 == len(lines)
        assert "neither Bun nor npm is on PATH" in lines[0]
        assert "guestbook" == server.get("/").body["data"]["name"]
        assert 404 == navigate(server, "/books").status
        assert 200 == server.call("/walker/entries").status


def test_pages_that_cannot_be_built_say_so(folder: Folder, browser: Browser) -> None:
    """In the terminal and above the pages of before, which stay; the API is served, too."""
    dist = folder.client / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir(parents=True)
    (dist / "client.before.js").write_text(BUNDLE)
    folder.reloading.file.with_name("look.css").write_text("broken <b>")
    with folder.reloading as server, browser.page() as page:
        page.goto(f"http://{server.host}:{server.port}/")
        expect(page.locator("#root")).to_have_text("here")
        expect(page.get_by_role("alert")).to_contain_text("look.css: broken <b>")
        assert "served as they were built before: " in server.log_text()
        assert "look.css: broken <b>" in server.log_text()
        assert 200 == server.call("/walker/entries").status
        assert ["client.before.js"] == [path.name for path in dist.iterdir()]
        # And where there are none of before: a browser gets it in their place.
        shutil.rmtree(dist)
        (server.file.with_name("look.css")).write_text("broken <i>")
        wait_until(lambda: navigate(server, "/").status == 503, within=120, what="the error")
        page.reload()
        expect(page.get_by_role("alert")).to_contain_text("look.css: broken <i>")
        assert 200 == server.get("/").status


@pytest.mark.parametrize("path", ["/", "/cl/app", "/books/7", "/books/7?page=2"])
def test_browser_gets_the_page_wherever_it_goes(server: JacServer, path: str) -> None:
    """The app has routes of its own, so a link into it has to work."""
    answer = navigate(server, path)
    assert (200, "text/html") == (answer.status, answer.headers.get_content_type())
    text = answer.body.decode()
    assert "<title>Guest book</title>" in text
    assert '<meta name="description" content="Sign it, and read who did">' in text
    assert '<link rel="icon" href="/book.svg">' in text
    assert '<div id="root"></div>' in text
    assert '<script type="module" src="/static/client.AbCd-123.js"></script>' in text
    init = json.loads(text.partition('type="application/json">')[2].partition("</script>")[0])
    assert ("guestbook", "app") == (init["module"], init["function"])
    effects = init["endpointEffects"]
    writers = [name for name in sorted(effects) if effects[name]["is_writer"]]
    assert (["walker:sign"], {"walker:entries", "walker:sign"}) == (writers, effects.keys())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/walker/nothing/at/all"), ("GET", "/function/nothing/x"), ("GET", "/user/nobody"),
        ("GET", "/cl/nothing"), ("GET", "/static/nothing.js"), ("GET", "/nothing.svg"),
        ("GET", "/healthz/x"), ("GET", "/docs/assets/nothing"),
        ("POST", "/books/7"), ("DELETE", "/books"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_a_404_for_a_browser_too(
    server: JacServer, method: str, path: str
) -> None:
    """Of a call, of a file, by another method: never the page."""
    answer = server.send(method, path, headers=BROWSER)
    assert (404, "NOT_FOUND") == (answer.status, answer.code)


def test_clients_of_the_api_get_json_everywhere(server: JacServer) -> None:
    """A script that asks for what is not there must not get a page with status 200."""
    answer = server.get("/books/7")
    assert (404, "NOT_FOUND") == (answer.status, answer.code)
    server.call("/walker/sign", author="ann", text="hello")
    assert "ann" == server.call("/walker/entries").reports[0]["author"]


def test_calls_beside_pages_are_as_described(server: JacServer) -> None:
    """And pages are no operations."""
    asked = ask_everything(server, server.register("fuzz"), but=EVERYWHERE)
    assert [] == asked.wrong
    assert 200 in asked.statuses["POST /walker/sign"]
    assert not any("/cl/" in operation or "/static" in operation for operation in asked.statuses)


@pytest.mark.parametrize(
    ("path", "kind", "kept"),
    [
        ("/static/client.AbCd-123.js", "text/javascript", "immutable"),
        ("/static/assets/part-Ab_d1234.js", "text/javascript", "immutable"),
        ("/static/client.js", "text/javascript", "no-cache"),
        ("/static/styles.css", "text/css", "no-cache"),
        ("/static/book.svg", "image/svg+xml", "no-cache"),
        ("/book.svg", "image/svg+xml", "no-cache"),
        ("/static/notes.txt", "text/plain", "no-cache"),
    ],
)
def test_files_are_kept_by_browsers(server: JacServer, path: str, kind: str, kept: str) -> None:
    """For ever where the name is that of the content; else a browser asks, and gets a 304."""
    answer = server.get(path)
    assert (200, kind) == (answer.status, answer.headers.get_content_type())
    assert kept in answer.headers["Cache-Control"]
    again = server.send("GET", path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (304, b"") == (again.status, again.body)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../guestbook.jac", "/static/..%2f..%2f..%2fguestbook.jac",
        "/static/%2e%2e/%2e%2e/converge/shelf.db", "/static//etc/passwd", "/static/%00",
        "/static/client.AbCd-123.js.map", "/..%2fjac.css", "/static/",
    ],
)  # fmt: skip
def test_no_other_file_can_be_had(server: JacServer, path: str) -> None:
    """Not the sources, not the data, and no source map, which may hold the server's part."""
    assert 404 == server.get(path).status


def test_errors_of_browsers_are_logged(server: JacServer) -> None:
    """As one line each, however they look, and not without end."""
    body = {"message": "it broke\nWARNING: forged", "stack": "x" * 9000, "url": "http://x/books"}
    first = server.send("POST", "/cl/__error__", body)
    assert {"ok": True} == first.body["data"]
    line = next(line for line in server.log_text().splitlines() if "it broke" in line)
    assert "forged" in line
    assert len(line) < 2500
    rest = [server.send("POST", "/cl/__error__", body).body["data"] for _ in range(30)]
    assert {"ok": True, "throttled": True} == rest[-1]
    assert server.log_text().count("it broke") == 20
    assert 422 == server.send("POST", "/cl/__error__", {"message": 1}).status


def test_what_the_pages_call_is_served(tmp_path: Path) -> None:
    """A module that only the client side imports is part of the API, each with its own access."""
    server = JacServer(EXAMPLE / "guestbook.jac", tmp_path, env=ENVIRON)
    server.file.write_text(
        "cl {\n    import from .view { View }\n"
        "    def:pub app -> JsxElement { return <View />; }\n}\n"
    )
    server.file.with_name("view.cl.jac").write_text(
        "sv import from shop { prices, orders }\n"
        "def:pub View -> JsxElement {\n"
        "    async def look { found = await prices(); mine = await orders(); }\n"
        "    return <button onClick={look}>look</button>;\n}\n"
    )
    server.file.with_name("shop.jac").write_text(
        "def:pub prices -> list { return [1, 2]; }\n"
        "def orders -> list { return [3]; }\n"
        "def:pub unused -> int { return 4; }\n"
    )
    with server:
        assert [1, 2] == server.call("/function/prices").result
        assert 401 == server.call("/function/orders").status
        assert [3] == server.call("/function/orders", server.register("ann")).result
        assert 404 == server.call("/function/unused").status
