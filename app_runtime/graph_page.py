"""`/graph`: a picture of the caller's own graph, from assets of the package and parts of the graph.

Each part is read as a call reads, at the root of whoever asks, so it has what they may read and
nothing else. It changes with what the page asks for.
"""

from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Security
from starlette.responses import HTMLResponse, Response

from jac_converge.app_runtime.bridge.introspect import FunctionSpec
from jac_converge.app_runtime.bridge.picture import AROUND, SEARCH
from jac_converge.app_runtime.calls import Calls, Order
from jac_converge.app_runtime.identity import Identity
from jac_converge.app_runtime.outcomes import outcome_of
from jac_converge.app_runtime.problems import NO_STORE, Problem, answer
from jac_converge.app_runtime.signatures import Failure
from jac_converge.app_runtime.static_files import ASKED_AGAIN, send_file

__all__ = ["install"]

FOLDER = Path(__file__).with_name("static")
SCRIPTS = ("graph-data.js", "graph-forces.js", "graph-page.js", "graph-picture.js")
ASSETS = frozenset({"graph.css", "graph.svg", *SCRIPTS})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
MOST_PLACES, MOST_EDGES, MOST_FOUND = 50, 1000, 100
Place = Annotated[str, Query(pattern="^[0-9a-f]{32}(:[0-9a-f]{32})?$")]
FAILURES: dict[int | str, dict[str, Any]] = {
    code: {"model": Failure} for code in (401, 403, 404, 422, 503, 504)
}


def install(app: FastAPI, calls: Calls, identity: Identity, *, guests: bool) -> None:
    """Add the page, its assets and what it asks for. Links are relative.

    Args:
        app: gets the routes.
        calls: run what reads.
        identity: says who asks.
        guests: whether anonymous callers may see the graph that they share.
    """
    page = (FOLDER / "graph.html").read_text(encoding="utf-8")
    page = page.replace("TITLE", app.title.replace("&", "&amp;").replace("<", "&lt;"))

    async def graph() -> Response:
        return HTMLResponse(page, headers=HEADERS)

    parts = _Parts(calls, identity, guests=guests)
    app.add_api_route("/graph", graph, include_in_schema=False)
    app.add_api_route("/graph/assets/{name}", _asset, include_in_schema=False)
    told: dict[str, Any] = {
        "tags": ["graph"],
        "responses": FAILURES,
        "dependencies": [Security(identity.bearer)],
    }
    app.add_api_route("/graph/data", parts.around, **told)
    app.add_api_route("/graph/search", parts.search, **told)


async def _asset(name: str, request: Request) -> Response:
    if name not in ASSETS:
        raise Problem(404, f"{name} not found")
    return send_file(FOLDER / name, request, HEADERS | ASKED_AGAIN)


class _Parts:
    """Reads parts of a graph."""

    def __init__(self, calls: Calls, identity: Identity, *, guests: bool) -> None:
        self._calls = calls
        self._identity = identity
        self._guests = guests

    async def around(
        self,
        request: Request,
        at: Annotated[list[Place], Query(max_length=MOST_PLACES)] = [],  # noqa: B006 - FastAPI's
        limit: Annotated[int, Query(ge=1, le=MOST_EDGES)] = 200,
    ) -> Response:
        """Show nodes of the caller's graph, and what is around them; without `at`, the root."""
        return await self._read(request, AROUND, places=at, limit=limit)

    async def search(
        self,
        request: Request,
        text: Annotated[str, Query(min_length=1, max_length=200)],
        limit: Annotated[int, Query(ge=1, le=MOST_FOUND)] = 20,
    ) -> Response:
        """Find nodes of the caller's graph by a text in a field, and the ways to them."""
        return await self._read(request, SEARCH, text=text, limit=limit)

    async def _read(self, request: Request, spec: FunctionSpec, **fields: Any) -> Response:
        claims = self._identity.speaker(request, required=not self._guests)
        order = Order(
            spec=spec,
            fields=lambda: fields,
            root=lambda documents: self._identity.root(claims, None, documents),
        )
        outcome = await outcome_of(order, self._calls)
        return answer(outcome.result, headers=NO_STORE)
