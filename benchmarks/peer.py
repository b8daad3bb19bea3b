"""jac-scale beside us: in an environment of its own, made once, and served as its users do."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.servers.jac_server import JacServer

__all__ = ["VERSION", "PeerServer", "installed"]

VERSION = "0.2.31"
# The bare package does not load, and then `jac start` serves with something else, in silence.
PACKAGES = (f"jac-scale[all]=={VERSION}", "jaclang==0.16.7")
OURS = "JAC_TOPOLOGY_INDEX"
FIRST_START = 300.0  # s; it compiles all of itself once


def installed() -> Path | None:
    """Return where the peer is installed, installing it first; None where that fails."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    home = Path(cache, "jac-converge", f"peer-{VERSION}")
    complete = home / "complete"
    if complete.exists():
        return home
    print(
        f"installing the peer, {' '.join(PACKAGES)}, into {home} (once, some minutes)", flush=True
    )
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *PACKAGES]
    for command in ([sys.executable, "-m", "venv", str(home)], pip):
        if subprocess.run(command, check=False, timeout=1800).returncode:
            print("the peer cannot be installed: our own figures only", flush=True)
            return None
    complete.touch()
    return home


class PeerServer(JacServer):
    """`jac start` of jac-scale on a free port, as a context manager."""

    def __init__(
        self, home: Path, app: Path, folder: Path, *, env: Mapping[str, str] | None = None
    ) -> None:
        """Describe it; nothing runs before `with`.

        Args:
            home: where it is installed.
            app: a .jac file; it and a jac.toml beside it are copied.
            folder: where to, and where its data will be.
            env: instead of our environment.
        """
        # The part of ours that this process may have loaded turns the peer's index off.
        own = {key: value for key, value in (env or os.environ).items() if key != OURS}
        super().__init__(app, folder, env=own)
        self.name = "jac start"
        start = [str(home / "bin" / "jac"), "start", app.name, "--port", str(self.port)]
        # It keeps its data below the folder where it is started.
        self.command = ["env", f"--chdir={folder}", *start]
        self._ready_within = FIRST_START

    def _ready(self) -> bool:
        # It takes the next port where one is taken; and without its plugin there is no OpenAPI.
        return self.listens_on(self.port) and self.get("/openapi.json").status == 200

    def register(self, name: str, password: str = "correct horse") -> str:  # noqa: S107 - throw-away
        """Make an account and return its token."""
        identity = {"type": "username", "value": name}
        credential = {"type": "password", "password": password}
        made = {"identities": [identity], "credential": credential}
        answer = self.send("POST", "/user/register", made)
        assert answer.status in (200, 201), answer.body
        answer = self.send("POST", "/user/login", {"identity": identity, "credential": credential})
        token: str = answer.body["data"]["token"]
        return token
