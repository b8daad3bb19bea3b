"""An HTTP server of a test, in a thread: for answers no real server can be told to give."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

__all__ = ["HOST", "HttpThread"]

HOST = "127.0.0.1"


class HttpThread:
    """The server as a context manager."""

    def __init__(self, handler: type[BaseHTTPRequestHandler], *, name: str, port: int = 0) -> None:
        """Take the port; nobody is answered before `with`.

        Args:
            handler: answers.
            name: of the thread.
            port: 0: one that is free.
        """
        self._server = ThreadingHTTPServer((HOST, port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name=name)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        self._server.shutdown()
        self._thread.join(timeout=10)
        self._server.server_close()
