"""The machine that nodes run in leaves this one as it was, however it ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.node.machine import CGROUP, HIERARCHIES, LINK, SETTINGS, Machine, _setting
from tests.servers.build_node import missing

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(bool(missing()), reason=missing() or "it can run"),
]
KILLED = """
import os, signal
from tests.node.machine import Machine
with Machine(addresses=[], routes=[]) as machine:
    {inside}
    os.kill(os.getpid(), signal.SIGKILL)
"""


def state() -> dict[str, object]:
    """What a machine could change outside of itself."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return {
        "settings": [_setting(name).read_text() for name in SETTINGS],
        "mounts": sorted(line.split()[4] for line in mounts),
        "links": [LINK] if Path("/sys/class/net", LINK).exists() else [],
        "cgroups": [str(path) for path in HIERARCHIES.glob(f"*/{CGROUP}")],
        "folder": Machine(addresses=[], routes=[]).folder.exists(),
    }


def change(machine: Machine) -> None:
    """Change what a node changes: a mount, a setting, a process that nobody ends."""
    cgroup = machine.make_cgroup("one")
    (machine.folder / "mounted").mkdir()
    subprocess.run(
        [*machine.inside, "mount", "-t", "tmpfs", "tmpfs", machine.folder / "mounted"], check=True
    )
    _setting("kernel.panic").write_text("10")
    left = subprocess.Popen([*machine.inside, "setsid", "--fork", "sleep", "1000"])
    left.wait()
    assert cgroup == f"/{CGROUP}/one"


def test_machine_leaves_nothing_behind() -> None:
    """Twice in a row: mounts, links, cgroups, settings of the kernel, files."""
    before = state()
    for _ in range(2):
        with Machine(addresses=["172.30.98.1"], routes=["10.244.0.0/16"]) as machine:
            change(machine)
        assert before == state()


def test_machine_removes_what_a_killed_run_left() -> None:
    """A run that was killed cannot clean up; the processes are gone anyway."""
    before = state()
    inside = "from tests.node.test_machine import change; change(machine)"
    killed = subprocess.run([sys.executable, "-c", KILLED.format(inside=inside)], check=False)
    assert -signal.SIGKILL == killed.returncode
    with Machine(addresses=[], routes=[]):
        pass
    assert before == state()
