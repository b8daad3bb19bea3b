"""Images get into clusters of one's own machine by the tool of each."""

import pytest

from jac_converge.reconciler.image.destination import local_cluster
from jac_converge.reconciler.platforms import UNKNOWN, Platform


@pytest.mark.parametrize(
    ("kind", "cluster", "command"),
    [
        ("kind", "my-dev", "kind load image-archive FILE --name my-dev"),
        ("k3d", "dev", "k3d image import FILE --cluster dev"),
        ("microk8s", "microk8s", "microk8s ctr image import FILE"),
        ("docker-desktop", "docker-desktop", "docker load --input FILE"),
        ("minikube", "shop", "minikube image load FILE --profile shop"),
    ],
)
def test_cluster_of_this_machine_has_a_command(kind: str, cluster: str, command: str) -> None:
    """For one archive."""
    found = local_cluster(Platform(kind=kind, cluster=cluster))
    assert found
    assert command == " ".join(found.loading("FILE"))


@pytest.mark.parametrize(
    ("kind", "nodes", "told"),
    [("microk8s", 0, False), ("microk8s", 1, False), ("microk8s", 3, True), ("kind", 3, False)],
)
def test_image_that_reaches_one_of_many_nodes_is_told(kind: str, nodes: int, *, told: bool) -> None:
    """MicroK8s' containerd is that of one node; the tools of the others know all of theirs."""
    found = local_cluster(Platform(kind=kind, cluster="dev", nodes=nodes))
    assert found
    assert told == any("has 3 nodes" in note and "enable registry" in note for note in found.notes)
    assert told == bool(found.notes)


@pytest.mark.parametrize("kind", ["eks", "gke", "aks", "doks", "k3s"])
def test_other_clusters_are_not_of_this_machine(kind: str) -> None:
    """There an image has to come from a registry."""
    assert local_cluster(Platform(kind=kind, cluster="shop")) is None
    assert local_cluster(UNKNOWN) is None
