"""`jac serve` as a process of a test, and a client for it."""

import http.client
import json
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.servers.process import Process, free_port, wait_until

__all__ = ["COMMAND", "Answer", "JacServer"]

HOST = "127.0.0.1"
COMMAND = str(Path(sys.executable).with_name("jac-converge"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server answered."""

    status: int
    body: Any
    headers: http.client.HTTPMessage
    """By name, in any case."""

    @property
    def reports(self) -> list[Any]:
        """The reports of a call that went well."""
        assert 200 == self.status, self.body
        reports: list[Any] = self.body["data"]["reports"]
        return reports

    @property
    def result(self) -> Any:
        """The result of a call that went well."""
        assert 200 == self.status, self.body
        return self.body["data"]["result"]

    @property
    def code(self) -> str:
        """The code of an error."""
        code: str = self.body["error"]["code"]
        return code


class JacServer(Process):
    """`jac-converge serve` on a free port, as a context manager; `start` again keeps the data."""

    def __init__(
        self,
        app: Path,
        folder: Path,
        *flags: str,
        host: str = HOST,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Describe it; nothing runs before `with`.

        Args:
            app: a .jac file; it and a jac.toml beside it are copied.
            folder: where to, and where the data will be.
            flags: of `jac serve`.
            host: where it listens.
            env: instead of our environment.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / app.name
        shutil.copy(app, self.file)
        if (toml := app.with_name("jac.toml")).exists():
            shutil.copy(toml, folder)
        self.port = free_port()
        self.host = host
        where = ["--host", host, "--port", str(self.port)]
        command = [COMMAND, "serve", str(self.file), *where, *flags]
        log = folder / "serve.log"
        super().__init__("jac serve", command, log=log, ready=self._ready, grace=10, env=env)

    def _ready(self) -> bool:
        return self.get("/healthz/ready").status == 200

    def get(self, path: str, *, token: str | None = None) -> Answer:
        """Send a GET."""
        return self.send("GET", path, token=token)

    def call(self, path: str, token: str | None = None, /, **fields: Any) -> Answer:
        """POST fields as JSON to `/walker/...` or `/function/...`."""
        return self.send("POST", path, fields, token=token)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        raw: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        timeout: float = 30,
    ) -> Answer:
        """Send one request on a connection of its own; an iterator's parts as chunks."""
        headers = dict(headers)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
            raw = json.dumps(body).encode()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path, raw, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        is_json = content and answer.headers.get_content_type() == "application/json"
        return Answer(
            status=answer.status,
            body=json.loads(content) if is_json else content,
            headers=answer.headers,
        )

    def register(self, name: str, password: str = "correct horse") -> str:  # noqa: S107 - of a test
        """Make an account and return its token."""
        answer = self.send("POST", "/user/register", {"username": name, "password": password})
        assert 201 == answer.status, answer.body
        token: str = answer.body["data"]["token"]
        return token

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.signal(signal.SIGINT)

    def signal(self, number: int) -> None:
        """Send a signal to the process that the user started, and to no other."""
        self._running().send_signal(number)

    def wait_for_exit(self, within: float = 20) -> int:
        """Wait until it ends; returns its exit code."""
        wait_until(lambda: not self.alive, within=within, what="the end of jac serve")
        popen = self._running()
        code = popen.wait()
        self._popen = None
        return code

    def log_text(self) -> str:
        """Return everything it wrote."""
        return self.log.read_text()
