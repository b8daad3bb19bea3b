"""The full-stack example: built by jaclang's bundler, served, and used in a browser."""

import re
import shutil
from pathlib import Path

from playwright.sync_api import expect

from tests.servers.browser import Browser
from tests.servers.jac_server import JacServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "fullstack"


class Building(JacServer):
    """The example, which may take a minute until it is built."""

    def __init__(self, folder: Path, packages: Path) -> None:
        """Copy it, with packages that are there already."""
        super().__init__(EXAMPLE / "guestbook.jac", folder)
        self._ready_within = 240.0
        shutil.copytree(EXAMPLE / "assets", folder / "assets")
        self.client = folder / ".jac" / "client"
        self.client.mkdir(parents=True)
        (self.client / "node_modules").symlink_to(packages)


def test_guest_book_is_signed_in_a_browser(
    tmp_path: Path, client_packages: Path, browser: Browser
) -> None:
    """And read by another one, at a path of the app's own; a second start builds nothing."""
    server = Building(tmp_path, client_packages)
    toml = server.file.with_name("jac.toml").read_text()
    with server:
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
            assert [] == complaints
        with browser.page() as page:
            page.goto(f"{url}/somewhere/else")
            expect(page.get_by_role("listitem")).to_have_text("ann: <b>hello</b>")
        (entry,) = server.call("/walker/entries").reports
        assert "ann" == entry["author"]
        (script,) = re.findall(r'src="(/static/client\.[^"]+\.js)"', server.get("/").body.decode())
        assert "immutable" in server.get(script).headers["Cache-Control"]
    assert toml == server.file.with_name("jac.toml").read_text()
    built = (server.client / "dist").stat().st_mtime_ns
    with server:
        assert script in server.get("/").body.decode()
    assert built == (server.client / "dist").stat().st_mtime_ns
