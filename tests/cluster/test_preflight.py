"""What a cluster lacks is told in the plan, with the command of that kind of cluster."""

import json
from pathlib import Path
from typing import Any

import pytest

from jac_converge.reconciler.kube_cluster import connect
from jac_converge.reconciler.preflight import platform_of
from tests.e2e.image_places import renamed_context
from tests.e2e.scale_command import run_scale, write_app
from tests.servers.control_plane import ControlPlane

TOML = """
[converge.kubernetes]
namespace = "{namespace}"
image = "shop:1"
[converge.kubernetes.autoscaling]
max_replicas = 3
[converge.kubernetes.exposure]
kind = "ingress"
{more}
"""


def notes(server: ControlPlane, namespace: str, context: str, folder: Path, more: str) -> list[str]:
    """What a plan says about the cluster, by a context of this name."""
    file = write_app(folder, TOML.format(namespace=namespace, more=more))
    kubeconfig = renamed_context(server.kubeconfig, context, folder)
    done = run_scale(file, "--plan", "--json", kubeconfig=kubeconfig)
    assert 3 == done.code, done
    told: list[str] = json.loads(done.out)["notes"]
    return told


@pytest.mark.parametrize(
    ("context", "name", "commands"),
    [
        (
            "microk8s",
            "MicroK8s",
            (
                "microk8s enable hostpath-storage",
                "microk8s enable metrics-server",
                "microk8s enable ingress",
            ),
        ),
        (
            "arn:aws:eks:eu-1:1:cluster/shop",
            "EKS cluster shop",
            ("aws eks create-addon", "aws eks create-addon", "helm upgrade"),
        ),
    ],
    ids=["microk8s", "managed"],
)
def test_plan_tells_what_is_missing_and_how_to_add_it(  # noqa: PLR0917 - most are fixtures
    control_plane: ControlPlane,
    unused_namespace: str,
    tmp_path: Path,
    context: str,
    name: str,
    commands: tuple[str, str, str],
) -> None:
    """Storage, an ingress controller and metrics, each with one command."""
    told = notes(control_plane, unused_namespace, context, tmp_path, "")
    because = f"because {name} has no"
    lacking = (
        f"StatefulSet/shop-mongodb waits for a volume, {because} default StorageClass; add one: ",
        f"HorizontalPodAutoscaler/shop measures nothing, {because} metrics; add them: ",
        f"Ingress/shop leads nowhere, {because} default IngressClass; add one: ",
    )
    for have, sentence, command in zip(told, lacking, commands, strict=True):
        assert have.startswith(sentence + command), told


@pytest.mark.parametrize(
    ("context", "more", "told"),
    [
        pytest.param("gke_p_z_shop", "", "", id="its own controller"),
        pytest.param(
            *("gke_p_z_shop", 'class_name = "gce"'),
            "GKE's controller takes no class_name; leave it out, or write annotations = "
            "{ 'kubernetes.io/ingress.class' = 'gce-internal' }",
            id="its own controller by a class",
        ),
        pytest.param(
            *("gke_p_z_shop", 'class_name = "nginx"'),
            "GKE cluster shop has no IngressClass nginx; add one",
            id="another one",
        ),
        pytest.param(
            *("work", 'annotations = { "kubernetes.io/ingress.class" = "nginx" }', ""),
            id="a class of before",
        ),
    ],
)
def test_controller_that_no_class_tells_of_is_not_missing(  # noqa: PLR0917 - most are fixtures
    control_plane: ControlPlane,
    unused_namespace: str,
    tmp_path: Path,
    context: str,
    more: str,
    told: str,
) -> None:
    """GKE's takes what names no class; a class may be named as it was before there were any."""
    found = [
        note
        for note in notes(control_plane, unused_namespace, context, tmp_path, more)
        if note.startswith("Ingress/")
    ]
    assert [f"Ingress/shop leads nowhere, because {told}"] * bool(told) == found


def test_plan_names_the_classes_that_there_are(
    own_control_plane: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """And is silent where one is the default."""
    add(own_control_plane, "storage.k8s.io/v1/storageclasses", "fast", provisioner="a.b/c")
    add(
        *(own_control_plane, "networking.k8s.io/v1/ingressclasses", "nginx"),
        spec={"controller": "a.b/c"},
    )
    told = notes(own_control_plane, unused_namespace, "work", tmp_path, "")
    assert "has no default StorageClass; name one as storage_class (fast), or add one" in told[0]
    assert "has no default IngressClass; name one as class_name (nginx), or add one" in told[2]
    more = 'class_name = "nginx"\n[converge.kubernetes.mongodb]\nstorage_class = "slow"'
    told = notes(own_control_plane, unused_namespace, "work", tmp_path, more)
    assert "this cluster has no StorageClass slow; name one as storage_class (fast)" in told[0]
    assert 2 == len(told)
    node = {"metadata": {"name": "n", "labels": {"minikube.k8s.io/name": "dev"}}}
    own_control_plane.api.post("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", **node})
    told = notes(own_control_plane, unused_namespace, "work", tmp_path, more)
    assert "minikube profile dev has no metrics; add them: minikube addons enable" in told[1]
    mark = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    add(
        *(own_control_plane, "storage.k8s.io/v1/storageclasses", "usual"),
        provisioner="a.b/c",
        more=mark,
    )
    told = notes(own_control_plane, unused_namespace, "work", tmp_path, 'class_name = "nginx"')
    assert 1 == len(told), told


def test_nodes_of_microk8s_are_counted(
    own_control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image is loaded into one of them; where that does not matter nobody asks."""
    node = {"apiVersion": "v1", "kind": "Node"}
    for name in "ab":
        own_control_plane.api.post("/api/v1/nodes", {**node, "metadata": {"name": name}})
    for context, nodes in (("microk8s", 2), ("kind-dev", 0)):
        file = renamed_context(own_control_plane.kubeconfig, context, tmp_path)
        monkeypatch.setenv("KUBECONFIG", str(file))
        cluster = connect(context=None, namespace="shop", selector="a=b", config_file=str(file))
        assert nodes == platform_of(cluster).nodes


def add(
    server: ControlPlane, path: str, name: str, *, more: dict[str, Any] | None = None, **rest: Any
) -> None:
    """Create an object that belongs to no namespace."""
    version = path.rpartition("/")[0]
    kind = {"storageclasses": "StorageClass", "ingressclasses": "IngressClass"}[
        path.rpartition("/")[2]
    ]
    metadata = {"name": name, **(more or {})}
    obj = {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}
    server.api.post(f"/apis/{path}", obj)
