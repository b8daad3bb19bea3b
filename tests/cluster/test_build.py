"""What we build, against a real API server: accepted, stored as sent, and admitted as pods."""

from dataclasses import replace
from typing import Any

import pytest

from jac_converge.config.load import App
from jac_converge.reconciler.build import build
from jac_converge.reconciler.health import Health, health_of
from jac_converge.reconciler.objects import Object, key_of
from tests.cluster.applied import Applied, apply, collection_of
from tests.cluster.running_loop import wait_until
from tests.servers.api import ApiFailed
from tests.servers.control_plane import ControlPlane
from tests.unit.reconciler.build.apps import APPS, CREDENTIALS, app_with


def objects_in(namespace: str, app: App) -> tuple[Object, ...]:
    """Build an app into a namespace of its own."""
    return build(replace(app, namespace=namespace), CREDENTIALS)


def apply_all(
    server: ControlPlane, objects: tuple[Object, ...], *, dry_run: bool = False
) -> dict[str, Applied]:
    """Apply every object, in order."""
    return {str(key_of(obj)): apply(server, obj, dry_run=dry_run) for obj in objects}


def pods_in(server: ControlPlane, namespace: str) -> list[Any]:
    """Read every pod."""
    return list(server.api.get(f"/api/v1/namespaces/{namespace}/pods")["items"])


def health_in(
    server: ControlPlane, namespace: str, objects: tuple[Object, ...]
) -> dict[str, Health]:
    """Judge every object as it is now."""
    pods = pods_in(server, namespace)
    return {
        str(key_of(obj)): health_of(
            server.api.get(f"{collection_of(obj)}/{obj['metadata']['name']}"), pods
        )
        for obj in objects
    }


def wait_for(
    server: ControlPlane, namespace: str, objects: tuple[Object, ...], key: str, state: str
) -> str:
    """Wait until an object is in a state, and return its sentence."""
    seen: list[Health] = []

    def reached() -> bool:
        seen.append(health_in(server, namespace, objects)[key])
        return seen[-1].state == state

    wait_until(reached, 60, f"{key} is not {state}")
    return seen[-1].sentence


@pytest.mark.parametrize("app", APPS.values(), ids=APPS.keys())
def test_objects_are_stored_as_they_are_sent(
    control_plane: ControlPlane, unused_namespace: str, app: App
) -> None:
    """Strictly valid, without a warning; a second apply writes nothing, and a dry run agrees."""
    objects = objects_in(unused_namespace, app)

    first = apply_all(control_plane, objects)
    dry = apply_all(control_plane, objects, dry_run=True)
    second = apply_all(control_plane, objects)

    assert dict.fromkeys(first, ()) == {key: answer.warnings for key, answer in first.items()}
    assert dict.fromkeys(second, ()) == {key: answer.warnings for key, answer in second.items()}
    assert {key: a.version for key, a in first.items()} == {
        key: a.version for key, a in second.items()
    }
    assert {key: a.obj for key, a in second.items()} == {key: a.obj for key, a in dry.items()}


@pytest.mark.parametrize("app", APPS.values(), ids=APPS.keys())
def test_values_are_spelled_as_the_server_stores_them(
    control_plane: ControlPlane, unused_namespace: str, app: App
) -> None:
    """Every value that we send comes back as it is, so that comparing is comparing."""
    objects = objects_in(unused_namespace, app)

    answers = apply_all(control_plane, objects)

    assert [] == [
        f"{key_of(obj)}: {path}"
        for obj in objects
        for path in rewritten(obj, answers[str(key_of(obj))].obj)
    ]


def rewritten(sent: Any, stored: Any, path: str = "") -> list[str]:
    """Every path at which the server has another value than we sent; what it adds is its own."""
    if isinstance(sent, dict) and isinstance(stored, dict):
        return [
            found
            for key, value in sent.items()
            for found in rewritten(value, stored.get(key), f"{path}.{key}")
        ]
    if isinstance(sent, list) and isinstance(stored, list) and len(sent) == len(stored):
        return [
            found
            for index, (one, other) in enumerate(zip(sent, stored, strict=True))
            for found in rewritten(one, other, f"{path}[{index}]")
        ]
    return [] if sent == stored else [f"{path}: sent {sent!r}, stored {stored!r}"]


