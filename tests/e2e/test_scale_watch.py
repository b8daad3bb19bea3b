"""`jac-converge scale --watch` as a user meets it, with the real kubectl beside it."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.foreign_edits import path_of
from tests.e2e.scale_command import Running, run_scale, running_scale, write_app
from tests.servers.api import Api, ApiFailed
from tests.servers.control_plane import ControlPlane
from tests.servers.process import wait_until

SHELF = """
[converge.kubernetes.redis]
enabled = false

[converge.kubernetes.mongodb]
enabled = false
"""
SCALED = """
[converge.kubernetes.autoscaling]
min_replicas = 2
max_replicas = 5
cpu_utilization_target = 60
"""


def toml(namespace: str, *, replicas: int = 1, more: str = SHELF) -> str:
    """A small configuration."""
    head = f'[converge.kubernetes]\nnamespace = "{namespace}"\nimage = "example/shop:1"\n'
    return f"{head}replicas = {replicas}\n{more}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """An app under watch, and kubectl."""

    file: Path
    namespace: str
    api: Api
    watching: Running
    kubectl: Path
    kubeconfig: Path

    def run_kubectl(self, *arguments: str) -> None:
        """Run kubectl in the app's namespace."""
        subprocess.run(
            [self.kubectl, "-n", self.namespace, *arguments],
            env=os.environ | {"KUBECONFIG": str(self.kubeconfig)},
            check=True,
            capture_output=True,
            timeout=30,
        )

    def get(self, kind: str, name: str = "shop") -> dict[str, Any]:
        """One object as it is."""
        return self.api.get(path_of(kind, self.namespace, name))


@pytest.fixture
def api(cluster_with_controllers: ControlPlane) -> Api:
    """An admin's client that is not the project's own."""
    return cluster_with_controllers.api


@pytest.fixture(scope="module")
def shop(
    cluster_with_controllers: ControlPlane,
    kubectl: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Watched]:
    """Deployed by the watch itself."""
    server, namespace = cluster_with_controllers, "watched-e2e"
    file = write_app(tmp_path_factory.mktemp("shop"), toml(namespace, replicas=2, more=""))
    with running_scale(file, "--watch", kubeconfig=server.kubeconfig) as watching:
        watching.wait_for("Deployment/shop: ready")
        yield Watched(
            file=file,
            namespace=namespace,
            api=server.api,
            watching=watching,
            kubectl=kubectl,
            kubeconfig=server.kubeconfig,
        )
        assert 0 == watching.end()


def content(obj: dict[str, Any]) -> tuple[Any, ...]:
    """What jac.toml decides about an object."""
    return (obj["metadata"]["labels"], obj.get("spec"), obj.get("data"))


@pytest.mark.parametrize(
    ("command", "told"),
    [
        pytest.param(
            ["scale", "deployment/shop", "--replicas=4"],
            r"Deployment/shop spec.replicas 4 -> 2 healed in \d+ ms - changed by kubectl",
            id="scale",
        ),
        pytest.param(
            ["set", "image", "deployment/shop", "*=example/evil:1"],
            r"Deployment/shop .*image.* -> example/shop:1.* healed in \d+ ms - changed by kubectl",
            id="set image",
        ),
        pytest.param(
            ["patch", "service/shop", "--type=merge", '-p={"spec":{"selector":{"a":"b"}}}'],
            r"Service/shop spec.selector.* healed in \d+ ms - changed by kubectl-patch",
            id="patch",
        ),
        pytest.param(
            ["label", "configmap/shop-config", "app.kubernetes.io/managed-by-"],
            r"ConfigMap/shop-config metadata.labels.* healed in \d+ ms",
            id="strip a label",
        ),
        pytest.param(
            ["delete", "deployment/shop", "--wait=false"],
            r"Deployment/shop deleted, created again healed in \d+ ms",
            id="delete",
        ),
    ],
)
def test_watch_heals_what_kubectl_does(shop: Watched, command: list[str], told: str) -> None:
    """One line says what, how fast, and who; the object says what it said before."""
    kind, name = told.partition(" ")[0].split("/")
    before = content(shop.get(kind, name))
    seen = len(shop.watching.lines)
    shop.run_kubectl(*command)
    shop.watching.wait_for(told, after=seen)
    assert before == content(shop.get(kind, name))


