"""`GET /stored/KEY`: a file, for whoever has a link to it that is good.

It is sent as it is read, piece by piece, whole or one range of it. It changes with what a client
may ask of a file.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from jac_converge.app_runtime.events import gone
from jac_converge.app_runtime.files import BadKey, Blobs, FilesDown, NoSuchFile, Reading
from jac_converge.app_runtime.files.keys import checked_key
from jac_converge.app_runtime.files.links import Links, disposition
from jac_converge.app_runtime.files.metadata import kind_of
from jac_converge.app_runtime.pool import Pool
from jac_converge.app_runtime.problems import Problem, no_files

__all__ = ["PATH", "FileRoutes"]

PATH = "/stored"
RANGE = re.compile(r"bytes=(?:([0-9]{1,15})-([0-9]{0,15})|-([0-9]{1,15}))")
THREADS = 32  # that read; each for one piece, and not while a client takes it
POLICY = "sandbox; default-src 'none'"
"""What a file may do that a browser shows: nothing."""


class FileRoutes:
    """The route, and what it does."""

    def __init__(self, blobs: Blobs, links: Links) -> None:
        self._blobs, self._links = blobs, links
        self._pool = Pool(THREADS, "file")

    def close(self) -> None:
        """Read nothing any more."""
        self._pool.close()
        self._blobs.close()

    def install(self, app: FastAPI) -> None:
        """Add the route."""
        send = self._send

        async def get_file(key: str, request: Request) -> Response:
            """Send a file, to whoever has a link that `get_url` made."""
            return await send(key, request)

        path = f"{PATH}/{{key:path}}"
        app.add_api_route(path, get_file, methods=["GET", "HEAD"], include_in_schema=False)

    async def _send(self, key: str, request: Request) -> Response:
        query = request.query_params
        good = self._links.good(key, query.get("expires", ""), query.get("signature", ""))
        if not good:
            raise Problem(403, "the link has expired, or is not one of ours; ask for a new one")
        try:
            reading = await self._pool.run(self._blobs.open, checked_key(key))
        except (BadKey, NoSuchFile):
            raise Problem(404, "there is no such file any more") from None
        except FilesDown as error:
            raise no_files(f"GET {PATH}", error) from error
        try:
            return self._answer(key, reading, request)
        except BaseException:
            reading.close()
            raise

    def _answer(self, key: str, reading: Reading, request: Request) -> Response:
        info = reading.info
        size, etag, kind = info.size, info.etag, kind_of(key, info.metadata)
        headers = {
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache",
            "Content-Disposition": disposition(key, kind),
            "Content-Security-Policy": POLICY,
            "ETag": etag,
        }
        if etag in (one.strip() for one in request.headers.get("if-none-match", "").split(",")):
            reading.close()
            return Response(status_code=304, headers=headers)
        asked = request.headers.get("range", "")
        if request.headers.get("if-range", etag) != etag or request.method == "HEAD":
            asked = ""
        start, stop, status = 0, size, 200
        if (span := _span(asked, size)) is not None:
            (start, stop), status = span, 206
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        headers["Content-Length"] = str(stop - start)
        pieces = iter(()) if request.method == "HEAD" else reading.pieces(start, stop)
        return _File(self._pool, pieces, reading.close, status=status, headers=headers, kind=kind)


def _span(asked: str, size: int) -> tuple[int, int] | None:
    """Return the one range that is asked for; None: all of it.

    Raises:
        Problem: there is no such range.
    """
    found = RANGE.fullmatch(asked.strip())
    if found is None:
        return None  # none, several, or of a unit that we do not know
    first, last, tail = found.groups()
    if tail is not None:
        start, stop = max(0, size - int(tail)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None  # it means nothing, and so is not there
    if start >= stop:
        raise Problem(
            416, f"the file has {size} bytes", headers={"Content-Range": f"bytes */{size}"}
        )
    return start, stop


class _File(Response):
    """An answer that is read while it is sent."""

    def __init__(
        self,
        pool: Pool,
        pieces: Iterator[bytes],
        close: Callable[[], None],
        *,
        status: int,
        headers: dict[str, str],
        kind: str,
    ) -> None:
        self.status_code, self.media_type, self.background = status, kind, None
        self.init_headers(headers)
        self._pool, self._pieces, self._close = pool, pieces, close
        self._under_way: asyncio.Future[bytes] | None = None

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send it, for as long as there is somebody to send it to."""
        start: dict[str, Any] = {"type": "http.response.start", "status": self.status_code}
        leaving = asyncio.ensure_future(gone(receive))
        try:
            await send({**start, "headers": self.raw_headers})
            while not leaving.done() and (piece := await self._next()):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            leaving.cancel()
            if self._under_way is None or self._under_way.done():
                self._close()
            else:  # a thread reads from it
                self._under_way.add_done_callback(lambda _: self._close())

    async def _next(self) -> bytes:
        self._under_way = asyncio.ensure_future(self._pool.run(next, self._pieces, b""))
        return await asyncio.shield(self._under_way)
