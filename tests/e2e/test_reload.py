"""`jac serve --reload`: what a developer sees who saves, breaks and mends an app."""

import os
import pty
import subprocess
from pathlib import Path

from playwright.sync_api import expect

from tests.servers.browser import Browser
from tests.servers.jac_server import COMMAND, JacServer
from tests.servers.process import free_port, wait_until

GOOD = """
node Counter {{ has n: int = 0; }}

walker:pub count {{
    can go with Root entry {{
        found = [-->][?:Counter];
        counter = found[0] if found else (here ++> Counter())[0];
        counter.n += 1;
        report counter.n;
    }}
}}

def:pub version -> int {{ return {version}; }}
"""
BROKEN = "walker oops {\n    has x int;\n}\n"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Reloading(JacServer):
    """`jac serve --reload` of a small app, ready when it answers anything at all."""

    def __init__(self, folder: Path, source: str, *flags: str, toml: str = "") -> None:
        """Write the app into a folder."""
        app = folder / "source" / "tiny.jac"
        app.parent.mkdir()
        app.write_text(source)
        if toml:
            app.with_name("jac.toml").write_text(toml)
        super().__init__(app, folder / "run", "--reload", *flags)

    def _ready(self) -> bool:
        return bool(self.get("/").status)

    def save(self, source: str) -> None:
        """Save the app."""
        self.file.write_text(source)

    def wait_for(self, version: int) -> None:
        """Wait until a version answers."""

        def there() -> bool:
            answer = self.call("/function/version")
            return answer.status == 200 and answer.result == version

        wait_until(there, within=20, what=f"version {version}")


def is_broken(server: JacServer) -> bool:
    """Say whether nobody answers any more but who tells of the error.

    The workers of before may take some more requests while they end.
    """
    return all(server.call("/function/version").status == 503 for _ in range(100))


def test_reload_keeps_the_data(tmp_path: Path) -> None:
    """Whoever counts goes on from where they were, and the log says how long it took."""
    with Reloading(tmp_path, GOOD.format(version=1)) as server:
        assert [1] == server.call("/walker/count").reports
        for version in (2, 3):
            server.save(GOOD.format(version=version))
            server.wait_for(version)
            assert [version] == server.call("/walker/count").reports
        wait_until(
            lambda: server.log_text().count("reloaded in ") == 2, within=10, what="the second line"
        )
        server.file.with_name("jac.toml").write_text("[converge.server]\ndocs_enabled = false\n")
        wait_until(lambda: server.get("/docs").status == 404, within=20, what="the new jac.toml")
        server.interrupt()
        assert 0 == server.wait_for_exit()


def test_module_of_python_is_a_source(tmp_path: Path) -> None:
    """Also one that is saved in the second in which it was read, and is as long as before."""
    source = "import from part { number }\n\ndef:pub version -> int { return number; }\n"
    server = Reloading(tmp_path, source)
    module = server.file.with_name("part.py")
    module.write_text("number = 1\n")
    with server:
        for version in (1, 2, 3):
            module.write_text(f"number = {version}\n")
            server.wait_for(version)


def test_broken_app_says_so_to_everybody(tmp_path: Path) -> None:
    """In the terminal, to a browser, to a client; and the next save heals it."""
    with Reloading(tmp_path, GOOD.format(version=1)) as server:
        assert 1 == server.call("/function/version").result
        server.save(BROKEN)
        wait_until(lambda: is_broken(server), within=30, what="it")
        assert "tiny.jac:2:11" in server.log_text()
        assert "waiting for the next save" in server.log_text()
        answer = server.call("/function/version")
        assert ("APP_BROKEN", "1") == (answer.code, answer.headers["Retry-After"])
        assert answer.headers["X-Request-Id"] == answer.body["meta"]["extra"]["request_id"]
        assert "tiny.jac:2:11" in answer.body["error"]["message"]
        page = server.send("GET", "/docs", headers=BROWSER)
        assert (503, "text/html") == (page.status, page.headers.get_content_type())
        assert "tiny.jac:2:11" in page.body.decode()
        assert "\x1b" not in page.body.decode()
        server.save(GOOD.format(version=2))
        server.wait_for(2)
        assert 200 == server.send("GET", "/docs", headers=BROWSER).status


