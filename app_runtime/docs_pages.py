"""`/docs` and `/redoc`, from assets that ship with the package: no page asks the internet.

The content security policy says so to the browser as well. It changes with the assets.
"""

from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, Response

from jac_converge.app_runtime.problems import Problem
from jac_converge.app_runtime.static_files import DAY, send_file

__all__ = ["install"]

FOLDER = Path(__file__).with_name("static")
ASSETS = frozenset(
    {
        "favicon-32x32.png",
        "redoc-start.js",
        "redoc.standalone.js",
        "swagger-start.js",
        "swagger-ui-bundle.js",
        "swagger-ui.css",
    }
)
# Styles inline: both set them by script. A worker from a blob: Redoc searches in one.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; worker-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" type="image/png" href="docs/assets/favicon-32x32.png">
{links}
</head>
<body>
<div id="page"></div>
{scripts}
</body>
</html>
"""


def install(app: FastAPI) -> None:
    """Add both pages and their assets. Links are relative, so a path prefix changes nothing."""
    swagger = _page(app.title, ("swagger-ui.css",), ("swagger-ui-bundle.js", "swagger-start.js"))
    redoc = _page(app.title, (), ("redoc.standalone.js", "redoc-start.js"))

    async def docs() -> Response:
        return HTMLResponse(swagger, headers=HEADERS)

    async def redoc_page() -> Response:
        return HTMLResponse(redoc, headers=HEADERS)

    async def asset(name: str, request: Request) -> Response:
        if name not in ASSETS:
            raise Problem(404, f"{name} not found")
        return send_file(FOLDER / name, request, HEADERS | DAY)

    app.add_api_route("/docs", docs, include_in_schema=False)
    app.add_api_route("/redoc", redoc_page, include_in_schema=False)
    app.add_api_route("/docs/assets/{name}", asset, include_in_schema=False)


def _page(title: str, styles: tuple[str, ...], scripts: tuple[str, ...]) -> str:
    safe = title.replace("&", "&amp;").replace("<", "&lt;")
    links = "\n".join(f'<link rel="stylesheet" href="docs/assets/{name}">' for name in styles)
    tags = "\n".join(f'<script src="docs/assets/{name}"></script>' for name in scripts)
    return PAGE.format(title=safe, links=links, scripts=tags)
