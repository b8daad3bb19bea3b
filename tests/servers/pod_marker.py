"""The part of a node that workloads wait for, without running anything.

A fake of the kubelet and of a volume provisioner, and of nothing else: Deployments, ReplicaSets and
StatefulSets, the scheduling and the binding of claims are the real controllers' work.
"""

import contextlib
import datetime as dt
import itertools
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from tests.servers.api import Api, ApiFailed, Watch

__all__ = ["PodMarker"]

Json = dict[str, Any]
NODE = "node-1"
PROVISIONER = "jac-converge.test/nowhere"
NODE_SIZE = {"cpu": "1000", "memory": "4Ti", "pods": "2000"}
RETRY = 0.1  # s; the API server may be down on purpose
LAST_WORDS = "starting\nKeyError: 'MAIL'"
# What another actor did in between: the watch tells, and the next event is acted upon.
OVERTAKEN = {404, 409}


class PodMarker:
    """Marks scheduled Pods as running and ready, ends deleted ones, and provides volumes.

    It adds a ready Node and a default StorageClass to the cluster. As with a real kubelet, an image
    of a host below .invalid (a name no network resolves) cannot be pulled: such a Pod waits in
    ImagePullBackOff. One of the host crashing.invalid ends at once, with `LAST_WORDS` in its log;
    one of unconfigured.invalid misses a Secret. And a Pod too large for the node (16 CPU, 64 Gi)
    stays unscheduled.
    """

    def __init__(self, api: Api) -> None:
        """Describe it; nothing runs before `with`.

        Args:
            api: an admin's.
        """
        self._api = api
        self._stop = threading.Event()
        self._watches: dict[str, Watch] = {}
        self._addresses = (f"10.244.{i // 250}.{i % 250 + 1}" for i in itertools.count())
        self._threads = [
            threading.Thread(target=self._follow, args=arguments, name=f"pod-marker {arguments[0]}")
            for arguments in (
                ("/api/v1/pods", self._act_on_pod),
                ("/api/v1/persistentvolumeclaims", self._act_on_claim),
            )
        ]

    def __enter__(self) -> Self:
        """Add the node and the storage class, and start."""
        self._add_node()
        self._add_storage_class()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; the cluster stays as it is."""
        self._stop.set()
        for watch in list(self._watches.values()):
            watch.interrupt()
        for thread in self._threads:
            thread.join(timeout=10)
            assert not thread.is_alive(), f"{thread.name} does not end"

    def _add_node(self) -> None:
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        self._api.post("/api/v1/nodes", node)
        ready = _condition("Ready") | {"reason": "KubeletReady", "lastHeartbeatTime": _now()}
        status = {"capacity": NODE_SIZE, "allocatable": NODE_SIZE, "conditions": [ready]}
        self._api.patch(f"/api/v1/nodes/{NODE}/status", {"status": status})
        # Admission taints a new node as not ready; the controller that takes the taint away would
        # also put it back for want of heartbeats, and does not run.
        self._api.patch(f"/api/v1/nodes/{NODE}", {"spec": {"taints": None}})

    def _add_storage_class(self) -> None:
        default = {"storageclass.kubernetes.io/is-default-class": "true"}
        self._api.post(
            "/apis/storage.k8s.io/v1/storageclasses",
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": "nowhere", "annotations": default},
                "provisioner": PROVISIONER,
                "volumeBindingMode": "Immediate",
            },
        )

    def _follow(self, path: str, act: Callable[[Json], None]) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(OSError, ApiFailed):
                listing = self._api.get(path)
                for item in listing["items"]:
                    act(item)
                version = listing["metadata"]["resourceVersion"]
                with self._api.watch(path, version=version) as watch:
                    self._watches[path] = watch
                    # Set before this line, or after it with the watch known: seen either way.
                    if not self._stop.is_set():
                        self._act_on_events(watch, act)
            self._stop.wait(RETRY)

    def _act_on_events(self, watch: Watch, act: Callable[[Json], None]) -> None:
        for event in watch:
            if event["type"] == "ERROR":
                return
            if event["type"] in {"ADDED", "MODIFIED"}:
                act(event["object"])

    def _act_on_pod(self, pod: Json) -> None:
        if pod["spec"].get("nodeName") != NODE:
            return
        meta, status = pod["metadata"], pod["status"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        if "deletionTimestamp" in meta:
            now = {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
            self._unless_overtaken(lambda: self._api.delete(path, now))
        elif status["phase"] == "Pending" and "containerStatuses" not in status:
            marked = _marked(pod, next(self._addresses))
            body = {"metadata": {"uid": meta["uid"]}, "status": marked}
            self._unless_overtaken(lambda: self._api.patch(f"{path}/status", body))

    def _act_on_claim(self, claim: Json) -> None:
        meta, spec = claim["metadata"], claim["spec"]
        wanted = meta.get("annotations", {}).get("volume.kubernetes.io/storage-provisioner")
        if wanted != PROVISIONER or "volumeName" in spec or "deletionTimestamp" in meta:
            return
        name = f"pvc-{meta['uid']}"
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {
                "name": name,
                "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER},
            },
            "spec": {
                "accessModes": spec["accessModes"],
                "capacity": spec["resources"]["requests"],
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": meta["namespace"],
                    "name": meta["name"],
                    "uid": meta["uid"],
                },
                # Not hostPath: the controller manager would delete that directory on this machine.
                "csi": {"driver": PROVISIONER.partition("/")[0], "volumeHandle": name},
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": spec["storageClassName"],
            },
        }
        self._unless_overtaken(lambda: self._api.post("/api/v1/persistentvolumes", volume))

    def _unless_overtaken(self, write: Callable[[], object]) -> None:
        try:
            write()
        except ApiFailed as failure:
            if failure.status not in OVERTAKEN:
                raise


def _marked(pod: Json, address: str) -> Json:
    """Return the status a kubelet gives a Pod when its containers run, or cannot be pulled."""
    containers = pod["spec"]["containers"]
    pulled = not any(_is_invalid(container["image"]) for container in containers)
    kept = [
        condition
        for condition in pod["status"].get("conditions", [])
        if condition["type"] == "PodScheduled"
    ]
    status = {
        "phase": "Running" if pulled else "Pending",
        "startTime": _now(),
        "hostIP": "127.0.0.1",
        "containerStatuses": [_container_status(container, run=pulled) for container in containers],
        "conditions": [
            *kept,
            _condition("Initialized"),
            *(_condition(name, true=pulled) for name in ("ContainersReady", "Ready")),
        ],
    }
    return status | {"podIP": address, "podIPs": [{"ip": address}]}


def _container_status(container: Json, *, run: bool) -> Json:
    image = container["image"]
    crashed = _host(image) == "crashing.invalid"
    return {
        "name": container["name"],
        "image": image,
        "imageID": f"{image}@sha256:{'0' * 64}" if run else "",
        "ready": run,
        "started": run,
        "restartCount": 0,
        "state": {"running": {"startedAt": _now()}} if run else {"waiting": _waiting(image)},
        **({"lastState": {"terminated": _ended(container)}} if crashed else {}),
    }


def _waiting(image: str) -> Json:
    match _host(image):
        case "crashing.invalid":
            return {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting"}
        case "unconfigured.invalid":
            return {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}
        case _:
            return {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}"'}


def _ended(container: Json) -> Json:
    shown = container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    return {"exitCode": 1, "reason": "Error", **({"message": LAST_WORDS} if shown else {})}


def _is_invalid(image: str) -> bool:
    return _host(image).endswith(".invalid")


def _host(image: str) -> str:
    return image.partition("/")[0].partition(":")[0]


def _condition(name: str, *, true: bool = True) -> Json:
    return {"type": name, "status": str(true), "lastTransitionTime": _now()}


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
