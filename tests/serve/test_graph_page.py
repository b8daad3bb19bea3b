"""The picture of the caller's own graph: its parts, whose they are, and the page in a browser."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.servers.browser import Browser
from tests.servers.jac_server import JacServer

APP = Path(__file__).parent / "apps" / "graph" / "graph.jac"
PASSWORD = "correct horse"
MARKUP = "<img src=x onerror=\"document.title='taken'\">"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give an app whose graphs everybody may look at, each their own."""
    with JacServer(APP, tmp_path_factory.mktemp("graph")) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give one that shows them to accounts alone, and keeps sessions in cookies."""
    server = JacServer(APP, tmp_path_factory.mktemp("guarded"))
    toml = server.file.with_name("jac.toml")
    cookies = f'session_cookies = true\npublic_url = "http://127.0.0.1:{server.port}"\n'
    toml.write_text(toml.read_text().replace("everybody", "accounts") + cookies)
    with server:
        yield server


def part(server: JacServer, token: str | None, query: str = "") -> dict[str, Any]:
    """Ask for a part of a graph."""
    answer = server.get(f"/graph/data?{query}", token=token)
    assert 200 == answer.status, answer.body
    data: dict[str, Any] = answer.body["data"]
    return data


def titles(nodes: list[dict[str, Any]]) -> list[str]:
    """Return the titles of books."""
    return sorted(node["fields"]["title"] for node in nodes if node["class"] == "Book")


def test_graph_comes_in_parts(server: JacServer) -> None:
    """From the root on, each edge once, and no answer has more than was asked for."""
    token = server.register("in-parts")
    server.call("/walker/fill", token, books=25)
    first = part(server, token, "limit=10")
    seen, answer = first["edges"], first
    while answer["more"]:
        (place,) = answer["more"]
        answer = part(server, token, f"at={place}&limit=10")
        assert len(answer["edges"]) <= 10
        seen = seen + answer["edges"]
    assert 25 == len(seen) == len({edge["id"] for edge in seen})
    assert {(first["start"], "Holds", True, "1999")} == {
        (edge["source"], edge["class"], edge["directed"], edge["fields"]["since"]) for edge in seen
    }


def test_many_nodes_are_opened_at_once(server: JacServer) -> None:
    """What there was no room for is named, to ask for it next; nothing is shown twice or never."""
    token = server.register("at-once")
    server.call("/walker/fill", token, books=3, shelves=2)
    first = part(server, token)
    places = [node["id"] for node in first["nodes"] if node["class"] == "Shelf"]
    seen: dict[str, dict[str, Any]] = {}
    rounds = 0
    while places:
        answer = part(server, token, "&".join([f"at={place}" for place in places] + ["limit=60"]))
        seen |= {node["id"]: node for node in answer["nodes"]}
        places, rounds = answer["more"], rounds + 1
    assert 4 == rounds
    books = titles(list(seen.values()))
    assert sorted(f"book {shelf}.{place}" for shelf in range(2) for place in range(99)) == books


def test_edges_keep_their_direction(server: JacServer) -> None:
    """Also to a node itself, and those that have none."""
    token = server.register("loops")
    (ring,) = server.call("/walker/loop", token).reports
    answer = part(server, token, f"at={ring['_jac_id']}")
    names = {node["id"]: node["fields"].get("title", "root") for node in answer["nodes"]}
    edges = [
        (names[edge["source"]], names[edge["target"]], edge["directed"]) for edge in answer["edges"]
    ]
    assert [("ring", "pair", False), ("ring", "ring", True), ("root", "ring", True)] == sorted(
        edges
    )


def test_fields_are_those_that_leave_the_server(server: JacServer) -> None:
    """As text; long ones in full only of the node that was asked for."""
    token = server.register("fields")
    server.call("/walker/add", token, title="long", notes="x" * 1000)
    (near,) = [node for node in part(server, token)["nodes"] if node["class"] == "Book"]
    assert {"title": "long", "pages": "0", "notes": "x" * 200 + "…"} == near["fields"]
    (own,) = [
        node
        for node in part(server, token, f"at={near['id']}")["nodes"]
        if node["id"] == near["id"]
    ]
    assert "x" * 1000 == own["fields"]["notes"]


def test_nobody_sees_what_they_may_not_read(server: JacServer) -> None:
    """By the id of a node, beside one that everybody may read, or by a search."""
    owner, other = server.register("owner"), server.register("other")
    (secret,) = server.call("/walker/leave", owner, text="the treasure").reports
    guests = part(server, None)["start"]
    own = part(server, owner, f"at={guests}")
    assert "the treasure" in str(own["nodes"])
    for token in (other, None):
        assert "treasure" not in str(part(server, token, f"at={guests}"))
        answer = server.get(f"/graph/data?at={secret['_jac_id']}", token=token)
        assert (404, "NOT_FOUND") == (answer.status, answer.code)
        nobody = server.get(f"/graph/data?at={'0' * 31}1", token=token)
        assert answer.body["error"]["message"][-9:] == nobody.body["error"]["message"][-9:]
        found = server.get("/graph/search?text=treasure", token=token)
        assert [] == found.body["data"]["found"]
    their_root = part(server, owner)["start"]
    assert 404 == server.get(f"/graph/data?at={their_root}", token=other).status


def test_search_shows_the_way_from_the_root(server: JacServer) -> None:
    """To each node that it found, and nothing else."""
    token = server.register("search")
    server.call("/walker/fill", token, books=40, shelves=3)
    data = server.get("/graph/search?text=BOOK+2.57", token=token).body["data"]
    assert (1, True) == (len(data["found"]), data["all"])
    classes = {node["id"]: node["class"] for node in data["nodes"]}
    assert ["Book", "Root", "Shelf"] == sorted(classes.values())
    ways = [(classes[edge["source"]], classes[edge["target"]]) for edge in data["edges"]]
    assert [("Root", "Shelf"), ("Shelf", "Book")] == sorted(ways)
    by_class = server.get("/graph/search?text=shelf&limit=2", token=token).body["data"]
    assert (2, False) == (len(by_class["found"]), by_class["all"])


@pytest.mark.parametrize(
    "query", ["at=x", "limit=0", "limit=1001", "&".join(["at=" + "0" * 32] * 51)]
)
def test_bad_questions_are_refused(server: JacServer, query: str) -> None:
    """With the usual envelope."""
    answer = server.get(f"/graph/data?{query}")
    assert (422, "VALIDATION_ERROR") == (answer.status, answer.code)


def test_accounts_alone_where_it_says_so(guarded: JacServer) -> None:
    """Then guests get a 401, and an API key never does."""
    assert 200 == guarded.get("/graph").status
    for path in ("/graph/data", "/graph/search?text=x"):
        assert 401 == guarded.get(path).status
    token = guarded.register("ann")
    assert 1 == len(part(guarded, token)["nodes"])
    body = {"name": "machine", "current_password": PASSWORD}
    key = guarded.send("POST", "/user/keys", body, token=token).body["data"]["key"]
    assert 403 == guarded.get("/graph/data", token=key).status


def test_page_asks_nobody_but_this_server(server: JacServer) -> None:
    """Every link is relative and answered; the policy forbids all others, and inline scripts."""
    answer = server.get("/graph")
    links = re.findall(r'(?:src|href)="([^"]+)"', answer.body.decode())
    assert links
    assert [] == [link for link in links if ":" in link or link.startswith("/")]
    assert [200] * len(links) == [server.get(f"/{link}").status for link in links]
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert 404 == server.get("/graph/assets/README.md").status


def open_page(page: Page, server: JacServer) -> list[str]:
    """Open the page of an app; returns what the browser complains of, as it comes."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.goto(f"http://{server.host}:{server.port}/graph")
    return complaints


