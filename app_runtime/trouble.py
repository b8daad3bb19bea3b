"""What is served under `--reload` while the app does not start: the reason, to whoever asks.

A browser gets a page that loads itself anew once the app is back; everybody else the envelope of an
error. It changes with what they are told.
"""

import base64
import hashlib
import html
import logging
import re

from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from jac_converge.app_runtime.problems import NO_STORE, Problem, refusal

__all__ = ["Trouble", "plain"]

logger = logging.getLogger(__name__)

CODE = "APP_BROKEN"
HEADER = "X-App-Broken"
STYLE = """
body { margin: 0; background: #1c2430; color: #e6edf3; font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 960px; margin: 8vh auto; padding: 0 24px; }
h1 { font-size: 22px; color: #ff8182; }
pre { padding: 16px; border-radius: 8px; background: #0d1117; white-space: pre-wrap; }
p { color: #8b98a5; }
"""
SCRIPT = """
async function look() {
  try {
    const answer = await fetch(location.href, { method: "HEAD", cache: "no-store" });
    if (!answer.headers.has("X-App-Broken")) return location.reload();
  } catch {}
  setTimeout(look, 300);
}
setTimeout(look, 300);
"""
PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{name} does not start</title><style>{style}</style></head>
<body><main><h1>{name} does not start</h1><pre>{text}</pre>
<p>This page loads itself anew when a save has mended it.</p></main>
<script>{script}</script></body>
</html>
"""
COLORS = re.compile(r"\x1b\[[0-9;]*m")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


POLICY = (
    f"default-src 'none'; script-src 'sha256-{_hash(SCRIPT)}'; style-src 'sha256-{_hash(STYLE)}'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def plain(text: str) -> str:
    """Return what a tool wrote for a terminal without its colours."""
    return COLORS.sub("", text)


class Trouble:
    """ASGI application that answers every request with an error."""

    def __init__(self, name: str, text: str) -> None:
        """Describe it.

        Args:
            name: of the app's file.
            text: why it does not start.
        """
        text = plain(text)
        told = {HEADER: "1", "Retry-After": "1", **NO_STORE}
        self._problem = Problem(503, f"{name} does not start: {text}", code=CODE, headers=told)
        page = PAGE.format(
            name=html.escape(name), text=html.escape(text), style=STYLE, script=SCRIPT
        )
        self._page = HTMLResponse(page, 503, told | {"Content-Security-Policy": POLICY})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "http":
            await self._answer(scope)(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1013})

    def _answer(self, scope: Scope) -> Response:
        accepted = dict(scope["headers"]).get(b"accept", b"")
        browser = b"text/html" in accepted and scope["method"] in ("GET", "HEAD")
        return self._page if browser else refusal(self._problem)
