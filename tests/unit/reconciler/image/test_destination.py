"""Images get into clusters of one's own machine by the tool of each."""

from pathlib import Path

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
        ("minikube", "shop", "minikube image load FILE --profile shop --alsologtostderr"),
    ],
)
def test_cluster_of_this_machine_has_a_command(kind: str, cluster: str, command: str) -> None:
    """For one archive."""
    found = local_cluster(Platform(kind=kind, cluster=cluster), "linux")
    assert found
    assert [command] == [" ".join(words) for words in found.loading(Path("FILE"))]
    assert () == found.cleaning(Path("FILE"))


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_archive_is_copied_into_the_machine_of_microk8s(system: str) -> None:
    """Its program there hands words on, and no files; another kind reads them itself."""
    found = local_cluster(Platform(kind="microk8s", cluster="microk8s"), system)
    assert found
    archive = Path("there", "jac-converge-1a2b", "image.tar")
    assert [
        f"multipass transfer {archive} microk8s-vm:/tmp/jac-converge-1a2b.tar",
        "microk8s ctr image import /tmp/jac-converge-1a2b.tar",
        "multipass exec microk8s-vm -- rm -f /tmp/jac-converge-1a2b.tar",
    ] == [" ".join(words) for words in (*found.loading(archive), *found.cleaning(archive))]
    assert ("multipass", "microk8s") == found.programs
    docker = local_cluster(Platform(kind="docker-desktop", cluster="docker-desktop"), system)
    assert docker
    assert ("docker",) == docker.programs


@pytest.mark.parametrize(
    ("kind", "nodes", "told"),
    [("microk8s", 0, False), ("microk8s", 1, False), ("microk8s", 3, True), ("kind", 3, False)],
)
def test_image_that_reaches_one_of_many_nodes_is_told(kind: str, nodes: int, *, told: bool) -> None:
    """MicroK8s' containerd is that of one node; the tools of the others know all of theirs."""
    found = local_cluster(Platform(kind=kind, cluster="dev", nodes=nodes), "linux")
    assert found
    assert told == any("has 3 nodes" in note and "enable registry" in note for note in found.notes)
    assert told == bool(found.notes)


@pytest.mark.parametrize("kind", ["eks", "gke", "aks", "doks", "k3s"])
def test_other_clusters_are_not_of_this_machine(kind: str) -> None:
    """There an image has to come from a registry."""
    assert local_cluster(Platform(kind=kind, cluster="shop"), "linux") is None
    assert local_cluster(UNKNOWN, "linux") is None