def test_error_of_an_imported_module_is_told_with_its_place(tmp_path: Path) -> None:
    """In the terminal, to a browser, to a client: where the app's own code was last."""
    source = "import from helper { found }\n"
    with Reloading(tmp_path, GOOD.format(version=1)) as server:
        helper = 'def look() -> int {\n    return {}["missing"];\n}\nglob found: int = look();\n'
        server.file.with_name("helper.jac").write_text(helper)
        server.save(source + GOOD.format(version=2))
        wait_until(lambda: is_broken(server), within=30, what="the error")
        told = "load failed at helper.jac:2 (KeyError)"
        assert told in server.log_text()
        assert told in server.call("/function/version").body["error"]["message"]
        assert told in server.send("GET", "/docs", headers=BROWSER).body.decode()


def test_app_that_was_broken_at_the_start_is_mended(tmp_path: Path) -> None:
    """Nothing has been served before; an error in jac.toml counts as one of the app."""
    with Reloading(tmp_path, BROKEN) as server:
        assert (503, "APP_BROKEN") == (server.get("/").status, server.get("/").code)
        server.save(GOOD.format(version=1))
        server.wait_for(1)
        toml = server.file.with_name("jac.toml")
        toml.write_text("[converge.server]\nprot = 1\n")
        wait_until(lambda: is_broken(server), within=30, what="the error")
        assert "converge.server.prot" in server.get("/").body["error"]["message"]
        toml.unlink()
        server.wait_for(1)


def test_page_of_the_error_loads_itself_anew(tmp_path: Path, browser: Browser) -> None:
    """A browser shows the error, and the app again once it is mended."""
    markup = "walker oops { has x <script>document.title='taken'</script>; }\n"
    with Reloading(tmp_path, markup) as server, browser.page() as page:
        page.goto(f"http://{server.host}:{server.port}/docs")
        expect(page.get_by_role("heading")).to_have_text("tiny.jac does not start")
        expect(page.locator("pre")).to_contain_text("tiny.jac:1:")
        assert "tiny.jac does not start" == page.title()
        server.save(GOOD.format(version=1))
        there = page.get_by_text("/function/version", exact=True)
        expect(there).to_be_visible(timeout=30_000)


def test_profile_counts_for_what_the_app_reads(tmp_path: Path) -> None:
    """In a worker too: jaclang's own settings have the overlay, and so have ours."""
    app = (
        "import from jaclang.project.config { get_config }\n"
        'def:pub color -> str { return get_config().get_plugin_config("shop")["color"]; }\n'
    )
    toml = (
        '[plugins.shop]\ncolor = "grey"\n[environments.bright.plugins.shop]\ncolor = "red"\n'
        "[environments.bright.converge.server]\ndocs_enabled = false\n"
    )
    with Reloading(tmp_path, app, "--profile", "bright", toml=toml) as server:
        assert "red" == server.call("/function/color").result
        assert 404 == server.get("/docs").status


def test_graph_page_is_there_while_one_develops(tmp_path: Path) -> None:
    """On this machine alone, and unless jac.toml says otherwise."""
    with Reloading(tmp_path, GOOD.format(version=1)) as server:
        assert 200 == server.get("/graph").status
        toml = server.file.with_name("jac.toml")
        toml.write_text('[converge.server]\ngraph_page = "off"\n')
        wait_until(lambda: server.get("/graph").status == 404, within=20, what="the end of it")


def test_terminal_shows_where_it_is_served(tmp_path: Path) -> None:
    """URLs, data, workers; a log file has all of it in one line."""
    app = tmp_path / "tiny.jac"
    app.write_text(GOOD.format(version=1))
    port = free_port()
    ours, theirs = pty.openpty()
    shown = b""
    command = [COMMAND, "serve", str(app), "--port", str(port), "--reload"]
    with subprocess.Popen(command, stderr=theirs, stdin=subprocess.DEVNULL) as process:
        os.close(theirs)
        try:
            while b"workers" not in shown or not shown.endswith(b"\r\n\r\n"):
                shown += os.read(ours, 4096)
        finally:
            process.terminate()
            process.wait(timeout=20)
            os.close(ours)
    url = f"http://127.0.0.1:{port}"
    lines = [line.split(maxsplit=1) for line in shown.decode().splitlines() if line.strip()]
    told = {line[0]: line[1] for line in lines if len(line) == 2}
    assert (url, f"{url}/docs", f"{url}/graph") == (told["app"], told["docs"], told["graph"])
    assert told["data"].endswith(".jac/converge/shelf.db")
    assert "1, anew on each save" == told["workers"]
