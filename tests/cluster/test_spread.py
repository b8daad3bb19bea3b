"""Where a real scheduler puts the app's pods: on different nodes, also where none has a zone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from jac_converge.reconciler.build import build
from jac_converge.reconciler.objects import Object
from tests.servers.control_plane import ControlPlane
from tests.servers.process import wait_until
from tests.unit.reconciler.build.apps import CREDENTIALS, app_with

ZONE = "topology.kubernetes.io/zone"
LARGE, SMALL = "64", "4"
"""Processors: what is freer is the better place, to a scheduler that has no other wish."""


@contextmanager
def nodes(server: ControlPlane, *described: tuple[str, str, str]) -> Iterator[None]:
    """Let there be nodes: name, zone, processors."""
    for name, zone, processors in described:
        labels = {"kubernetes.io/hostname": name, **({ZONE: zone} if zone else {})}
        metadata = {"name": name, "labels": labels}
        path = f"/api/v1/nodes/{name}"
        server.api.post("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": metadata})
        size = {"cpu": processors, "memory": f"{processors}Gi", "pods": "110"}
        ready = {"type": "Ready", "status": "True", "reason": "Test", "message": ""}
        status = {"capacity": size, "allocatable": size, "conditions": [ready]}
        server.api.patch(f"{path}/status", {"status": status})
        # Which a node gets as long as nobody says that it is ready.
        server.api.patch(path, {"spec": {"taints": None}})
    try:
        yield
    finally:
        for name, _, _ in described:
            server.api.delete(f"/api/v1/nodes/{name}", {})


def places_of(server: ControlPlane, count: int) -> list[str]:
    """The nodes that the pods of an app get, sorted."""
    namespace = server.new_namespace()
    app = replace(app_with({"replicas": count}), namespace=namespace)
    for obj in build(app, CREDENTIALS):
        if path := _path(obj, namespace):
            server.api.post(path, obj)
    pods = f"/api/v1/namespaces/{namespace}/pods?labelSelector=app.kubernetes.io/component=app"

    def places() -> list[str]:
        found = [pod["spec"].get("nodeName") for pod in server.api.get(pods)["items"]]
        return sorted(name for name in found if name)

    wait_until(lambda: len(places()) == count, within=40, what="a node for every pod")
    return places()


def _path(obj: Object, namespace: str) -> str:
    """Where the objects are created that a pod needs to get a node; empty: it needs it not."""
    places = {
        "ServiceAccount": f"/api/v1/namespaces/{namespace}/serviceaccounts",
        "Deployment": f"/apis/apps/v1/namespaces/{namespace}/deployments",
    }
    return places.get(obj["kind"], "") if obj["metadata"]["name"] == "shop" else ""


def test_pods_spread_over_nodes_without_zones(cluster_without_nodes: ControlPlane) -> None:
    """Though one of the nodes has much more room."""
    server = cluster_without_nodes
    with nodes(server, ("a", "", LARGE), ("b", "", SMALL)):
        assert ["a", "a", "b", "b"] == places_of(server, 4)


def test_pods_spread_over_zones(cluster_without_nodes: ControlPlane) -> None:
    """Two nodes of one zone have much more room than the one of the other."""
    server = cluster_without_nodes
    with nodes(server, ("a", "z1", LARGE), ("b", "z1", LARGE), ("c", "z2", SMALL)):
        assert "c" in places_of(server, 2)
