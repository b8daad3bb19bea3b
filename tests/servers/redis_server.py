"""A Redis of one's own: no persistence, so a killed one comes back empty, as a cache may."""

import socket
import tempfile
from pathlib import Path

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
        directory = tempfile.TemporaryDirectory(prefix="redis-")
        options = {
            "bind": HOST,
            "port": str(self.port),
            "dir": directory.name,
            "save": "",
            "appendonly": "no",
        }
        command = [str(program)]
        options |= {name.replace("_", "-"): value for name, value in more.items()}
        for name, value in options.items():
            command += [f"--{name}", *value.split(" ")]
        log = Path(directory.name, "redis.log")
        super().__init__(
            "redis-server", command, log=log, ready=self._answers, grace=1, folder=directory
        )

    def _answers(self) -> bool:
        with socket.create_connection((HOST, self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            pong = connection.recv(64)
        return pong.startswith(b"+PONG") and self.listens_on(self.port)
