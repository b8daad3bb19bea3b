"""A registry of one's own: distribution v3, with its data in a folder that goes with it."""

import json
import socket
import tempfile
from pathlib import Path
from typing import Any

from tests.servers import build
from tests.servers.process import Process, free_port

__all__ = ["RegistryServer"]

HOST = "127.0.0.1"


class RegistryServer(Process):
    """The registry as a context manager; open to all, unless told otherwise."""

    def __init__(self, **more: Any) -> None:
        """Describe it; nothing runs before `with`.

        Args:
            more: further tables of its configuration, such as `auth`.

        Raises:
            ServerMissing: it is not built.
        """
        program = build.registry()
        self.port = free_port()
        self.host = f"{HOST}:{self.port}"
        directory = tempfile.TemporaryDirectory(prefix="registry-")
        folder = Path(directory.name)
        log = folder / "registry.log"
        configuration = {
            "version": "0.1",
            "log": {"accesslog": {"disabled": False}, "level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
            "http": {"addr": self.host},
            **more,
        }
        file = folder / "config.yml"
        file.write_text(json.dumps(configuration))  # JSON is YAML
        super().__init__(
            "registry",
            [str(program), str(file)],
            log=log,
            ready=self._answers,
            grace=1,
            folder=directory,
        )

    @property
    def requests(self) -> list[str]:
        """Method and path of every request so far."""
        lines = self.log.read_text().splitlines()
        quoted = [line.split('"') for line in lines if " HTTP/1.1" in line]
        return [parts[1].removesuffix(" HTTP/1.1") for parts in quoted if len(parts) > 1]

    def _answers(self) -> bool:
        with socket.create_connection((HOST, self.port), timeout=1):
            return self.listens_on(self.port)
