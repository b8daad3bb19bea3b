"""The pages of an app that has a client side: one document, its bundle, and the app's assets.

Whatever path a browser opens that is no call of the server gets the document, since the app has
routes of its own; everybody else gets the 404 that they would have got. It changes with the URLs of
jaclang's client runtime.
"""

import html
import json
import logging
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from jac_converge.app_runtime.bodies import CheckedRoute
from jac_converge.app_runtime.bridge.client_side import ClientSide
from jac_converge.app_runtime.problems import Problem, answer
from jac_converge.app_runtime.static_files import ASKED_AGAIN, FOR_EVER, send_file
from jac_converge.app_runtime.trouble import plain

__all__ = ["ClientPages", "unbuilt"]

logger = logging.getLogger(__name__)

HASHED = re.compile(r"client\.[\w-]{8,}\.js|assets/.*-[\w-]{8}\.(js|css)")
"""What Vite names by its content; all else may change."""
SUFFIXES = frozenset(
    {
        ".css", ".eot", ".gif", ".ico", ".jpeg", ".jpg", ".js", ".json", ".mp3", ".mp4", ".otf",
        ".png", ".svg", ".ttf", ".txt", ".wav", ".webm", ".webmanifest", ".webp", ".woff", ".woff2",
    }
)  # fmt: skip
"""Of assets that may be asked for without `/static`."""
VIEWPORT = "width=device-width, initial-scale=1"
PLAIN = ("description", "keywords", "author", "robots", "theme_color")
LINKS = {"canonical": "canonical", "icon": "icon", "apple_touch_icon": "apple-touch-icon"}
PAGE = """<!doctype html>
<html lang="en">
<head>
{head}
</head>
<body>
{trouble}<div id="root"></div>
<script id="__jac_init__" type="application/json">{init}</script>
<script type="module" src="{script}"></script>
</body>
</html>
"""
TROUBLE = """<details open role="alert" style="padding: 8px 16px; background: #1c2430; \
color: #e6edf3; font: 14px/1.5 system-ui, sans-serif">
<summary style="color: #ff8182">the pages were not built</summary>
<pre style="white-space: pre-wrap">{text}</pre>
</details>
"""
MOST_ERRORS, SPAN = 20, 60.0  # lines of the log in s
LONGEST = 1000  # characters of a field of an error


class ClientError(BaseModel):
    """What went wrong in a browser, as jaclang's client runtime tells it."""

    message: str = ""
    stack: str = ""
    url: str = ""
    source: str = ""
    componentStack: str = ""  # noqa: N815 - its name on the wire


