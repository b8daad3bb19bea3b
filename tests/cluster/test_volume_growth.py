"""Volumes that grow by jac.toml, on a real API server with real controllers.

Nothing here resizes a volume: that is a driver's work. What the cluster accepts, and what becomes
of pods and claims, is the API server's and the controllers' own.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jac_converge.reconciler.objects import ObjectKey
from tests.cluster.foreign_edits import path_of
from tests.cluster.running_loop import RunningLoop, running_loop, wait_until
from tests.cluster.shop_with_volume import (
    CLAIM,
    FIXED,
    GROWS,
    STORE,
    Shop,
    one_pass,
)
from tests.e2e.scale_command import run_scale
from tests.servers.api import ApiFailed
from tests.servers.control_plane import ControlPlane
from tests.servers.pod_marker import PROVISIONER


@pytest.fixture(scope="module", autouse=True)
def _class_that_grows(cluster_with_controllers: ControlPlane) -> Iterator[None]:
    """Add a StorageClass beside the default one, which does not."""
    path = "/apis/storage.k8s.io/v1/storageclasses"
    head = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": PROVISIONER}
    rest = {"metadata": {"name": GROWS}, "allowVolumeExpansion": True}
    cluster_with_controllers.api.post(path, {**head, **rest})
    yield
    cluster_with_controllers.api.delete(f"{path}/{GROWS}")


@pytest.fixture
def shop(cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path) -> Shop:
    """An app whose volume may grow; not deployed."""
    return Shop(cluster_with_controllers, unused_namespace, tmp_path, GROWS)


def health(running: RunningLoop) -> str:
    """What the table says of the StatefulSet."""
    key = ObjectKey("StatefulSet", STORE)
    return next((it.health.sentence for it in running.view.rows if it.key == key), "")


def test_watch_grows_a_volume_around_its_pod(shop: Shop) -> None:
    """In every mode; the growth is told, and what only has such a name stays as it is."""
    shop.says("8Gi", mode="warn")
    with running_loop(shop.file, shop.kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
        uids, labels = shop.uids, shop.get("PersistentVolumeClaim", CLAIM)["metadata"]["labels"]
        others = [
            shop.claim("data-shop-mongodb-1"),
            shop.claim("data-shop-mongodb-0-copy", labels=labels),
        ]
        shop.says("9Gi", mode="warn")
        wait_until(lambda: shop.template_size == "9Gi")
        wait_until(lambda: shop.is_adopted and running.view.ready)
        assert ("9Gi", uids) == (shop.size, shop.uids)
        assert others == [
            shop.get("PersistentVolumeClaim", it["metadata"]["name"]) for it in others
        ]
        told = f"PersistentVolumeClaim/{CLAIM} grows from 8Gi to 9Gi"
        wait_until(lambda: told in running.view.messages)
        condition = {"type": "FileSystemResizePending", "status": "True", "message": "wait"}
        path = f"{path_of('PersistentVolumeClaim', shop.namespace, CLAIM)}/status"
        shop.api.patch(path, {"status": {"conditions": [condition]}})
        wait_until(lambda: f"{told} (FileSystemResizePending: wait)" in running.view.messages)
        assert [] == running.view.heals
    done = run_scale(shop.file, "--plan", kubeconfig=shop.kubeconfig)
    assert (0, True) == (done.code, "nothing to do" in done.out), done
    shop.says("9Gi", replicas=2)
    done = run_scale(shop.file, kubeconfig=shop.kubeconfig)
    assert (0, 1) == (done.code, done.out.count(told)), done
    done = run_scale(shop.file, "--history", kubeconfig=shop.kubeconfig)
    assert (0, "") == (done.code, done.err), done
    assert uids == shop.uids


def tenant_of(shop: Shop, server: ControlPlane) -> Path:
    """Somebody who may do anything in the app's namespace, and may not look outside."""
    group = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "tenant"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "grower"}],
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
    }
    shop.api.post(f"/apis/{group}/v1/namespaces/{shop.namespace}/rolebindings", binding)
    theirs = server.api_for("grower")

    def may_read() -> bool:
        try:
            theirs.get(path_of("StatefulSet", shop.namespace, STORE))
        except ApiFailed:
            return False
        return True

    wait_until(may_read)
    with pytest.raises(ApiFailed, match="403"):
        theirs.get(f"/apis/storage.k8s.io/v1/storageclasses/{GROWS}")
    return server.kubeconfig_for("grower")


