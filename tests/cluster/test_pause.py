"""A pause that every loop of the app sees, on a real API server."""

import time
from pathlib import Path

import pytest

from jac_converge.reconciler.kube_cluster import KubeCluster, connect
from jac_converge.reconciler.lease import Lease
from jac_converge.reconciler.objects import LEASE
from jac_converge.reconciler.ownership import selector_of
from jac_converge.reconciler.pause import pause, pause_of, resume
from tests.cluster.foreign_edits import path_of
from tests.cluster.running_loop import RunningLoop, running_loop, wait_until, write_app
from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane

TOML = '[converge.kubernetes]\nnamespace = "{namespace}"\nimage = "example/shop:1"\nreplicas = 2\n'


def cluster_of(server: ControlPlane, namespace: str) -> KubeCluster:
    """A client of the app `shop`."""
    return connect(
        context=None,
        namespace=namespace,
        selector=selector_of("shop"),
        config_file=str(server.kubeconfig),
    )


def scale(api: Api, namespace: str, replicas: int) -> None:
    """Change the count, as kubectl does."""
    path = f"{path_of('Deployment', namespace, 'shop')}?fieldManager=kubectl-edit"
    api.patch(path, {"spec": {"replicas": replicas}})


def count(api: Api, namespace: str) -> int:
    """Pods that the Deployment asks for."""
    return int(api.get(path_of("Deployment", namespace, "shop"))["spec"]["replicas"])


def told(running: RunningLoop, *words: str) -> bool:
    """Whether one message has all these words."""
    return any(all(word in m for word in words) for m in running.view.messages)


def test_paused_loop_tells_drift_and_writes_nothing_until_resumed(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """The loop that runs, and the next one; what was left is healed after the pause."""
    server, ns = cluster_with_controllers, unused_namespace
    api = server.api
    file = write_app(tmp_path, TOML.format(namespace=ns))
    with running_loop(file, server.kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
        written = len(running.view.outcomes)
        pause(cluster_of(server, ns), "shop", by="ann@laptop", now=time.time(), seconds=None)
        wait_until(lambda: told(running, "paused by ann@laptop until resumed"))
        scale(api, ns, 5)
        wait_until(lambda: told(running, "not written meanwhile", "spec.replicas: 5 -> 2"))
        assert (written, 5) == (len(running.view.outcomes), count(api, ns))
    with running_loop(file, server.kubeconfig) as again:
        wait_until(lambda: told(again, "not written meanwhile", "spec.replicas: 5 -> 2"))
        assert ([], 5) == (again.view.outcomes, count(api, ns))
        assert resume(cluster_of(server, ns), "shop", now=time.time())
        wait_until(lambda: count(api, ns) == 2)
        wait_until(lambda: told(again, "no longer paused"))


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> KubeCluster:
    """A namespace of its own."""
    return cluster_of(control_plane, namespace)


def lease_of(cluster: KubeCluster, wall: float = 0.0) -> Lease:
    """One holder, at a time of its own."""
    return Lease(
        app_name="shop", cluster=cluster, holder="ann", clock=lambda: 0.0, wall=lambda: wall
    )


@pytest.mark.parametrize("when", ["before", "while"])
def test_pause_outlives_the_loop_that_it_paused(cluster: KubeCluster, when: str) -> None:
    """Set before the lease was taken, or after its last renewal: release keeps it, and frees it."""
    lease = lease_of(cluster)
    if when == "before":
        pause(cluster, "shop", by="bob", now=0.0, seconds=None)
    assert lease.acquire()
    if when == "while":
        pause(cluster, "shop", by="bob", now=0.0, seconds=None)
    lease.release()
    left = cluster.get(LEASE, "shop-writer")
    assert left is not None
    assert pause_of(left, 0.0)
    assert not left["spec"]["holderIdentity"]
    assert lease.acquire()


def test_pause_ends_by_itself(cluster: KubeCluster) -> None:
    """And a lease whose pause is over goes with its holder."""
    pause(cluster, "shop", by="bob", now=0.0, seconds=60)
    early, late = lease_of(cluster, 59.0), lease_of(cluster, 60.0)
    assert early.acquire()
    assert late.acquire()
    assert (True, None) == (early.paused is not None, late.paused)
    late.release()
    assert cluster.get(LEASE, "shop-writer") is None


def test_resume_leaves_nothing_behind(cluster: KubeCluster) -> None:
    """Neither a lease that nobody holds, nor a trace in one that somebody does."""
    assert resume(cluster, "shop", now=0.0) is None
    pause(cluster, "shop", by="bob", now=0.0, seconds=None)
    was = resume(cluster, "shop", now=0.0)
    assert was is not None
    assert ("bob", None) == (was.by, cluster.get(LEASE, "shop-writer"))
    lease = lease_of(cluster)
    lease.acquire()
    pause(cluster, "shop", by="bob", now=0.0, seconds=None)
    resume(cluster, "shop", now=0.0)
    left = cluster.get(LEASE, "shop-writer")
    assert left is not None
    assert not left["metadata"].get("annotations")


def test_destroyed_app_leaves_no_pause(cluster: KubeCluster) -> None:
    """What was paused is gone."""
    pause(cluster, "shop", by="bob", now=0.0, seconds=None)
    lease = lease_of(cluster)
    lease.acquire()
    lease.release(forget_pause=True)
    assert cluster.get(LEASE, "shop-writer") is None
