"""Where an image has to be for a cluster's nodes to find it. Pure.

A cluster of this machine has a tool of its own that loads images. It changes when another way of
running a cluster on one's own machine becomes usual.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from jac_converge.reconciler.image.reference import Reference
from jac_converge.reconciler.platforms import Platform

__all__ = ["LOCAL_REGISTRY", "LocalCluster", "local_cluster", "local_reference"]

LOCAL_REGISTRY: Final = "jac-converge.local"
"""Names images that no registry has; nobody answers there."""

ARCHIVE: Final = "{archive}"

COPY: Final = "{copy}"
"""Stands for the archive, where a cluster in a virtual machine finds it."""

_TOOLS: Final = {
    "kind": ("kind load image-archive {archive} --name {cluster}", "https://kind.sigs.k8s.io"),
    "k3d": ("k3d image import {archive} --cluster {cluster}", "https://k3d.io"),
    "microk8s": ("microk8s ctr image import {archive}", "https://microk8s.io"),
    # Its nodes and its engine share their images.
    "docker-desktop": ("docker load --input {archive}", "https://docs.docker.com/desktop"),
    "minikube": (
        "minikube image load {archive} --profile {cluster} --alsologtostderr",
        "https://minikube.sigs.k8s.io",
    ),
}
"""Kind of cluster -> the command that loads an archive, and where its program comes from."""

_IN_A_VM: Final = (
    "multipass transfer {archive} microk8s-vm:{copy}",
    "microk8s ctr image import {copy}",
    "multipass exec microk8s-vm -- rm -f {copy}",
)
"""MicroK8s where it is no Linux: its program hands words on to a virtual machine, but no files."""

_FAILURES: Final = {
    "k3d": "failed to import images in node",
    "minikube": "Failed to load cached images",
}
"""What a tool says that ends with 0 even where a node takes no image; minikube only to its log."""

_CONTAINERD: Final = frozenset({"kind", "microk8s"})
"""Their tools hand an archive to `ctr image import`, and fail when it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCluster:
    """A cluster of this machine, and how images get into it."""

    name: str
    """As people call it: `kind cluster "dev"`."""
    commands: tuple[tuple[str, ...], ...]
    """Load the archive that stands for `ARCHIVE`, one after the other."""
    failure: str = ""
    """What they say of a failure that no exit code tells."""
    cleanup: tuple[tuple[str, ...], ...] = ()
    """To be run afterwards, whatever became of those."""
    install: str
    """Where its tool comes from."""
    adds_layers: bool = False
    """Takes an archive without the layers that its nodes have, and fails where one is missing."""
    notes: tuple[str, ...] = ()
    """What the user should know about it."""

    @property
    def programs(self) -> tuple[str, ...]:
        """What has to be on PATH."""
        return tuple(dict.fromkeys(command[0] for command in self.commands))

    def loading(self, archive: PurePath) -> tuple[tuple[str, ...], ...]:
        """The commands for one archive, which lies in a folder of its own."""
        return tuple(_filled(command, archive) for command in self.commands)

    def cleaning(self, archive: PurePath) -> tuple[tuple[str, ...], ...]:
        """The commands that leave nothing behind of it."""
        return tuple(_filled(command, archive) for command in self.cleanup)


def _filled(command: Iterable[str], archive: PurePath) -> tuple[str, ...]:
    copy = f"/tmp/{archive.parent.name}.tar"  # noqa: S108 - of another machine
    return tuple(word.replace(ARCHIVE, str(archive)).replace(COPY, copy) for word in command)


def local_cluster(platform: Platform, system: str) -> LocalCluster | None:
    """How images get into a cluster; None: it is none of this machine.

    Args:
        platform: the kind of cluster.
        system: of this machine, as `sys.platform` has it.

    >>> found = local_cluster(Platform(kind="kind", cluster="dev"), "linux")
    >>> found.loading(PurePath("/tmp/shop.tar"))
    (('kind', 'load', 'image-archive', '/tmp/shop.tar', '--name', 'dev'),)
    """
    if platform.kind not in _TOOLS:
        return None
    command, install = _TOOLS[platform.kind]
    in_a_vm = platform.kind == "microk8s" and system in {"darwin", "win32"}
    *commands, last = _IN_A_VM if in_a_vm else (command, "")
    return LocalCluster(
        name=platform.title,
        commands=tuple(_words(it, platform) for it in commands),
        cleanup=(_words(last, platform),) if last else (),
        install=install,
        failure=_FAILURES.get(platform.kind, ""),
        adds_layers=platform.kind in _CONTAINERD,
        notes=tuple(_notes(platform, command)),
    )


def _words(command: str, platform: Platform) -> tuple[str, ...]:
    return tuple(command.format(archive=ARCHIVE, copy=COPY, cluster=platform.cluster).split())


def _notes(platform: Platform, command: str) -> Iterator[str]:
    if platform.kind == "microk8s" and platform.nodes > 1:
        tool = command.removesuffix(f" {ARCHIVE}")
        yield (
            f"this {platform.title} has {platform.nodes} nodes, and `{tool}` loads an image into "
            "the one it runs on: pods on the others do not find it; set "
            "[converge.kubernetes.image_build] repository to a registry that all nodes reach, "
            "such as that of `microk8s enable registry`"
        )


def local_reference(app_name: str, digest: str) -> Reference:
    """Name an image that is loaded, not pulled.

    By a tag, because the tools that load images keep no digests; it is made of the content, so it
    never means another image.

    >>> str(local_reference("shop", "sha256:0123456789abcdef0123456789abcdef"))
    'jac-converge.local/shop:sha256-0123456789abcdef'
    """
    return Reference(registry=LOCAL_REGISTRY, repository=app_name, tag=content_tag(digest))


def content_tag(digest: str) -> str:
    """Make a tag of a digest: enough of it for nobody to meet the same one by chance."""
    algorithm, _, value = digest.partition(":")
    return f"{algorithm}-{value[:16]}"