def test_scale_grows_a_volume_and_says_so_before(
    cluster_with_controllers: ControlPlane, shop: Shop
) -> None:
    """For who may not read its class, too; and one of the user's own manifests with it."""
    shop.says("8Gi", uploads="1Gi")
    shop.deploy()
    uids = shop.uids
    shop.says("9Gi", uploads="2Gi")
    kubeconfig = tenant_of(shop, cluster_with_controllers)
    done = run_scale(shop.file, "--plan", kubeconfig=kubeconfig)
    assert 3 == done.code, done
    pods = "the size of its volumes does not change in place; volumes stay, no pod restarts"
    assert [
        f"~ update   PersistentVolumeClaim/{CLAIM} (needs volume expansion)",
        "             spec.resources.requests.storage: 8Gi -> 9Gi",
        f"! recreate StatefulSet/{STORE} (created again around its pods: {pods})",
        "~ update   PersistentVolumeClaim/uploads (needs volume expansion)",
        "             spec.resources.requests.storage: 1Gi -> 2Gi",
    ] == done.out.splitlines()[-6:-1]
    assert ("8Gi", "8Gi") == (shop.size, shop.template_size)
    done = run_scale(shop.file, kubeconfig=kubeconfig)
    assert 0 == done.code, done
    assert "2Gi" == shop.size_of("uploads")
    assert ("9Gi", "9Gi", uids, True) == (
        shop.size,
        shop.template_size,
        shop.uids,
        shop.is_adopted,
    )


def test_watch_refuses_what_the_class_does_not_let_and_keeps_the_rest(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """With the way out; the claim and the StatefulSet stay, and the app follows jac.toml."""
    shop = Shop(cluster_with_controllers, unused_namespace, tmp_path, FIXED)
    with running_loop(shop.file, shop.kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
        uids, store = shop.uids, shop.get("StatefulSet", STORE)
        shop.says("9Gi", replicas=2)
        wait_until(lambda: shop.get("Deployment", "shop")["spec"]["replicas"] == 2)
        sentence = f"its StorageClass {FIXED} lets no volume grow; kubectl patch storageclass"
        wait_until(lambda: sentence in health(running))
        shop.says("7Gi", replicas=3)
        wait_until(lambda: shop.get("Deployment", "shop")["spec"]["replicas"] == 3)
        wait_until(lambda: health(running).endswith("does not shrink: put storage back to '8Gi'"))
        assert ("8Gi", uids) == (shop.size, shop.uids)
        same = shop.get("StatefulSet", STORE)
        assert store["spec"] == same["spec"]
        assert store["metadata"]["uid"] == same["metadata"]["uid"]
        shop.says("8Gi", replicas=3)
        wait_until(lambda: running.view.ready)


def test_scale_finishes_a_growth_that_died_between_any_two_writes(shop: Shop) -> None:
    """Refused halfway, dead with a grown claim, dead without a StatefulSet: it goes on from there.

    Also where jac.toml says yet another size by then.
    """
    shop.deploy()
    uids = shop.uids
    shop.says("9Gi")
    outcome = one_pass(shop, quota=True)
    assert ["PersistentVolumeClaim"] == [it.step.key.kind for it in outcome.results]
    assert "exceeded quota" in str(outcome.errors[0])
    assert ("8Gi", "8Gi") == (shop.size, shop.template_size)
    (refusal,) = one_pass(shop).plan.refusals
    assert "the server does not let it grow: " in refusal.reason
    assert "exceeded quota" in refusal.reason
    shop.api.delete(f"/api/v1/namespaces/{shop.namespace}/resourcequotas/small")

    one_pass(shop, writes=1)
    assert ("9Gi", "8Gi") == (shop.size, shop.template_size)

    one_pass(shop)
    wait_until(lambda: shop.template_size is None)
    assert ("9Gi", uids, ()) == (shop.size, shop.uids, shop.pod.get("ownerReferences", ()))

    shop.says("10Gi")
    shop.deploy()
    assert ("10Gi", "10Gi", uids) == (shop.size, shop.template_size, shop.uids)
    wait_until(lambda: shop.is_adopted)
    assert () == one_pass(shop).results


def test_scale_tells_once_that_data_is_about_to_go_and_not_who_asked_for_that(shop: Shop) -> None:
    """The plan holds the StatefulSet for it, and a note says the same."""
    shop.deploy()
    shop.api.delete(path_of("PersistentVolumeClaim", shop.namespace, CLAIM))
    shop.says("9Gi")
    told = []
    for flags in (["--plan"], ["--status"], ["--destroy", "--data", "--yes"]):
        done = run_scale(shop.file, *flags, kubeconfig=shop.kubeconfig)
        told.append(done.out.count("save it first"))
    assert ([1, 1, 0], 0) == (told, done.code)
