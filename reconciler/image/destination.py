"""Where an image has to be for a cluster's nodes to find it. Pure.

A cluster of this machine is recognised by its context, and has a tool of its own that loads
images. It changes when another way of running a cluster on one's own machine becomes usual.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from jac_converge.reconciler.image.reference import Reference

__all__ = ["LOCAL_REGISTRY", "LocalCluster", "local_cluster", "local_reference"]

LOCAL_REGISTRY: Final = "jac-converge.local"
"""Names images that no registry has; nobody answers there."""

ARCHIVE: Final = "{archive}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCluster:
    """A cluster of this machine, and how images get into it."""

    name: str
    """As people call it: `kind cluster "dev"`."""
    command: tuple[str, ...]
    """Loads the archive that stands for `ARCHIVE`."""
    install: str
    """Where its tool comes from."""

    def loading(self, archive: str) -> tuple[str, ...]:
        """The command for one archive."""
        return tuple(archive if word == ARCHIVE else word for word in self.command)


def local_cluster(
    context: str, cluster: str, extensions: Mapping[str, Mapping[str, Any]]
) -> LocalCluster | None:
    """Recognise a cluster of this machine; None: nothing says that it is one.

    Args:
        context: its name.
        cluster: the name that the context gives to its cluster: people rename contexts.
        extensions: of the context, by name.

    >>> local_cluster("work", "kind-dev", {}).loading("/tmp/shop.tar")
    ('kind', 'load', 'image-archive', '/tmp/shop.tar', '--name', 'dev')
    """
    for name in dict.fromkeys((cluster, context)):
        kind, _, rest = name.partition("-")
        if kind == "kind" and rest:
            return LocalCluster(
                name=f"kind cluster {rest}",
                command=("kind", "load", "image-archive", ARCHIVE, "--name", rest),
                install="https://kind.sigs.k8s.io",
            )
        if kind == "k3d" and rest:
            return LocalCluster(
                name=f"k3d cluster {rest}",
                command=("k3d", "image", "import", ARCHIVE, "--cluster", rest),
                install="https://k3d.io",
            )
        if kind == "microk8s":
            return LocalCluster(
                name="MicroK8s",
                # Not `microk8s images import`: that one wants a cluster's token on some versions.
                command=("microk8s", "ctr", "image", "import", ARCHIVE),
                install="https://microk8s.io",
            )
        if name in {"docker-desktop", "docker-for-desktop"}:
            return LocalCluster(
                name="Docker Desktop",
                # Its nodes and its engine share their images.
                command=("docker", "load", "--input", ARCHIVE),
                install="https://docs.docker.com/desktop",
            )
    return _minikube(context, cluster, extensions)


def _minikube(
    context: str, cluster: str, extensions: Mapping[str, Mapping[str, Any]]
) -> LocalCluster | None:
    """Recognise minikube, whose profiles may have any name, by what it writes about itself."""
    theirs = any("minikube" in str(it.get("provider", "")) for it in extensions.values())
    if not (theirs or "minikube" in {context, cluster}):
        return None
    return LocalCluster(
        name=f"minikube profile {cluster}",
        command=("minikube", "image", "load", ARCHIVE, "--profile", cluster),
        install="https://minikube.sigs.k8s.io",
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
