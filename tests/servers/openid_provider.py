"""A real OpenID provider, behind a proxy that makes it lie where a test asks for it.

The issuer is the address of the proxy, so clients see one provider. Left alone, the proxy passes
everything on as it is.
"""

import http.client
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

from tests.servers import build_web
from tests.servers.http_thread import HOST, HttpThread
from tests.servers.process import Process, free_port

__all__ = ["Exchange", "LyingProxy", "OpenIdProvider"]

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and its answer."""

    method: str
    path: str
    """Without the query."""
    sent: bytes
    headers: Mapping[str, str]
    status: int
    answer: bytes
    answer_headers: tuple[tuple[str, str], ...]

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form that was sent."""
        return dict(parse_qsl(self.sent.decode()))

    @property
    def json(self) -> dict[str, Any]:
        """The answer, which is a JSON object."""
        parsed: dict[str, Any] = json.loads(self.answer)
        return parsed

    def answering(self, body: Mapping[str, Any], status: int = 200) -> "Exchange":
        """Give another answer."""
        content = json.dumps(body).encode()
        return replace(
            self,
            status=status,
            answer=content,
            answer_headers=(("content-type", "application/json"),),
        )


type Lie = Callable[[Exchange], Exchange]


class LyingProxy(HttpThread):
    """An HTTP proxy before one server, which may change what is sent and what is answered."""

    def __init__(self, target: int) -> None:
        """Describe it; it listens in the block.

        Args:
            target: port of the server.
        """
        super().__init__(self._handler(target), name="lying-proxy")
        self.url = f"http://{HOST}:{self.port}"
        self.lie: Lie = lambda exchange: exchange
        """What becomes of an answer."""
        self.rewrite: Callable[[str, bytes], bytes] = lambda _, body: body
        """Path and body of a request -> the body to pass on."""
        self.seen: list[Exchange] = []
        """What was asked, and what the server itself answered."""

    def honest(self) -> None:
        """Change nothing any more, and forget what was seen."""
        self.lie = lambda exchange: exchange
        self.rewrite = lambda _, body: body
        self.seen.clear()

    def asked(self, path: str) -> int:
        """Count the requests for a path."""
        return sum(exchange.path == path for exchange in self.seen)

    def _handler(self, target: int) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                sent = self.rfile.read(int(self.headers.get("content-length", 0)))
                try:
                    exchange = proxy._pass(
                        target, self.command, self.path, sent, dict(self.headers)
                    )
                except OSError:
                    self.close_connection = True  # as one that is not there
                    return
                self.send_response_only(exchange.status)
                for name, value in exchange.answer_headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(exchange.answer)))
                self.end_headers()
                self.wfile.write(exchange.answer)

            do_POST = do_GET  # noqa: N815 - what http.server looks for

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def _pass(
        self, target: int, method: str, path: str, sent: bytes, headers: dict[str, str]
    ) -> Exchange:
        bare = path.partition("?")[0]
        sent = self.rewrite(bare, sent)
        passed = {k: v for k, v in headers.items() if k.lower() not in HOP_BY_HOP}
        connection = http.client.HTTPConnection(HOST, target, timeout=20)
        try:
            connection.request(method, path, sent or None, passed)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in HOP_BY_HOP]
        exchange = Exchange(
            method=method,
            path=bare,
            sent=sent,
            headers=headers,
            status=answer.status,
            answer=content,
            answer_headers=tuple(kept),
        )
        self.seen.append(exchange)
        return self.lie(exchange)


class OpenIdProvider(Process):
    """npm oidc-provider as a context manager; `proxy` is what clients are to talk to."""

    def __init__(self) -> None:
        """Describe it; nothing runs before `with`.

        Raises:
            ServerMissing: it was not fetched, or there is no Node.
        """
        node, script = build_web.openid_provider()
        self.port = free_port()
        self.proxy = LyingProxy(self.port)
        self.issuer = self.proxy.url
        directory = tempfile.TemporaryDirectory(prefix="openid-")
        command = [str(node), str(script), self.issuer, str(self.port)]
        log = Path(directory.name, "openid.log")
        super().__init__(
            "oidc-provider", command, log=log, ready=self._answers, grace=1, folder=directory
        )

    def client(self, id_: str, secret: str, *redirects: str, **more: Any) -> None:
        """Let a client in, or change it.

        Args:
            id_: client_id.
            secret: client_secret.
            redirects: redirect_uris.
            more: metadata of dynamic client registration.
        """
        known = {"client_id": id_, "client_secret": secret, "redirect_uris": redirects}
        self._tell("clients", known | more)

    def person(self, name: str, **claims: Any) -> None:
        """Say what is told of whoever logs in by a name; NAME@people.test is theirs by default."""
        self._tell("people", {"sub": name, **claims})

    def rotate(self) -> None:
        """Sign with a new key from now on, and publish no other one."""
        self._tell("rotate", {})

    def __enter__(self) -> Self:
        """Start both."""
        self.proxy.__enter__()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End both."""
        super().__exit__(kind, error, trace)
        self.proxy.__exit__(kind, error, trace)

    def _tell(self, what: str, body: Mapping[str, Any]) -> None:
        status = self._ask("POST", f"/-/{what}", json.dumps(body))
        assert 204 == status, (what, body)

    def _answers(self) -> bool:
        return self._ask("GET", "/.well-known/openid-configuration") == 200

    def _ask(self, method: str, path: str, body: str | None = None) -> int:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.request(method, path, body)
            return connection.getresponse().status
        finally:
            connection.close()