def sign_in(page: Page, name: str) -> None:
    """Fill in the form."""
    page.get_by_label("user name").fill(name)
    page.get_by_label("password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_page_shows_a_graph_and_opens_it_on_click(server: JacServer, browser: Browser) -> None:
    """One's own after signing in; fields are text whatever is in them; then out again."""
    token = server.register("looks")
    server.call("/walker/fill", token, books=28, shelves=1)
    server.call("/walker/add", token, title=MARKUP)
    server.call("/walker/pin_up", title="for everybody")
    with browser.page() as page:
        complaints = open_page(page, server)
        panel = page.locator("#selected")
        expect(panel).to_contain_text("for everybody")
        sign_in(page, "looks")
        expect(page.get_by_role("status")).to_have_text("31 nodes, 30 edges")
        expect(page.locator("#name")).to_have_text("looks")
        panel.get_by_role("button", name=re.compile("shelf 0")).click()
        expect(page.get_by_role("status")).to_have_text("130 nodes, 129 edges")
        expect(panel).to_contain_text("100 edges")
        page.get_by_label("find nodes").fill("onerror")
        page.get_by_role("button", name="Find").click()
        expect(panel.locator("dd").first).to_have_text(MARKUP)
        page.keyboard.press("Escape")
        expect(panel).to_be_hidden()
        # What was gone to stands in the middle of what the panel leaves free.
        size = page.viewport_size or {"width": 0, "height": 0}
        page.mouse.click((size["width"] - 344) / 2, 60 + (size["height"] - 70) / 2)
        expect(panel.locator("dd").first).to_have_text(MARKUP)
        page.get_by_role("button", name="Sign out").click()
        expect(panel).to_contain_text("for everybody")
        assert ("graph: graph", []) == (page.title(), complaints)


def test_page_is_usable_with_ten_thousand_nodes(server: JacServer, browser: Browser) -> None:
    """All of them opened, by parts; then one is found, and the canvas answers a click."""
    token = server.register("many")
    for _ in range(5):
        server.call("/walker/fill", token, books=0, shelves=20)
    with browser.page() as page:
        complaints = open_page(page, server)
        sign_in(page, "many")
        expect(page.get_by_role("status")).to_have_text("101 nodes, 100 edges")
        page.get_by_role("button", name="Open all").click()
        expect(page.get_by_role("status")).to_have_text("10001 nodes, 10000 edges", timeout=60_000)
        expect(page.get_by_role("button", name="Open all")).to_be_visible()
        page.get_by_label("find nodes").fill("book 19.98")
        page.get_by_role("button", name="Find").click()
        expect(page.locator("#found")).to_contain_text("5 found")
        page.locator("#found").get_by_role("button").first.click()
        expect(page.locator("#selected dd").first).to_have_text("book 19.98")
        assert [] == complaints


def test_page_uses_the_session_in_a_cookie(guarded: JacServer, browser: Browser) -> None:
    """It sends the CSRF token, and a page that is loaded anew still has the session."""
    token = guarded.register("kept")
    guarded.call("/walker/fill", token, books=4)
    with browser.page() as page:
        open_page(page, guarded)
        sign_in(page, "kept")
        expect(page.get_by_role("status")).to_have_text("5 nodes, 4 edges")
        page.reload()
        expect(page.get_by_role("status")).to_have_text("5 nodes, 4 edges")
        assert None is page.evaluate("localStorage.getItem('jac_token')")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("alert")).to_contain_text("token")
        page.reload()
        expect(page.get_by_label("user name")).to_be_visible()
