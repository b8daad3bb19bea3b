"""Volumes that grow by jac.toml, on a real API server with real controllers.

Nothing here resizes a volume: that is a driver's work. What the cluster accepts, and what becomes
of pods and claims, is the API server's and the controllers' own.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from jac_converge.config.load import load_app
from jac_converge.reconciler.apply import Outcome
from jac_converge.reconciler.converge import WATCHED, Converger
from jac_converge.reconciler.kube_cluster import connect
from jac_converge.reconciler.mirror import Mirror
from jac_converge.reconciler.objects import ObjectKey
from jac_converge.reconciler.ownership import selector_of
from jac_converge.reconciler.snapshot import Policy
from tests.cluster.foreign_edits import path_of
from tests.cluster.running_loop import RunningLoop, running_loop, wait_until, write_app
from tests.e2e.scale_command import run_scale
from tests.servers.api import Api, ApiFailed
from tests.servers.control_plane import ControlPlane
from tests.servers.pod_marker import PROVISIONER

GROWS, FIXED = "grows", "nowhere"
TOML = """
[converge.kubernetes]
namespace = "{namespace}"
image = "example/shop:1"
replicas = {replicas}
extra = {extra}
[converge.kubernetes.redis]
enabled = false
[converge.kubernetes.mongodb]
storage = "{storage}"
storage_class = "{cls}"
[converge.watch]
mode = "{mode}"
"""
UPLOADS = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: uploads}}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: {cls}
  resources: {{requests: {{storage: {storage}}}}}
"""
STORE, CLAIM, POD = "shop-mongodb", "data-shop-mongodb-0", "shop-mongodb-0"


class Shop:
    """An app with a volume, as an admin sees it."""

    def __init__(self, server: ControlPlane, namespace: str, folder: Path, cls: str) -> None:
        self.api: Api = server.api
        self.kubeconfig = server.kubeconfig
        self.namespace = namespace
        self._folder = folder
        self._cls = cls
        self.file = self.says("8Gi")

    def says(
        self, storage: str, *, replicas: int = 1, mode: str = "heal", uploads: str = ""
    ) -> Path:
        """Write jac.toml, and a manifest of a claim of the user's own where it has a size."""
        if uploads:
            manifest = UPLOADS.format(storage=uploads, cls=self._cls)
            (self._folder / "uploads.yaml").write_text(manifest)
        toml = TOML.format(
            namespace=self.namespace,
            replicas=replicas,
            storage=storage,
            cls=self._cls,
            mode=mode,
            extra='["uploads.yaml"]' if uploads else "[]",
        )
        return write_app(self._folder, toml)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """One object."""
        return self.api.get(path_of(kind, self.namespace, name))

    @property
    def pod(self) -> dict[str, Any]:
        """The metadata of the pod of MongoDB."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{POD}"
        found: dict[str, Any] = self.api.get(path)["metadata"]
        return found

    @property
    def template_size(self) -> str | None:
        """What the StatefulSet says; None while there is none."""
        try:
            spec = self.get("StatefulSet", STORE)["spec"]
        except ApiFailed:
            return None
        return str(spec["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"])

    @property
    def size(self) -> str:
        """What the claim asks for."""
        return self.size_of(CLAIM)

    def size_of(self, claim: str) -> str:
        """What any claim asks for."""
        spec = self.get("PersistentVolumeClaim", claim)["spec"]
        return str(spec["resources"]["requests"]["storage"])

    @property
    def uids(self) -> tuple[str, str]:
        """Of the pod and of the claim."""
        return self.pod["uid"], self.get("PersistentVolumeClaim", CLAIM)["metadata"]["uid"]

    @property
    def is_adopted(self) -> bool:
        """Whether the pod belongs to the StatefulSet that is there."""
        owners = self.pod.get("ownerReferences") or ()
        return [self.get("StatefulSet", STORE)["metadata"]["uid"]] == [it["uid"] for it in owners]

    def deploy(self) -> None:
        """Bring it up once."""
        with running_loop(self.file, self.kubeconfig) as running:
            wait_until(lambda: running.view.ready, 60)

    def claim(self, name: str, **more: Any) -> dict[str, Any]:
        """Make somebody else's claim, and wait until its volume is there."""
        resources = {"requests": {"storage": "1Gi"}}
        spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": GROWS, "resources": resources}
        head = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
        path = path_of("PersistentVolumeClaim", self.namespace)
        self.api.post(path, {**head, "metadata": {"name": name, **more}, "spec": spec})
        wait_until(lambda: self.get("PersistentVolumeClaim", name)["status"]["phase"] == "Bound")
        return self.get("PersistentVolumeClaim", name)


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


def one_pass(shop: Shop, *, writes: int | None = None, quota: bool = False) -> Outcome:
    """Plan and apply as one process, which then is no more.

    Args:
        shop: the app.
        writes: steps after which it may not write any more; None: any number.
        quota: somebody limits the namespace to what it has, after the plan was made.
    """
    app = load_app(shop.file, environ=os.environ)
    cluster = connect(
        context=None,
        namespace=app.namespace,
        selector=selector_of(app.name),
        config_file=str(shop.kubeconfig),
    )
    mirror = Mirror([kind.name for kind in WATCHED], time.monotonic)
    converger = Converger(
        cluster=cluster, mirror=mirror, clock=time.monotonic, stop=Event(), patience=5.0
    )
    converger.read()
    plan = converger.plan(app, Policy())
    if quota:
        limit_storage(shop)
    left = iter(range(len(plan.steps) if writes is None else writes))
    return converger.apply(plan, allowed=lambda: next(left, None) is not None)


QUOTA = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}}


def limit_storage(shop: Shop) -> None:
    """Allow as much as is there."""
    path = f"/api/v1/namespaces/{shop.namespace}/resourcequotas"
    shop.api.post(path, {**QUOTA, "spec": {"hard": {"requests.storage": "8Gi"}}})
    used = {"requests.storage": "8Gi"}
    wait_until(lambda: shop.api.get(f"{path}/small").get("status", {}).get("used") == used)


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
    for _ in range(2):
        done = run_scale(shop.file, "--plan", kubeconfig=shop.kubeconfig)
        assert (0, True) == (done.code, "nothing to do" in done.out), done
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