def test_watch_applies_a_saved_edit(shop: Watched) -> None:
    """Replicas, then a target of the autoscaler, act while it runs, and are told."""
    write_app(shop.file.parent, toml(shop.namespace, replicas=3, more=""))
    shop.watching.wait_for(r"Deployment/shop configured: spec.replicas 2 -> 3 \(no restart\)")
    write_app(shop.file.parent, toml(shop.namespace, replicas=3, more=SCALED))
    shop.watching.wait_for(r"HorizontalPodAutoscaler/shop created")
    edited = SCALED.replace("= 60", "= 75").replace("= 5", "= 9")
    write_app(shop.file.parent, toml(shop.namespace, replicas=3, more=edited))
    shop.watching.wait_for(r"HorizontalPodAutoscaler/shop configured")
    spec = shop.get("HorizontalPodAutoscaler")["spec"]
    target = spec["metrics"][0]["resource"]["target"]["averageUtilization"]
    assert (9, 75) == (spec["maxReplicas"], target)


def test_watch_lives_through_a_broken_jac_toml(shop: Watched) -> None:
    """It names file and line once, keeps the last good one in force, and takes the next."""
    seen = len(shop.watching.lines)
    write_app(shop.file.parent, "[converge.kubernetes\n")
    shop.watching.wait_for("jac.toml:1", after=seen)
    shop.watching.wait_for("the last good configuration stays in force", after=seen)
    shop.run_kubectl("delete", "service/shop")
    shop.watching.wait_for("Service/shop deleted, created again", after=seen)
    write_app(shop.file.parent, toml(shop.namespace, replicas=1, more=""))
    shop.watching.wait_for("HorizontalPodAutoscaler/shop deleted", after=seen)
    told = [line for line in shop.watching.lines[seen:] if "jac.toml:1" in line]
    assert 1 == len(told), told


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_watch_ends_with_the_first_signal(
    cluster_with_controllers: ControlPlane,
    api: Api,
    tmp_path_factory: pytest.TempPathFactory,
    how: signal.Signals,
) -> None:
    """Exit code 0 within two seconds, one line on the way out, and the lease is free."""
    ns = "signalled-e2e"
    file = write_app(tmp_path_factory.mktemp("shop"), toml(ns))
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"
    lease = f"{leases}/shop-writer"
    with running_scale(file, "--watch", kubeconfig=cluster_with_controllers.kubeconfig) as watching:
        watching.wait_for("Deployment/shop: ready")
        # An app that was deployed before is seen as ready before the lease is taken.
        wait_until(lambda: bool(api.get(leases)["items"]), within=5, what="lease")
        started = time.monotonic()
        code = watching.end(how, seconds=10)
        seconds = time.monotonic() - started
    assert (0, False) == (code, "Traceback" in watching.text)
    closing = "watch ended; shop stays on the cluster as it is"
    told = [line for line in watching.lines if closing in line]
    assert ([] if how == signal.SIGHUP else watching.lines[-1:]) == told
    assert seconds < 2
    with pytest.raises(ApiFailed, match="404"):
        api.get(lease)


def test_scale_converges_after_a_kill_in_the_middle(
    cluster_with_controllers: ControlPlane, api: Api, unused_namespace: str, tmp_path: Path
) -> None:
    """Killed between two writes: the next run finishes, once the dead one's lease has expired."""
    ns, kubeconfig = unused_namespace, cluster_with_controllers.kubeconfig
    file = write_app(tmp_path, toml(ns, more=""))
    with running_scale(file, "--json", kubeconfig=kubeconfig) as doomed:
        services = path_of("Secret", ns)
        wait_until(lambda: bool(api.get(services)["items"]), within=20, what="the first writes")
        doomed.process.kill()
        doomed.wait()
    with pytest.raises(ApiFailed, match="404"):
        api.get(path_of("Deployment", ns, "shop"))
    passwords = api.get(path_of("Secret", ns, "shop-credentials"))["data"]
    started = time.monotonic()
    with running_scale(file, "--json", kubeconfig=kubeconfig) as again:
        again.wait_for(f":{doomed.process.pid} keeps this app converged")
        assert 0 == again.wait(60)
    assert time.monotonic() - started < 45
    assert "converged" == json.loads(again.lines[-1])["verdict"]
    assert passwords == api.get(path_of("Secret", ns, "shop-credentials"))["data"]
    assert 0 == run_scale(file, "--status", kubeconfig=kubeconfig).code
