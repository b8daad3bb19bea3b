"""A file as an answer: with an `ETag`, and as a 304 for who has it already.

It changes with how browsers keep files.
"""

import mimetypes
from collections.abc import Mapping
from pathlib import Path

from fastapi import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles

__all__ = ["ASKED_AGAIN", "DAY", "FOR_EVER", "send_file"]

DAY = {"Cache-Control": "public, max-age=86400"}
"""Headers of what changes with a new version of somebody else's work."""
ASKED_AGAIN = {"Cache-Control": "no-cache"}
"""Headers of what may change at any time: a browser keeps it, and asks whether it still is so."""
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
"""Headers of what has its content in its name."""
# Of our own, since a machine's table may have another word for them, or none.
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_compare = StaticFiles(check_dir=False)


def send_file(file: Path, request: Request, headers: Mapping[str, str]) -> Response:
    """Answer with a file that is there, or with a 304.

    Args:
        file: of the operator, whatever a request says.
        request: may say which version it has.
        headers: further ones.
    """
    kind = _TYPES.get(file.suffix.lower()) or mimetypes.guess_type(file.name)[0]
    response = FileResponse(
        file,
        stat_result=file.stat(),
        media_type=kind or "application/octet-stream",
        headers=dict(headers),
    )
    if _compare.is_not_modified(response.headers, request.headers):
        return NotModifiedResponse(response.headers)
    return response
