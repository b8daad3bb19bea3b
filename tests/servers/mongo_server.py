"""A server of MongoDB's wire protocol of one's own, over SQLite files (FerretDB 1.24).

It stands for a standalone MongoDB: what works here works on every MongoDB. It has no transactions
and no updates by aggregation pipeline. Each update of one command holds one of 100 connections to
SQLite, so a command of 100 updates hangs for ever, and every other write behind it.
"""

import socket
import tempfile
from pathlib import Path

from tests.servers import build
from tests.servers.process import Process, free_port

__all__ = ["MongoServer"]

HOST = "127.0.0.1"


class MongoServer(Process):
    """The server as a context manager; `kill9` and `start` keep the port and the data."""

    def __init__(self) -> None:
        """Describe it; nothing runs before `with`.

        Raises:
            ServerMissing: it is not built.
        """
        program = build.mongowire()
        self.port = free_port()
        self.url = f"mongodb://{HOST}:{self.port}/"
        directory = tempfile.TemporaryDirectory(prefix="mongo-")
        base = Path(directory.name)
        data = base / "data"
        data.mkdir()
        command = [str(program), f"{HOST}:{self.port}", str(data)]
        log = base / "mongowire.log"
        super().__init__(
            "mongowire", command, log=log, ready=self._listens, grace=2, folder=directory
        )

    def _listens(self) -> bool:
        with socket.create_connection((HOST, self.port), timeout=1):
            return self.listens_on(self.port)
