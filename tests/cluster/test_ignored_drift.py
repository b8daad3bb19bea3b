"""Drift that `[converge.watch] ignore` leaves to others, on a real API server."""

from pathlib import Path

from jac_converge.reconciler.objects import Object
from tests.cluster.foreign_edits import EDITS, heal_seconds, path_of
from tests.cluster.running_loop import RunningLoop, running_loop, wait_until, write_app
from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane

TOML = """
[converge.kubernetes]
namespace = "{namespace}"
image = "example/shop:1"
[converge.watch]
ignore = [
    "Deployment/shop:spec.template.spec.containers[app].resources",
    "Deployment/shop:spec.replicas manager=scaler-*",
    "*/*:metadata.annotations",
    "Deployment/shopp:spec",
]
"""
RESOURCES = {"requests": {"cpu": "7m"}, "limits": {"memory": "700Mi"}}


def deployment(api: Api, namespace: str) -> Object:
    """The app's, as it is."""
    return api.get(path_of("Deployment", namespace, "shop"))


def resize(api: Api, namespace: str) -> None:
    """Change the resources of the app's container, and add a note, as kubectl does."""
    containers = deployment(api, namespace)["spec"]["template"]["spec"]["containers"]
    containers[0]["resources"] = RESOURCES
    spec = {"template": {"spec": {"containers": containers}}}
    path = f"{path_of('Deployment', namespace, 'shop')}?fieldManager=kubectl-edit"
    api.patch(path, {"spec": spec, "metadata": {"annotations": {"note": "hands off"}}})


def left(api: Api, namespace: str) -> tuple[Object, str | None]:
    """What of that is there."""
    it = deployment(api, namespace)
    resources = it["spec"]["template"]["spec"]["containers"][0]["resources"]
    return resources, it["metadata"]["annotations"].get("note")


def scale(api: Api, namespace: str, manager: str) -> int:
    """Change the count, and tell the heals' number before."""
    path = f"{path_of('Deployment', namespace, 'shop')}?fieldManager={manager}"
    return int(api.patch(path, {"spec": {"replicas": 3}})["metadata"]["generation"])


def count(api: Api, namespace: str) -> int:
    """Pods that the Deployment asks for."""
    return int(deployment(api, namespace)["spec"]["replicas"])


def heals_of(running: RunningLoop) -> list[str]:
    """What was put back."""
    return [heal.what for heal in running.view.heals]


def test_loop_leaves_ignored_drift_and_heals_the_rest(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """Also beside a heal of the same object, by the named manager only, and at a new start."""
    api, ns = cluster_with_controllers.api, unused_namespace
    file = write_app(tmp_path, TOML.format(namespace=ns))
    image = next(e for e in EDITS if e.kind == "Deployment" and e.title == "image")
    kubeconfig = cluster_with_controllers.kubeconfig
    with running_loop(file, kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
        assert any(
            '"Deployment/shopp:spec" speaks of no object' in m for m in running.view.messages
        )
        resize(api, ns)
        healed = heal_seconds(api, image, app="shop", namespace=ns, manager="kubectl-edit")
        assert healed is not None
        assert (RESOURCES, "hands off") == left(api, ns)
        scale(api, ns, "stranger")
        wait_until(lambda: count(api, ns) == 1)
        assert not any("resources" in what or "annotations" in what for what in heals_of(running))
        told = len(running.view.outcomes)
        scale(api, ns, "scaler-1")
        healed = heal_seconds(api, image, app="shop", namespace=ns, manager="kubectl-edit")
        assert healed is not None
        assert 3 == count(api, ns)
        wait_until(lambda: len(running.view.outcomes) > told)
        wait_until(lambda: running.view.ready, 60)
    with running_loop(file, kubeconfig) as again:
        wait_until(lambda: again.view.ready, 60)
        assert [] == again.view.outcomes
    assert (RESOURCES, "hands off") == left(api, ns)
    assert 3 == count(api, ns)
