"""A Redis of one's own: no persistence, so a killed one comes back empty, as a cache may."""

import socket
import tempfile
from pathlib import Path
from types import TracebackType

from tests.servers import build
from tests.servers.process import Process, free_port

__all__ = ["RedisServer"]

HOST = "127.0.0.1"


class RedisServer(Process):
    """redis-server as a context manager; `kill9` and `start` keep the port."""

    def __init__(self, **more: str) -> None:
        """Describe it; nothing runs before `with`.

        Args:
            more: options of redis-server, with _ for -.

        Raises:
            ServerMissing: there is no redis-server on this machine.
        """
        program = build.redis_server()
        self.port = free_port()
        self.url = f"redis://{HOST}:{self.port}/0"
        self._directory = tempfile.TemporaryDirectory(prefix="redis-")
        options = {
            "bind": HOST,
            "port": str(self.port),
            "dir": self._directory.name,
            "save": "",
            "appendonly": "no",
        }
        command = [str(program)]
        options |= {name.replace("_", "-"): value for name, value in more.items()}
        for name, value in options.items():
            command += [f"--{name}", *value.split(" ")]
        log = Path(self._directory.name, "redis.log")
        super().__init__("redis-server", command, log=log, ready=self._answers, grace=1)

    def _answers(self) -> bool:
        with socket.create_connection((HOST, self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            pong = connection.recv(64)
        return pong.startswith(b"+PONG") and self.listens_on(self.port)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it and remove its directory."""
        super().__exit__(kind, error, trace)
        self._directory.cleanup()