def test_namespace_refuses_a_pod_that_is_not_restricted(
    control_plane: ControlPlane, unused_namespace: str
) -> None:
    """The label on the namespace is in force: else the next test would prove nothing."""
    apply_all(control_plane, objects_in(unused_namespace, app_with()))
    root = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root"},
        "spec": {"serviceAccountName": "shop", "containers": [{"name": "any", "image": "any"}]},
    }

    with pytest.raises(ApiFailed, match="violates PodSecurity") as refused:
        control_plane.api.post(f"/api/v1/namespaces/{unused_namespace}/pods", root)

    assert 403 == refused.value.status


@pytest.mark.parametrize(
    ("app", "pods"),
    [
        pytest.param(app_with(), 3, id="defaults"),
        pytest.param(app_with({"autoscaling": {"min_replicas": 2}}), 3, id="autoscaled"),
        pytest.param(APPS["stores-given"], 3, id="stores given"),
        pytest.param(APPS["shelf"], 1, id="shelf"),
    ],
)
def test_pods_are_admitted_and_everything_gets_healthy(
    cluster_with_controllers: ControlPlane, unused_namespace: str, app: App, pods: int
) -> None:
    """The real controllers make every pod in a restricted namespace, and none is refused."""
    server = cluster_with_controllers
    objects = objects_in(unused_namespace, app)

    apply_all(server, objects)
    wait_until(
        lambda: (
            {"current"} == {h.state for h in health_in(server, unused_namespace, objects).values()}
            and pods <= len(pods_in(server, unused_namespace))
        ),
        60,
        "not everything is healthy",
    )

    events = server.api.get(f"/api/v1/namespaces/{unused_namespace}/events")["items"]
    refused = [e["message"] for e in events if "violates PodSecurity" in e.get("message", "")]
    assert [] == refused
    assert [] == [e["message"] for e in events if e.get("reason") == "FailedCreate"]


def test_volume_is_labelled_as_the_app_s(
    cluster_with_controllers: ControlPlane, unused_namespace: str
) -> None:
    """The claim that the StatefulSet makes is found among the app's objects."""
    server = cluster_with_controllers
    objects = objects_in(unused_namespace, app_with())
    apply_all(server, objects)
    wait_for(server, unused_namespace, objects, "StatefulSet/shop-mongodb", "current")

    claims = server.api.get(
        f"/api/v1/namespaces/{unused_namespace}/persistentvolumeclaims"
        "?labelSelector=app.kubernetes.io/instance=shop,"
        "app.kubernetes.io/managed-by=jac-converge"
    )["items"]

    assert ["data-shop-mongodb-0"] == [claim["metadata"]["name"] for claim in claims]
    assert "current" == health_of({**claims[0], "kind": "PersistentVolumeClaim"}).state


def test_health_names_an_image_that_cannot_be_pulled_and_heals_with_it(
    cluster_with_controllers: ControlPlane, unused_namespace: str
) -> None:
    """Bad roll-out, back to the version before: each is judged by its own pods only."""
    server = cluster_with_controllers
    good, bad = (
        objects_in(unused_namespace, app_with({"image": image}))
        for image in ("registry.example/shop:1", "nowhere.invalid/shop:2")
    )
    apply_all(server, good)
    wait_for(server, unused_namespace, good, "Deployment/shop", "current")

    apply_all(server, bad)
    sentence = wait_for(server, unused_namespace, bad, "Deployment/shop", "failed")

    assert "ImagePullBackOff: Back-off pulling image" in sentence
    assert sentence.startswith("waiting for 1 of 1 replica to be ")

    apply_all(server, good)
    states: list[str] = []

    def came_back() -> bool:
        states.append(health_in(server, unused_namespace, good)["Deployment/shop"].state)
        return states[-1] == "current"

    wait_until(came_back, 60, "the good version does not come back")
    assert "failed" not in states


def test_health_names_a_quota(
    cluster_with_controllers: ControlPlane, unused_namespace: str
) -> None:
    """No pod can be made, so none can tell: the Deployment does."""
    server = cluster_with_controllers
    objects = objects_in(unused_namespace, APPS["shelf"])
    apply_all(server, objects[:1])
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"pods": "0"}},
    }
    path = f"/api/v1/namespaces/{unused_namespace}/resourcequotas"
    server.api.post(path, quota)
    wait_until(
        lambda: "hard" in server.api.get(f"{path}/none").get("status", {}), 30, "quota not seen"
    )

    apply_all(server, objects)

    sentence = wait_for(server, unused_namespace, objects, "Deployment/shop", "failed")
    assert "exceeded quota: none" in sentence
