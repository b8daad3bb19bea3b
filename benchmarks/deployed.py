"""A real control plane, an example app on it, and `jac scale --watch` as its own process."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane
from tests.servers.pod_marker import PodMarker

__all__ = ["NAMESPACE", "Deployed", "deployed"]

APP, NAMESPACE = "shop", "shop"
CONFIGURATION = """
[converge.kubernetes]
image = "example/shop:1"

[converge.kubernetes.autoscaling]
min_replicas = 2
max_replicas = 6

[converge.kubernetes.exposure]
kind = "ingress"
host = "shop.example"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """The cluster, and the process that watches over the app."""

    server: ControlPlane
    api: Api
    watching: subprocess.Popen[str]
    file: Path
    """The app."""


@contextmanager
def deployed(*, audit: bool = False) -> Iterator[Deployed]:
    """Deploy, then watch; ends with everything.

    Args:
        audit: let the API server write down every request.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        ControlPlane(controllers=True, audit=audit) as server,
        PodMarker(server.api),
    ):
        app = Path(folder) / f"{APP}.jac"
        app.write_text('walker hi { can go with entry { report "hi"; } }\n')
        (app.parent / "jac.toml").write_text(CONFIGURATION)
        command = [sys.executable, "-m", "jac_converge", "scale", str(app)]
        environment = {**os.environ, "KUBECONFIG": str(server.kubeconfig)}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        watching = subprocess.Popen(
            [*command, "--watch", "--json"], env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            assert watching.stdout is not None
            watching.stdout.readline()  # the first table: every watch is open
            # A pipe that nobody empties would stop the process at its next line.
            Thread(target=watching.stdout.read, daemon=True).start()
            yield Deployed(server=server, api=server.api, watching=watching, file=app)
        finally:
            watching.terminate()
            watching.wait(10)
