"""Clusters are recognised, whatever their context is called now."""

from typing import Any

import pytest

from jac_converge.reconciler.platforms import (
    UNKNOWN,
    Platform,
    addons_of,
    platform_of_node,
    recognised,
)

MINIKUBE = {"context_info": {"provider": "minikube.sigs.k8s.io", "version": "v1.37.0"}}


@pytest.mark.parametrize(
    ("context", "cluster", "server", "kind", "name"),
    [
        ("kind-kind", "kind-kind", "https://127.0.0.1:4", "kind", "kind"),
        ("work", "kind-my-dev", "https://127.0.0.1:4", "kind", "my-dev"),
        ("k3d-dev", "k3d-dev", "https://0.0.0.0:4", "k3d", "dev"),
        ("microk8s", "microk8s-cluster", "https://127.0.0.1:16443", "microk8s", "microk8s-cluster"),
        ("docker-desktop", "docker-desktop", "https://x:6443", "docker-desktop", "docker-desktop"),
        ("minikube", "minikube", "https://192.168.49.2:8443", "minikube", "minikube"),
        ("prod", "arn:aws:eks:eu-1:1:cluster/kind", "https://x", "eks", "kind"),
        ("ann@shop.eu-1.eksctl.io", "shop.eu-1.eksctl.io", "https://x", "eks", "shop"),
        ("prod", "a", "https://ABC.gr7.eu-1.eks.amazonaws.com", "eks", "a"),
        ("gke_p_z_k3d-1", "gke_p_z_k3d-1", "https://1.2.3.4", "gke", "k3d-1"),
        ("shop", "shop", "https://shop-dns-1.hcp.eastus.azmk8s.io:443", "aks", "shop"),
        (
            "do-fra1-shop",
            "do-fra1-shop",
            "https://x.k8s.ondigitalocean.com",
            "doks",
            "do-fra1-shop",
        ),
    ],
)
def test_cluster_is_known_by_its_kubeconfig(
    context: str, cluster: str, server: str, kind: str, name: str
) -> None:
    """By context, name of the cluster, or server."""
    assert Platform(kind=kind, cluster=name) == recognised(context, cluster, {}, server)


def test_minikube_is_known_by_what_it_says_of_itself() -> None:
    """Its profiles may have any name."""
    assert Platform(kind="minikube", cluster="shop") == recognised("shop", "shop", MINIKUBE)


@pytest.mark.parametrize("name", ["prod", "kind", "kindergarten-1", "k3d", "minikube2"])
def test_nothing_is_recognised_by_a_mere_likeness(name: str) -> None:
    """Nor is anything loaded anywhere."""
    assert recognised(name, name, {}, "https://example.org") == UNKNOWN


@pytest.mark.parametrize(
    ("node", "kind", "cluster"),
    [
        ({"spec": {"providerID": "kind://docker/dev/dev-worker"}}, "kind", "dev"),
        ({"spec": {"providerID": "k3s://k3d-my-dev-server-0"}}, "k3d", "my-dev"),
        ({"spec": {"providerID": "k3s://box"}}, "k3s", ""),
        ({"metadata": {"labels": {"microk8s.io/cluster": "true"}}}, "microk8s", "microk8s"),
        ({"metadata": {"labels": {"minikube.k8s.io/name": "shop"}}}, "minikube", "shop"),
        ({"metadata": {"name": "docker-desktop"}}, "docker-desktop", "docker-desktop"),
        ({"metadata": {"labels": {"alpha.eksctl.io/cluster-name": "shop"}}}, "eks", "shop"),
        ({"spec": {"providerID": "gce://project/zone/instance"}}, "gke", ""),
        ({"spec": {"providerID": "openstack:///1"}}, "", ""),
        ({}, "", ""),
    ],
)
def test_cluster_is_known_by_a_node(node: dict[str, Any], kind: str, cluster: str) -> None:
    """Where its kubeconfig says nothing, as after a renaming."""
    found = platform_of_node({"metadata": {}, **node})
    assert Platform(kind=kind, cluster=cluster) == found


def test_each_kind_has_its_own_commands() -> None:
    """One each; the general ones else."""
    microk8s = addons_of(Platform(kind="microk8s", cluster="microk8s"))
    assert "microk8s enable metrics-server" == microk8s.metrics
    assert "microk8s enable hostpath-storage" == microk8s.storage
    minikube = addons_of(Platform(kind="minikube", cluster="shop"))
    assert "minikube addons enable --profile shop ingress" == minikube.ingress
    eks = addons_of(Platform(kind="eks", cluster="shop"))
    assert "aws eks create-addon --cluster-name shop --addon-name metrics-server" == eks.metrics
    assert addons_of(UNKNOWN).metrics.startswith("kubectl apply -f https://")
