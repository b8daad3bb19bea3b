"""jaclang's own server, `jac start`, as a process of a test."""

import shutil
import sys
from pathlib import Path

from tests.servers.jac_server import HOST, JacServer
from tests.servers.process import Process, free_port

__all__ = ["JacStart"]

COMMAND = str(Path(sys.executable).with_name("jac"))


class JacStart(JacServer):
    """`jac start` on a free port, with the same client."""

    def __init__(self, app: Path, folder: Path) -> None:
        """Describe it; nothing runs before `with`.

        Args:
            app: a .jac file, which is copied.
            folder: where to, and where the data will be.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / app.name
        shutil.copy(app, self.file)
        (folder / "jac.toml").write_text('[project]\nname = "twin"\n')
        self.host, self.port = HOST, free_port()
        # It looks for jac.toml, and writes its data, where it is started.
        line = f"cd {folder} && exec {COMMAND} start {app.name} --no_client --port {self.port}"
        Process.__init__(
            self,
            "jac start",
            ["sh", "-c", line],
            log=folder / "start.log",
            ready=self._ready,
            ready_within=60,
        )

    def _ready(self) -> bool:
        return self.get("/walkers").status == 200
