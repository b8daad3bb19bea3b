"""What `[converge.watch] mode` does about drift, on a real API server with real controllers."""

from pathlib import Path

import pytest

from jac_converge.reconciler.objects import ObjectKey
from tests.cluster.foreign_edits import path_of
from tests.cluster.running_loop import RunningLoop, running_loop, wait_until, write_app
from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane

TOML = """
[converge.kubernetes]
namespace = "{namespace}"
image = "example/shop:1"
replicas = {replicas}
[converge.watch]
mode = "{mode}"
"""
ASTRAY = {"app": "astray"}


def drift(api: Api, namespace: str) -> None:
    """Lead the Service astray, and delete the PodDisruptionBudget."""
    api.patch(
        f"{path_of('Service', namespace, 'shop')}?fieldManager=kubectl-edit",
        {"spec": {"selector": ASTRAY}},
    )
    api.delete(path_of("PodDisruptionBudget", namespace, "shop"))


def is_astray(api: Api, namespace: str) -> bool:
    """Whether the Service still is."""
    selector = api.get(path_of("Service", namespace, "shop"))["spec"]["selector"]
    return bool(selector.items() >= ASTRAY.items())


def budgets(api: Api, namespace: str) -> list[str]:
    """The PodDisruptionBudgets that are there."""
    return [
        obj["metadata"]["name"]
        for obj in api.get(path_of("PodDisruptionBudget", namespace))["items"]
    ]


def replicas(api: Api, namespace: str) -> int:
    """Pods that the Deployment asks for."""
    return int(api.get(path_of("Deployment", namespace, "shop"))["spec"]["replicas"])


def left(running: RunningLoop, kind: str) -> tuple[str, ...]:
    """What the table says is not healed of an object."""
    (row,) = (row for row in running.view.rows if row.key == ObjectKey(kind, "shop"))
    return row.left


def told(running: RunningLoop, subject: str) -> list[str]:
    """What was said of an object."""
    return [message for message in running.view.messages if message.startswith(f"{subject} ")]


@pytest.mark.parametrize(
    ("mode", "until_healthy"), [("heal", False), ("warn", True)], ids=["heal", "no watch"]
)
def test_loop_heals_drift_from_before_it_began(
    cluster_with_controllers: ControlPlane,
    unused_namespace: str,
    tmp_path: Path,
    *,
    mode: str,
    until_healthy: bool,
) -> None:
    """The default, `heal`; and whoever runs `jac scale` asks for jac.toml to be in force."""
    api, ns, kubeconfig = (
        cluster_with_controllers.api,
        unused_namespace,
        cluster_with_controllers.kubeconfig,
    )
    file = write_app(tmp_path, TOML.format(namespace=ns, replicas=2, mode="heal"))
    with running_loop(file, kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
    drift(api, ns)
    write_app(tmp_path, TOML.format(namespace=ns, replicas=2, mode=mode))
    with running_loop(file, kubeconfig, until_healthy=until_healthy):
        wait_until(lambda: not is_astray(api, ns))
        wait_until(lambda: ["shop"] == budgets(api, ns))


@pytest.mark.parametrize("mode", ["warn", "off"])
def test_loop_leaves_drift_alone_but_obeys_jac_toml(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path, mode: str
) -> None:
    """From before it began and from after; `warn` says it once and shows it, `off` does neither."""
    api, ns, kubeconfig = (
        cluster_with_controllers.api,
        unused_namespace,
        cluster_with_controllers.kubeconfig,
    )
    file = write_app(tmp_path, TOML.format(namespace=ns, replicas=2, mode="heal"))
    with running_loop(file, kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
    scale = {"spec": {"replicas": 3}}
    api.patch(f"{path_of('Deployment', ns, 'shop')}?fieldManager=kubectl-edit", scale)
    write_app(tmp_path, TOML.format(namespace=ns, replicas=2, mode=mode))
    with running_loop(file, kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
        assert ([], 3) == (running.view.outcomes, replicas(api, ns))
        assert (("spec.replicas",) if mode == "warn" else ()) == left(running, "Deployment")
        drift(api, ns)
        sentence = "it was deleted; drift is left alone ([converge.watch] mode)"
        wait_until(lambda: sentence in {row.health.sentence for row in running.view.rows})
        # The drifted field itself: what jac.toml says from now on is no drift.
        write_app(tmp_path, TOML.format(namespace=ns, replicas=4, mode=mode))
        wait_until(lambda: replicas(api, ns) == 4)
        wait_until(lambda: left(running, "Deployment") == ())
        assert (True, []) == (is_astray(api, ns), budgets(api, ns))
        said = [
            len(told(running, subject))
            for subject in ("Deployment/shop", "Service/shop", "PodDisruptionBudget/shop")
        ]
        assert ([1, 1, 1] if mode == "warn" else [0, 0, 0]) == said
        assert (("spec.selector",) if mode == "warn" else ()) == left(running, "Service")
        write_app(tmp_path, TOML.format(namespace=ns, replicas=4, mode="heal"))
        wait_until(lambda: not is_astray(api, ns))
        wait_until(lambda: ["shop"] == budgets(api, ns))
