"""What every connection goes through first: it gets an id, and a line in the log.

The id is the client's own where it sent one, else made here. It is in the answer, in the envelope
of an error, and in every line that is logged meanwhile. It changes with what is noted of a request.
"""

import logging
import random
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jac_converge.config.logs import current_request

__all__ = ["HEADER", "Front", "sent_path"]

logger = logging.getLogger(__name__)

HEADER = b"x-request-id"
VALID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
"""What others sent goes into logs and headers, so it is of few characters and short."""
LETTERS = str.maketrans("0123456789", "ghijklmnop")
"""An id has no digits, so who looks for a number in a log or an answer does not find ids."""
STARTS = ("http.response.start", "websocket.accept", "websocket.http.response.start")
PROBES = "/healthz/"
_ids = random.Random()  # noqa: S311 - nobody has to be unable to guess one
LONGEST_PATH = 200  # characters in the log


class Front:
    """ASGI middleware outside of everything else, the answer to an error of ours among it."""

    def __init__(self, app: ASGIApp, *, log: bool) -> None:
        """Wrap an application.

        Args:
            app: handles the connections.
            log: write a line for each request.
        """
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        id_ = _sent(scope) or _ids.randbytes(8).hex().translate(LETTERS).encode()
        status, began = 0, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] in STARTS:
                status = message.get("status", 101)
                message["headers"] = [*message.get("headers", ()), (HEADER, id_)]
            await send(message)

        token = current_request.set(id_.decode())
        try:
            await self._app(scope, receive, noted)
        finally:
            if self._log:
                _tell(scope, status, time.perf_counter() - began)
            current_request.reset(token)


def _sent(scope: Scope) -> bytes | None:
    sent = next((value for name, value in scope["headers"] if name == HEADER), b"")
    return sent if VALID.fullmatch(sent) else None


def sent_path(scope: Scope) -> str:
    """Return a path as it was sent, for the log: a decoded one could hold the end of a line."""
    raw: bytes = scope.get("raw_path", b"")
    return raw.decode("ascii", "backslashreplace")[:LONGEST_PATH]


def _tell(scope: Scope, status: int, seconds: float) -> None:
    """Write the line of a request: without its query, which is not for everybody who reads logs."""
    good = 200
    if status == good and scope["path"].startswith(PROBES):
        return  # asked every other second
    client = scope["client"][0] if scope.get("client") else "-"
    took = f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
    method = scope.get("method", "WS")
    logger.info("%s %s %s in %s from %s", method, sent_path(scope), status or "-", took, client)
