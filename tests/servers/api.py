"""A bare client of one HTTPS JSON server: what the fixtures themselves need to say to it.

Not the project's client on purpose: a test that reads the cluster through the code it tests would
share its mistakes.
"""

import contextlib
import http.client
import json
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

__all__ = ["Api", "ApiFailed", "Watch"]

Json = dict[str, Any]
TYPES = {
    "PATCH": "application/merge-patch+json",
    "APPLY": "application/apply-patch+yaml",  # JSON is YAML
}


class ApiFailed(Exception):
    """The server answered with an error; `status` is the HTTP status, `body` its text."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body[:500]}")
        self.status = status
        self.body = body


class Api:
    """Requests to one server as one user, a connection each; safe from several threads."""

    def __init__(self, url: str, *, ca: Path, certificate: Path, key: Path) -> None:
        """Remember where and who."""
        parts = urllib.parse.urlsplit(url)
        assert parts.hostname is not None
        self._host, self._port = parts.hostname, parts.port
        self._tls = ssl.create_default_context(cafile=str(ca))
        self._tls.load_cert_chain(certificate, key)

    def text(self, path: str, *, timeout: float = 5.0) -> str:
        """GET something that is not JSON, such as /readyz.

        Raises:
            ApiFailed: the status is not 2xx.
            OSError: no connection, or none within the timeout (s).
        """
        return self._send("GET", path, None, timeout)

    def get(self, path: str) -> Json:
        """GET an object or a list."""
        return self._json("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Json:
        """POST an object."""
        return self._json("POST", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Json:
        """Apply a JSON merge patch."""
        return self._json("PATCH", path, body)

    def apply(self, path: str, body: Mapping[str, Any], *, manager: str = "test") -> Json:
        """Apply on the server's side, by force."""
        return self._json("APPLY", f"{path}?fieldManager={manager}&force=true", body)

    def delete(self, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """DELETE an object, with DeleteOptions if given."""
        return self._json("DELETE", path, body)

    def watch(self, path: str, *, version: str, timeout: float = 300.0) -> "Watch":
        """Open a watch of a collection from a resource version on; quiet `timeout` s end it."""
        return Watch(self._connection(timeout), f"{path}?watch=1&resourceVersion={version}")

    def _json(self, verb: str, path: str, body: Mapping[str, Any] | None) -> Json:
        answer = json.loads(self._send(verb, path, body, 30.0))
        assert isinstance(answer, dict)
        return answer

    def _connection(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=timeout, context=self._tls
        )

    def _send(self, verb: str, path: str, body: Mapping[str, Any] | None, timeout: float) -> str:
        headers = {"Content-Type": TYPES.get(verb, "application/json")}
        method = "PATCH" if verb == "APPLY" else verb
        payload = None if body is None else json.dumps(body)
        connection = self._connection(timeout)
        with contextlib.closing(connection), _broken_as_os_error(path):
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            text = response.read().decode()
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise ApiFailed(response.status, text)
        return text


@contextlib.contextmanager
def _broken_as_os_error(path: str) -> Iterator[None]:
    """Report an answer that breaks off like any other lost connection."""
    try:
        yield
    except http.client.HTTPException as broken:
        raise ConnectionError(f"{path}: {broken!r}") from broken


class Watch:
    """An open watch: iterate over its events; `interrupt` from any thread ends the iteration."""

    def __init__(self, connection: http.client.HTTPSConnection, path: str) -> None:
        """Send the request; raises ApiFailed on an HTTP error, OSError without a connection."""
        self._connection = connection
        self._interrupted = threading.Event()
        with contextlib.ExitStack() as undo, _broken_as_os_error(path):
            undo.callback(connection.close)
            connection.request("GET", path)
            self._socket = connection.sock
            self._response = connection.getresponse()
            if self._response.status != http.HTTPStatus.OK:
                raise ApiFailed(self._response.status, self._response.read().decode())
            undo.pop_all()

    def __iter__(self) -> Iterator[Json]:
        """Yield {"type": ..., "object": ...} until the server or we end the stream."""
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            for line in self._response:
                if self._interrupted.is_set():
                    return
                yield json.loads(line)

    def interrupt(self) -> None:
        """End the iteration, from another thread than that which iterates and closes."""
        self._interrupted.set()
        with contextlib.suppress(OSError):  # the peer may have ended it before us
            # Below TLS: only the thread that reads may touch TLS's own state.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Return the open watch."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
