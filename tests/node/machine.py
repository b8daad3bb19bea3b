"""A machine within this one: namespaces of its own for network, mounts and processes.

The end of its first process ends everything in it, whatever it was, and with the namespaces go the
mounts, links, routes and firewall rules. What is left then is removed by name: a folder, cgroups,
and settings of the kernel, which the kubelet changes for the whole machine. A run that was killed
leaves these behind; the next one removes them before it begins.
"""

import contextlib
import fcntl
import ipaddress
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import build
from tests.servers.process import Process, wait_until

__all__ = ["CGROUP", "Machine"]

CGROUP = "jac-converge-node"
ADDRESS, OUTSIDE = "172.30.99.1", "172.30.99.2"
LINK = "jcnode0"
HIERARCHIES = Path("/sys/fs/cgroup")
SETTINGS = (
    *("vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops"),
    *("kernel.keys.root_maxkeys", "kernel.keys.root_maxbytes"),
)
"""Of the kernel, for all namespaces; the kubelet sets them."""

FIRST = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
while True:
    signal.sigwait({signal.SIGCHLD})
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
"""
"""What a first process has to do: bury those that nobody else does."""

# What programs leave at fixed places is hidden from the machine outside, and goes with the mounts.
SCRIPT = """
mount --make-rshared /
for place in /run /var/log /var/lib; do mount -t tmpfs tmpfs $place; done
ip link set lo up
: > "$1"
exec "$2" -c "$3"
"""


class Machine:
    """The machine as a context manager; there is one at a time, and a second one waits for it."""

    def __init__(self, *, addresses: Sequence[str], routes: Sequence[str]) -> None:
        """Describe it; nothing runs before `with`.

        Args:
            addresses: that it has beside `ADDRESS`.
            routes: networks that this machine reaches through it.
        """
        self.folder = build.cache() / "node"
        self.address = ADDRESS
        self._addresses, self._routes = addresses, routes
        self._first = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Make it.

        Raises:
            ServerFailed: that went wrong.
        """
        with ExitStack() as stack:
            stack.enter_context(_alone())
            self._remove_remnants()
            self.folder.mkdir(parents=True)
            stack.callback(self._remove_remnants)
            self._keep_settings()
            for hierarchy in _hierarchies():
                _make_cgroup(hierarchy / CGROUP)
            holder = stack.enter_context(self._holder())
            self._first = _only_child(holder.pid)
            stack.callback(self._end_everything)
            self._connect()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End everything in it, and leave nothing behind."""
        self._stack.close()

    def process(
        self,
        name: str,
        command: Sequence[str],
        *,
        ready: Callable[[], bool],
        ready_within: float = 60.0,
    ) -> Process:
        """Describe a process in it; arguments as of `Process`."""
        return Process(
            name,
            [*self.inside, *command],
            log=self.folder / f"{name}.log",
            ready=ready,
            ready_within=ready_within,
            grace=0,
        )

    @property
    def inside(self) -> list[str]:
        """The start of a command line that runs in it."""
        return ["nsenter", "--target", str(self._first), "--net", "--mount", "--pid", "--"]

    def make_cgroup(self, name: str) -> str:
        """Make a cgroup in every hierarchy, and return its path there."""
        for hierarchy in _hierarchies():
            _make_cgroup(hierarchy / CGROUP / name)
        return f"/{CGROUP}/{name}"

    def _holder(self) -> Process:
        up = self.folder / "up"
        command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        arguments = [str(up), sys.executable, FIRST]
        return Process(
            "machine",
            [*command, "sh", "-e", "-c", SCRIPT, "sh", *arguments],
            log=self.folder / "machine.log",
            ready=up.exists,
            grace=0,
        )

    def _connect(self) -> None:
        """Connect it with this machine by a pair of links, which goes when one end does."""
        near, far = f"{OUTSIDE}/30", f"{ADDRESS}/30"
        _run("ip", "link", "add", LINK, "type", "veth", "peer", "eth0", "netns", str(self._first))
        _run("ip", "address", "add", near, "dev", LINK)
        _run("ip", "link", "set", LINK, "up")
        _run(*self.inside, "ip", "address", "add", far, "dev", "eth0")
        _run(*self.inside, "ip", "link", "set", "eth0", "up")
        _run(*self.inside, "ip", "route", "add", "default", "via", OUTSIDE)
        _run(*self.inside, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        for address in self._addresses:
            _run(*self.inside, "ip", "address", "add", f"{address}/32", "dev", "eth0")
        for network in (*self._routes, *(f"{address}/32" for address in self._addresses)):
            _run("ip", "route", "add", str(ipaddress.ip_network(network)), "via", ADDRESS)

    def _end_everything(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._first, signal.SIGKILL)
        # Its end is the end of all processes in it: the kernel waits for them.
        wait_until(lambda: _ended(self._first), within=30, what="the end of the machine")

    def _keep_settings(self) -> None:
        kept = {name: _setting(name).read_text().strip() for name in SETTINGS}
        (self.folder / "settings.json").write_text(json.dumps(kept))

    def _remove_remnants(self) -> None:
        for hierarchy in _hierarchies():
            _remove_cgroup(hierarchy / CGROUP)
        with contextlib.suppress(FileNotFoundError):
            for name, value in json.loads((self.folder / "settings.json").read_text()).items():
                if _setting(name).read_text().strip() != value:
                    _setting(name).write_text(value)
        # The kernel takes links of a namespace that ended away, but not at once.
        link = Path("/sys/class/net", LINK)
        wait_until(lambda: not link.exists(), within=30, what=f"the end of {link}")
        if self.folder.exists():
            shutil.rmtree(self.folder)


@contextmanager
def _alone() -> Iterator[None]:
    with (build.cache() / "node.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _hierarchies() -> list[Path]:
    return [path for path in HIERARCHIES.iterdir() if path.is_dir() and not path.is_symlink()]


def _make_cgroup(path: Path) -> None:
    path.mkdir()
    # Without these two no process may be put into it.
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (path / name).exists():
            (path / name).write_text((path.parent / name).read_text())


def _remove_cgroup(path: Path) -> None:
    """Remove a cgroup, after the end of what is left in it."""
    if not path.exists():
        return
    folders = [Path(base) for base, _, _ in os.walk(path, topdown=False)]

    def empty() -> bool:
        left = [int(pid) for it in folders for pid in (it / "cgroup.procs").read_text().split()]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    wait_until(empty, within=20, what=f"the end of what runs in {path}")
    for folder in folders:
        wait_until(lambda it=folder: _removed(it), within=10, what=f"{folder}")  # type: ignore[misc]


def _removed(path: Path) -> bool:
    path.rmdir()
    return True


def _setting(name: str) -> Path:
    return Path("/proc/sys", *name.split("."))


def _only_child(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def _ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=30)
