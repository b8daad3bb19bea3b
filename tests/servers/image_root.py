"""An unpacked image, run as a pod runs it: its own root, read-only, by its own user.

What the image below would bring, Python and the C library, is this machine's own, lent by bind
mounts in a mount namespace that ends with the process. It needs root, and Linux.
"""

import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from jac_converge.reconciler.image.manifest import Descriptor, Image
from tests.servers.process import Process, free_port

__all__ = ["ImageRoot", "missing"]

SHELF = "app/.jac/converge"
"""Where a pod of an app with a shelf has a volume."""

_AUDIT = """
import os, sys

def told(event, arguments):
    if event == "compile":
        file = os.fsdecode(arguments[1] or "")
        # anyio reads its own source, to find out what it may import later.
        reads = sys._getframe(1).f_globals.get("__name__") == "anyio._lazyimport"
        if file.endswith((".py", ".jac")) and not reads:
            os.write(2, f"COMPILED {file}\\n".encode())

sys.addaudithook(told)
"""


def missing() -> str:
    """Why it cannot run here; empty when it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a root of its own for a process needs Linux, and root"
    if shutil.which("unshare") is None or shutil.which("chroot") is None:
        return "there is no unshare, or no chroot"
    return ""


class ImageRoot(Process):
    """The container of an image as a context manager; it is up when it is ready for requests."""

    def __init__(self, image: Image, layer: Callable[[Descriptor], Path]) -> None:
        """Unpack it; nothing runs before `with`."""
        directory = tempfile.TemporaryDirectory(prefix="image-root-")
        folder = Path(directory.name)
        root = folder / "root"
        root.mkdir(mode=0o755)
        for descriptor in image.layers:
            # Not by tarfile, which refuses absolute owners unless it is told to trust everything.
            command = ["tar", "--extract", "--gzip", "--numeric-owner", "--file"]
            subprocess.run([*command, layer(descriptor), "--directory", root], check=True)
        (root / "audit").mkdir()
        (root / "audit" / "sitecustomize.py").write_text(_AUDIT)
        self.port = free_port()
        script = folder / "start.sh"
        script.write_text("\n".join(_script(image, root, self.port)) + "\n")
        folder.chmod(0o755)
        self.seconds = 0.0
        """From the start of the container until it was ready."""
        self.busy_seconds = 0.0
        """Of these, spent on a processor."""
        super().__init__(
            "image root",
            ["unshare", "--mount", "sh", "-e", str(script)],
            log=folder / "log",
            ready=self._is_ready,
            ready_within=60,
            grace=5,
            folder=directory,
        )

    def start(self) -> Self:
        """Start the container, and measure."""
        began = time.monotonic()
        super().start()
        self.seconds = time.monotonic() - began
        user, system = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        self.busy_seconds = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
        return self

    @property
    def compiled(self) -> list[str]:
        """Every source that was compiled so far."""
        lines = self.log.read_text().splitlines()
        return [line.removeprefix("COMPILED ") for line in lines if line.startswith("COMPILED ")]

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/healthz/ready")
            if connection.getresponse().status != http.HTTPStatus.OK:
                return False
        except http.client.HTTPException:
            return False
        finally:
            connection.close()
        return True


def _script(image: Image, root: Path, port: int) -> list[str]:
    """The commands that lay out the root, and become the process."""
    settings = image.settings["config"]
    python = Path(sys.base_prefix)
    lent = ["/usr", "/dev", "/proc"]
    if not python.is_relative_to("/usr"):
        lent.append(str(python))
    for name in ("lib", "lib64"):
        place = Path("/", name)
        if place.is_symlink():
            (root / name).symlink_to(place.readlink())
        elif place.exists():
            lent.append(str(place))
    for place_ in (*lent, "/tmp", f"/{SHELF}"):  # noqa: S108 - of the container
        (root / place_.removeprefix("/")).mkdir(parents=True, exist_ok=True)
    environment = [entry for entry in settings["Env"] if not entry.startswith(("PATH=", "PYTHONP"))]
    packages = next(entry for entry in settings["Env"] if entry.startswith("PYTHONPATH="))
    path = f"PYTHONPATH=/audit:{packages.removeprefix('PYTHONPATH=')}"
    program = [f"{python}/bin/python3", *settings["Entrypoint"][1:]]
    command = [
        *("/usr/bin/env", "-i", "-C", settings["WorkingDir"], f"PATH={python}/bin:/usr/bin:/bin"),
        *(*environment, path, *program, "--host", "127.0.0.1", "--port", str(port)),
    ]
    return [
        f"mount --bind {root} {root}",
        *(f"mount --rbind {place_} {root}{place_}" for place_ in lent),
        f"mount -t tmpfs -o mode=1777 tmpfs {root}/tmp",  # noqa: S108 - of the container
        f"mount -t tmpfs -o mode=1777 tmpfs {root}/{SHELF}",
        f"mount -o remount,bind,ro {root}",
        f"exec chroot --userspec={settings['User']} {root} {' '.join(command)}",
    ]
