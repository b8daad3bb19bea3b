"""Workloads roll out where the controllers are real and the node is faked."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.servers.api import Api, ApiFailed
from tests.servers.control_plane import ControlPlane
from tests.servers.process import wait_until

Json = dict[str, Any]
LABELS = {"app": "web"}


def workload(kind: str, *, replicas: int = 2, image: str = "example.test/web:1") -> Json:
    """Return a Deployment or StatefulSet named web."""
    container: Json = {"name": "web", "image": image, "resources": {"requests": {"cpu": "100m"}}}
    pod = {"containers": [container], "terminationGracePeriodSeconds": 1}
    template = {"metadata": {"labels": LABELS}, "spec": pod}
    spec: Json = {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": template}
    if kind == "StatefulSet":
        claim = {
            "metadata": {"name": "data"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
        spec |= {"serviceName": "web", "volumeClaimTemplates": [claim]}
        container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}, "spec": spec}


@pytest.fixture
def api(cluster_with_controllers: ControlPlane) -> Api:
    """Give the admin's client."""
    return cluster_with_controllers.api


@pytest.fixture
def place(cluster_with_controllers: ControlPlane) -> str:
    """Give a namespace of the cluster with controllers."""
    return cluster_with_controllers.new_namespace()


def status_is(api: Api, path: str, **expected: object) -> Callable[[], bool]:
    """Return a question: does the status hold these?"""

    def holds() -> bool:
        status = api.get(path).get("status", {})
        return expected == {key: status.get(key) for key in expected}

    return holds


def pods(api: Api, namespace: str) -> list[Json]:
    """Return all Pods of a namespace."""
    return list(api.get(f"/api/v1/namespaces/{namespace}/pods")["items"])


def test_deployment_becomes_available_and_ends(api: Api, place: str) -> None:
    """Two replicas become available; a deleted Deployment leaves no Pod."""
    path = f"/apis/apps/v1/namespaces/{place}/deployments"
    api.post(path, workload("Deployment"))

    available = status_is(api, f"{path}/web", availableReplicas=2, observedGeneration=1)
    wait_until(available, within=30, what="two available replicas")
    addresses = {pod["status"]["podIP"] for pod in pods(api, place)}
    api.delete(f"{path}/web", {"propagationPolicy": "Background"})

    assert 2 == len(addresses)
    wait_until(lambda: pods(api, place) == [], within=30, what="no Pods")


def test_stateful_set_with_claims_becomes_available(api: Api, place: str) -> None:
    """Each replica gets a volume of its own, bound by the real controller."""
    path = f"/apis/apps/v1/namespaces/{place}/statefulsets"
    api.post(path, workload("StatefulSet"))

    wait_until(
        status_is(api, f"{path}/web", availableReplicas=2), within=30, what="two available replicas"
    )
    claims = api.get(f"/api/v1/namespaces/{place}/persistentvolumeclaims")["items"]

    assert {"data-web-0": "Bound", "data-web-1": "Bound"} == {
        claim["metadata"]["name"]: claim["status"]["phase"] for claim in claims
    }


def test_pod_waits_when_its_image_cannot_be_pulled(api: Api, place: str) -> None:
    """An image below .invalid gives the state that users see, and no available replica."""
    path = f"/apis/apps/v1/namespaces/{place}/deployments"
    api.post(path, workload("Deployment", replicas=1, image="registry.invalid:5000/web:1"))

    def reasons() -> list[str]:
        return [
            container["state"]["waiting"]["reason"]
            for pod in pods(api, place)
            for container in pod["status"].get("containerStatuses", [])
        ]

    wait_until(lambda: reasons() == ["ImagePullBackOff"], within=30, what="ImagePullBackOff")
    assert "availableReplicas" not in api.get(f"{path}/web")["status"]


def test_pod_stays_unscheduled_when_too_large(api: Api, place: str) -> None:
    """The scheduler is real: it says why a Pod fits nowhere."""
    body = workload("Deployment", replicas=1)
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"requests": {"cpu": "9999"}}
    api.post(f"/apis/apps/v1/namespaces/{place}/deployments", body)

    def messages() -> list[str]:
        return [
            condition["message"]
            for pod in pods(api, place)
            for condition in pod["status"].get("conditions", [])
            if condition["type"] == "PodScheduled"
        ]

    wait_until(lambda: messages() != [], within=30, what="a verdict of the scheduler")
    assert "Insufficient cpu" in messages()[0]


def test_namespace_with_a_workload_is_deleted(api: Api, place: str) -> None:
    """A namespace goes with all that is in it, finalizers included."""
    path = f"/apis/apps/v1/namespaces/{place}/statefulsets"
    api.post(path, workload("StatefulSet", replicas=1))
    wait_until(
        status_is(api, f"{path}/web", availableReplicas=1), within=30, what="an available replica"
    )

    api.delete(f"/api/v1/namespaces/{place}")

    def gone() -> bool:
        try:
            api.get(f"/api/v1/namespaces/{place}")
        except ApiFailed as failure:
            return failure.status == 404
        return False

    wait_until(gone, within=60, what="the end of the namespace")
