"""A registry of one's own: distribution v3, with its data in a folder that goes with it."""

import json
import re
import socket
import tempfile
from pathlib import Path
from typing import Any

from tests.servers import build
from tests.servers.certificates import Authority
from tests.servers.process import Process, free_port

__all__ = ["RegistryServer"]

_REQUEST = re.compile(
    r'msg="response completed.* http\.request\.method=(\w+) .*http\.request\.uri="?([^ "]+)'
)

HOST, HOST_WITH_TLS = "127.0.0.1", "127.0.0.2"


class RegistryServer(Process):
    """The registry as a context manager; open to all, unless told otherwise."""

    def __init__(self, *, authority: Authority | None = None, **more: Any) -> None:
        """Describe it; nothing runs before `with`.

        Args:
            authority: signs its certificate; None: it has no TLS.
            more: further tables of its configuration, such as `auth`.

        Raises:
            ServerMissing: it is not built.
        """
        program = build.registry()
        self.port = free_port()
        # To clients the first address of the loopback is one without TLS.
        self._address = HOST if authority is None else HOST_WITH_TLS
        self.host = f"{self._address}:{self.port}"
        directory = tempfile.TemporaryDirectory(prefix="registry-")
        folder = Path(directory.name)
        log = folder / "registry.log"
        configuration = {
            "version": "0.1",
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
            "http": {"addr": self.host, **(_tls(authority) if authority else {})},
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
        """Method and path of every request so far that had a right to an answer."""
        return [" ".join(found) for found in _REQUEST.findall(self.log.read_text())]

    def _answers(self) -> bool:
        with socket.create_connection((self._address, self.port), timeout=1):
            return self.listens_on(self.port)


def _tls(authority: Authority) -> dict[str, Any]:
    certificate, key = authority.issue("registry", "registry", addresses=[HOST_WITH_TLS])
    return {"tls": {"certificate": str(certificate), "key": str(key)}}