class ClientPages:
    """The routes, and what is behind them."""

    def __init__(self, client: ClientSide, script: Path, trouble: str = "") -> None:
        """Describe them.

        Args:
            client: pages, and where things are.
            script: of the bundle.
            trouble: why it is one of before, for every page to say.
        """
        self._client = client
        self._script = script
        self._trouble = TROUBLE.format(text=html.escape(plain(trouble))) if trouble else ""
        self._folders = (script.parent, client.project / "assets")
        self._ours: frozenset[str] = frozenset()
        self._told: list[float] = []

    @property
    def at_start(self) -> bool:
        """Whether `/` is a page."""
        return self._client.start is not None

    def install(self, app: FastAPI) -> None:
        """Add the routes; call it when all others are there."""
        client = self._client
        page, static, script, report = self._page, self._static, self._bundle, self._report

        async def start(request: Request) -> Response:
            return page(client.start or "", request)

        async def named(name: str, request: Request) -> Response:
            if name not in client.pages:
                raise Problem(404, f"{request.url.path} not found")
            return page(name, request)

        async def bundle(request: Request) -> Response:
            return script(request)

        async def asset(path: str, request: Request) -> Response:
            return static(path, request)

        async def error(body: ClientError) -> Response:
            return report(body)

        self._ours = frozenset(path.split("/")[1] for path in _paths(app.routes)) - {""}
        hidden: dict[str, Any] = {"include_in_schema": False}
        if client.start is not None:
            app.add_api_route("/", start, **hidden)
        router = APIRouter(route_class=CheckedRoute)
        router.add_api_route(f"/{client.prefix}/__error__", error, methods=["POST"], **hidden)
        app.include_router(router)
        app.add_api_route(f"/{client.prefix}/{{name}}", named, **hidden)
        app.add_api_route("/static/client.js", bundle, **hidden)
        app.add_api_route("/static/{path:path}", asset, **hidden)
        app.router.default = _Otherwise(self, app.router.default)

    def elsewhere(self, request: Request) -> Response | None:
        """Answer a request that no route is for; None: it is for nobody."""
        path = request.url.path.removeprefix(request.scope.get("root_path", ""))
        first = path.split("/")[1] if path.startswith("/") else ""
        if request.method != "GET" or first in {*self._ours, self._client.prefix, "static"}:
            return None
        suffix = Path(path).suffix
        if suffix in SUFFIXES:
            file = self._file(path.lstrip("/"))
            return None if file is None else send_file(file, request, _kept(path.lstrip("/")))
        browser = "text/html" in request.headers.get("accept", "")
        if suffix or not browser or self._client.start is None:
            return None
        return self._page(self._client.start, request)

    def _page(self, name: str, request: Request) -> Response:
        client, prefix = self._client, request.scope.get("root_path", "")
        init = {
            "module": client.module.__name__,
            "function": name,
            "endpointEffects": dict(client.effects),
        }
        head = _head(client.head, name)
        if self._script.with_name("styles.css").exists():
            head.append(f'<link rel="stylesheet" href="{prefix}/static/styles.css">')
        page = PAGE.format(
            head="\n".join(head),
            init=json.dumps(init, default=str).replace("<", "\\u003c"),
            script=f"{prefix}/static/{self._script.name}",
            trouble=self._trouble,
        )
        return HTMLResponse(page, headers=ASKED_AGAIN)

    def _bundle(self, request: Request) -> Response:
        return send_file(self._script, request, ASKED_AGAIN)

    def _static(self, path: str, request: Request) -> Response:
        file = self._file(path)
        if file is None:
            raise Problem(404, f"{request.url.path} not found")
        return send_file(file, request, _kept(path))

    def _file(self, path: str) -> Path | None:
        """Return a file of the bundle or of the assets, and none from elsewhere.

        A source map is none of them: it may hold all of a .jac file, the server's part among it.
        """
        if "\0" in path or path.endswith(".map"):
            return None
        for folder in self._folders:
            base = folder.resolve()
            file = (base / path).resolve()
            inside = file.is_relative_to(base)
            if inside and file.is_file() and not _hidden(file.relative_to(base)):
                return file
        return None

    def _report(self, error: ClientError) -> Response:
        now = time.monotonic()
        self._told = [at for at in self._told if now - at < SPAN]
        if len(self._told) >= MOST_ERRORS:
            return answer({"ok": True, "throttled": True})
        self._told.append(now)
        # Anybody may send this: as one line, and not as a long one.
        told = [
            f"{name}={value[:LONGEST]!r}" for name, value in error.model_dump().items() if value
        ]
        logger.warning("error in a browser: %s", " ".join(told))
        return answer({"ok": True})


def unbuilt(request: Request, trouble: str) -> Response | None:
    """Tell a browser why there are no pages at all; None: to nobody else."""
    if "text/html" not in request.headers.get("accept", ""):
        return None
    shown = TROUBLE.format(text=html.escape(plain(trouble)))
    page = f'<!doctype html>\n<html lang="en">\n<title>no pages</title>\n{shown}</html>\n'
    return HTMLResponse(page, 503, ASKED_AGAIN)


class _Otherwise:
    """What answers where no route does."""

    def __init__(self, pages: ClientPages, refuse: ASGIApp) -> None:
        self._pages = pages
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        found = self._pages.elsewhere(Request(scope)) if scope["type"] == "http" else None
        await (self._refuse if found is None else found)(scope, receive, send)


def _paths(routes: Iterable[Any]) -> Iterator[str]:
    """Yield the paths of routes, those of routers that FastAPI keeps as they are among them."""
    for route in routes:
        if (path := getattr(route, "path", "")).startswith("/"):
            yield path
        router = getattr(route, "original_router", None)
        yield from _paths(router.routes if router is not None else ())


def _kept(path: str) -> Mapping[str, str]:
    return FOR_EVER if HASHED.fullmatch(path) else ASKED_AGAIN


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _head(told: Mapping[str, Any], name: str) -> list[str]:
    """Make what jac.toml says of a page, escaped."""

    def safe(value: object) -> str:
        return html.escape(str(value))

    lines = [
        f'<meta charset="{safe(told.get("charset", "utf-8"))}">',
        f'<meta name="viewport" content="{safe(told.get("viewport", VIEWPORT))}">',
        f"<title>{safe(told.get('title') or name)}</title>",
    ]
    for key, value in told.items():
        if not value:
            continue
        spelt = key.partition("_")[2].replace("_", "-")
        if key in PLAIN:
            lines.append(f'<meta name="{safe(key.replace("_", "-"))}" content="{safe(value)}">')
        elif key in LINKS:
            lines.append(f'<link rel="{LINKS[key]}" href="{safe(value)}">')
        elif key.startswith("og_"):
            lines.append(f'<meta property="og:{safe(spelt)}" content="{safe(value)}">')
        elif key.startswith("meta_"):
            lines.append(f'<meta name="{safe(spelt)}" content="{safe(value)}">')
        elif key.startswith("link_"):
            lines.append(f'<link rel="{safe(spelt)}" href="{safe(value)}">')
    return lines
