"""Documentation, probes and index, on a real server."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.servers.browser import Browser
from tests.servers.jac_server import HOST, JacServer

TODO = Path(__file__).parents[2] / "examples" / "todo" / "todo.jac"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give one worker with the example."""
    with JacServer(TODO, tmp_path_factory.mktemp("pages")) as running:
        yield running


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_page_asks_nobody_but_this_server(server: JacServer, page: str) -> None:
    """Every link is relative and answered; the policy forbids all others."""
    answer = server.get(page)
    assert 200 == answer.status
    links = re.findall(r'(?:src|href)="([^"]+)"', answer.body.decode())
    assert links
    assert [] == [link for link in links if ":" in link or link.startswith("/")]
    assert [200] * len(links) == [server.get(f"/{link}").status for link in links]
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "http" not in policy


def test_walker_is_called_from_the_page_as_it_is_filled_in(
    server: JacServer, browser: Browser
) -> None:
    """What the page proposes is a call that goes well: it starts at no node of its own making."""
    with browser.page() as page:
        page.goto(f"http://{HOST}:{server.port}/docs")
        call = page.locator("#operations-walker-walker_visit_site")
        call.locator(".opblock-summary").click()
        call.get_by_role("button", name="Try it out").click()
        call.get_by_role("button", name="Execute").click()
        answered = call.locator(".live-responses-table tbody .response-col_status")
        expect(answered).to_contain_text("200")


def test_assets_are_a_closed_list(server: JacServer) -> None:
    """No path leads out of the folder."""
    for name in ("README.md", "../app.py", "..%2fapp.py", "%2e%2e/app.py"):
        assert 404 == server.get(f"/docs/assets/{name}").status


def test_graph_page_is_off_unless_it_is_asked_for(server: JacServer) -> None:
    """A walker may keep from a user what is in their own graph, so the page asks the operator."""
    paths = ("/graph", "/graph/data", "/graph/search?text=x", "/graph/assets/graph-page.js")
    assert [404] * 4 == [server.get(path).status for path in paths]


def test_openapi_describes_each_walker_by_its_fields(server: JacServer) -> None:
    """Enum, datetime, nested obj and defaults included; calls name what they may be sent with."""
    schema = server.get("/openapi.json").body
    call = schema["paths"]["/walker/add_task/{node}"]["post"]
    assert [{"HTTPBearer": []}, {"APIKeyHeader": []}] == call["security"]
    reference = call["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    body = schema["components"]["schemas"][reference.rpartition("/")[2]]
    assert ["title"] == body["required"]
    priority = body["properties"]["priority"]["$ref"].rpartition("/")[2]
    assert ["low", "normal", "high"] == schema["components"]["schemas"][priority]["enum"]
    assert {"type": "string", "format": "date-time"} in body["properties"]["due"]["anyOf"]
    assert "Effort" == body["properties"]["effort"]["$ref"].rpartition("/")[2]
    assert "Add a task to the project that this walker starts at." == call["description"]
    failures = {"401", "403", "404", "409", "413", "415", "422", "500", "503", "504"}
    assert {"200"} | failures == call["responses"].keys()


def test_openapi_says_that_public_calls_need_no_login(server: JacServer) -> None:
    """They may have one all the same."""
    call = server.get("/openapi.json").body["paths"]["/function/priorities"]["post"]
    ways = sorted(map(str, call["security"]))
    assert ["{'APIKeyHeader': []}", "{'HTTPBearer': []}", "{}"] == ways


def test_function_result_is_typed(server: JacServer) -> None:
    """OpenAPI knows what a function returns."""
    schemas = server.get("/openapi.json").body["components"]["schemas"]
    (name,) = [name for name in schemas if "remaining" in name and name.endswith("data")]
    assert "number" == schemas[name]["properties"]["result"]["type"]


def test_probes_answer(server: JacServer) -> None:
    """Live and ready."""
    assert {"status": "live"} == server.get("/healthz/live").body["data"]
    ready = {"status": "ready", "tiers": {"shelf": "ok"}}
    assert ready == server.get("/healthz/ready").body["data"]


def test_index_lists_what_is_served(server: JacServer) -> None:
    """And names the app."""
    data = server.get("/").body["data"]
    assert ("todo", "/docs") == (data["name"], data["docs"])
    assert "/walker/add_task" in data["endpoints"]


def test_docs_can_be_off(tmp_path: Path) -> None:
    """Then neither pages nor schema are there."""
    app = tmp_path / "source" / "tiny.jac"
    app.parent.mkdir()
    app.write_text("def:pub one -> int { return 1; }\n")
    app.with_name("jac.toml").write_text("[converge.server]\ndocs_enabled = false\n")
    with JacServer(app, tmp_path / "run") as server:
        assert [404, 404, 404] == [
            server.get(path).status for path in ("/docs", "/redoc", "/openapi.json")
        ]
        assert 1 == server.call("/function/one").result


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("https://shop.example", "https://shop.example"), ("https://evil.example", None)],
)
def test_origins_are_allowed_by_name(tmp_path: Path, origin: str, allowed: str | None) -> None:
    """Nobody else's page may read an answer, and none sends credentials along."""
    app = tmp_path / "source" / "tiny.jac"
    app.parent.mkdir()
    app.write_text("def:pub one -> int { return 1; }\n")
    app.with_name("jac.toml").write_text(
        '[converge.server]\ncors_origins = ["https://shop.example"]\n'
    )
    asking = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    with JacServer(app, tmp_path / "run") as server:
        asked = server.send("OPTIONS", "/function/one", headers=asking)
        answer = server.send("POST", "/function/one", {}, headers={"Origin": origin})
    for each in (asked, answer):
        assert allowed == each.headers["Access-Control-Allow-Origin"]
        assert each.headers["Access-Control-Allow-Credentials"] is None
