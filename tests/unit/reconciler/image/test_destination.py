"""Clusters of one's own machine are recognised, whatever their context is called now."""

import pytest

from jac_converge.reconciler.image.destination import local_cluster

MINIKUBE = {"context_info": {"provider": "minikube.sigs.k8s.io", "version": "v1.37.0"}}


@pytest.mark.parametrize(
    ("context", "cluster", "command"),
    [
        ("kind-kind", "kind-kind", "kind load image-archive FILE --name kind"),
        ("work", "kind-my-dev", "kind load image-archive FILE --name my-dev"),
        ("k3d-dev", "k3d-dev", "k3d image import FILE --cluster dev"),
        ("microk8s", "microk8s-cluster", "microk8s ctr image import FILE"),
        ("docker-desktop", "docker-desktop", "docker load --input FILE"),
        ("minikube", "minikube", "minikube image load FILE --profile minikube"),
    ],
)
def test_cluster_is_known_by_its_context(context: str, cluster: str, command: str) -> None:
    """And has the command of its own tool."""
    found = local_cluster(context, cluster, {})
    assert found
    assert command == " ".join(found.loading("FILE"))


def test_minikube_is_known_by_what_it_says_of_itself() -> None:
    """Its profiles may have any name."""
    found = local_cluster("shop", "shop", MINIKUBE)
    assert found
    assert ("minikube", "image", "load", "FILE", "--profile", "shop") == found.loading("FILE")


@pytest.mark.parametrize(
    "name", ["prod", "kind", "kindergarten-1", "arn:aws:eks:eu-1:1:cluster/kind", "gke_p_z_k3d-1"]
)
def test_other_clusters_are_not_of_this_machine(name: str) -> None:
    """Nothing is loaded anywhere by a mere likeness."""
    assert local_cluster(name, name, {}) is None
