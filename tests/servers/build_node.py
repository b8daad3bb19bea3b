"""Obtain what a whole node is made of: Debian packages, Go programs, and images.

`python -m tests.servers.build_node` does it all, once: about 10 minutes on two cores, 1 GB. It
changes with the parts of a node.
"""

import os
import shutil
import sys
from pathlib import Path

from tests.servers import build

__all__ = ["PARTS", "main", "missing", "node_program"]

PARTS = ("node", "containerd", "coredns", "local-path-provisioner", "metrics-server")
"""Folders of `go/`."""

# Snapshotters of no use here, and some of them need C.
TAGS = "no_btrfs,no_zfs,no_devmapper"
PACKAGES = ("runc", "iptables", "conntrack", "containernetworking-plugins", "iproute2")
NEEDED = ("/usr/sbin/runc", "/usr/sbin/iptables", "/usr/lib/cni/bridge", "/usr/lib/cni/host-local")
TOOLS = ("ip", "nsenter", "unshare", "setpriv", "tar", "dpkg-deb")
HINT = "run `python -m tests.servers.build_node`"


def missing() -> str:
    """Why a node cannot run here; empty when it can, once everything is built."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a node needs Linux, and root"
    if not Path("/sys/fs/cgroup/cpuset").is_dir():
        return "this node lays out cgroups of version 1, and the machine has none"
    for tool in TOOLS:
        if shutil.which(tool) is None:
            return f"there is no {tool}"
    return ""


def node_program(name: str) -> Path:
    """Return a program of a node.

    Args:
        name: one of `PARTS`, or what is built with it, such as `containerd/ctr`.

    Raises:
        ServerMissing: it is not there.
    """
    for path in NEEDED:
        if not Path(path).exists():
            raise build.ServerMissing(f"there is no {path}; {HINT}")
    part, _, other = name.partition("/")
    try:
        program = build.built(part)
    except build.ServerMissing as error:
        raise build.ServerMissing(f"{part} is not built; {HINT} (about 10 min, once)") from error
    return program.with_name(other) if other else program


def install_packages() -> None:
    """Install Debian's packages where something of them is missing."""
    if all(Path(path).exists() for path in NEEDED):
        build.say("packages of a node: installed")
        return
    if not build.may_install():
        raise build.ServerMissing(f"install {', '.join(PACKAGES)}, or run this as root on Debian")
    build.say(f"installing {', '.join(PACKAGES)} ...")
    build.install_from_debian(*PACKAGES)


def build_images() -> None:
    """Make the images of the node's own pods, and those that apps are run with."""
    from tests.node.images import make_images  # noqa: PLC0415 - it needs what is built before

    build.say(f"images of a node: made ({make_images()})")


def main() -> int:
    """Get everything that is not there; return 0, or 1 with the reason printed."""
    if reason := missing():
        build.say(f"{reason}: tests that need a node are skipped")
        return 0
    return build.locked(
        build.build_go_programs,
        install_packages,
        lambda: build.build_programs(PARTS, tags=TAGS),
        build_images,
    )


if __name__ == "__main__":
    sys.exit(main())
