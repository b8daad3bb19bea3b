"""An app with a MongoDB on a volume, as an admin sees it, on a real API server."""

import os
import time
from pathlib import Path
from threading import Event
from typing import Any

from jac_converge.config.load import load_app
from jac_converge.reconciler.apply import Outcome
from jac_converge.reconciler.converge import WATCHED, Converger
from jac_converge.reconciler.kube_cluster import connect
from jac_converge.reconciler.mirror import Mirror
from jac_converge.reconciler.ownership import selector_of
from jac_converge.reconciler.snapshot import Policy
from tests.cluster.foreign_edits import path_of
from tests.cluster.running_loop import running_loop, wait_until, write_app
from tests.servers.api import Api, ApiFailed
from tests.servers.control_plane import ControlPlane

__all__ = ["CLAIM", "FIXED", "GROWS", "POD", "STORE", "Shop", "limit_storage", "one_pass"]

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

    def claim(
        self, name: str, *, cls: str = GROWS, storage: str = "1Gi", **more: Any
    ) -> dict[str, Any]:
        """Make somebody else's claim, and wait until its volume is there."""
        resources = {"requests": {"storage": storage}}
        spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": cls, "resources": resources}
        head = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
        path = path_of("PersistentVolumeClaim", self.namespace)
        self.api.post(path, {**head, "metadata": {"name": name, **more}, "spec": spec})
        wait_until(lambda: self.get("PersistentVolumeClaim", name)["status"]["phase"] == "Bound")
        return self.get("PersistentVolumeClaim", name)


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
