"""Edits that somebody else makes on an app's objects: what a loop has to put back.

Each is one request, as kubectl or a script would send it, under a field manager of its own.
"""

import copy
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jac_converge.reconciler.objects import Object, kind_named
from tests.servers.api import Api

__all__ = ["EDITS", "Edit", "essence", "heal_seconds", "path_of"]

type Change = Callable[[Object], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One foreign edit of one object."""

    title: str
    kind: str
    name: str
    """`{app}` stands for the app's name."""
    change: Change | None
    """Live object -> merge patch; None: delete it."""

    @property
    def leaves_a_name(self) -> bool:
        """Whether the server records who did it; of what is gone, it does not."""
        return self.change is not None and self.title != "stripped label"

    def make(self, api: Api, path: str, live: Object, manager: str) -> None:
        """Do it."""
        if self.change is None:
            api.delete(path, {"propagationPolicy": "Background"})
        else:
            api.patch(f"{path}?fieldManager={manager}", self.change(live))


def _merge(**patch: Any) -> Change:
    return lambda _live: patch


def _containers(change: Callable[[list[dict[str, Any]]], None]) -> Change:
    def patch(live: Object) -> dict[str, Any]:
        containers = copy.deepcopy(live["spec"]["template"]["spec"]["containers"])
        change(containers)
        return {"spec": {"template": {"spec": {"containers": containers}}}}

    return patch


def _ports(change: Mapping[str, Any]) -> Change:
    def patch(live: Object) -> dict[str, Any]:
        ports = copy.deepcopy(live["spec"]["ports"])
        ports[0].update(change)
        return {"spec": {"ports": ports}}

    return patch


def _update_first(**fields: Any) -> Change:
    return _containers(lambda containers: containers[0].update(fields))


def _sidecar(containers: list[dict[str, Any]]) -> None:
    spy = {**copy.deepcopy(containers[0]), "name": "spy", "image": "example/spy:1"}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe", "ports", "lifecycle"):
        spy.pop(probe, None)
    containers.append(spy)


def _environment(containers: list[dict[str, Any]]) -> None:
    containers[0].setdefault("env", []).append({"name": "DEBUG", "value": "1"})


def _strip(*labels: str) -> Change:
    return _merge(metadata={"labels": dict.fromkeys(labels)})


MANAGED_BY = "app.kubernetes.io/managed-by"
_EDITS: tuple[tuple[str, str, str, Change | None], ...] = (
    (
        "pod security",
        "Namespace",
        "{namespace}",
        _merge(metadata={"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}),
    ),
    ("token mount", "ServiceAccount", "{app}", _merge(automountServiceAccountToken=True)),
    ("new key", "ConfigMap", "{app}-config", _merge(data={"DEBUG": "1"})),
    ("stripped label", "ConfigMap", "{app}-config", _strip(MANAGED_BY)),
    ("changed value", "Secret", "{app}-secrets", _merge(data={"JWT_SECRET": "aGFoYQ=="})),
    ("new key", "Secret", "{app}-secrets", _merge(data={"EXTRA": "aGFoYQ=="})),
    ("target port", "Service", "{app}", _ports({"targetPort": 9999})),
    ("port number", "Service", "{app}", _ports({"port": 8080})),
    ("selector", "Service", "{app}", _merge(spec={"selector": {"app": "evil"}})),
    ("port name", "Service", "{app}-redis", _ports({"targetPort": 1})),
    ("image", "StatefulSet", "{app}-redis", _update_first(image="example/evil:1")),
    ("count", "StatefulSet", "{app}-redis", _merge(spec={"replicas": 3})),
    ("image", "StatefulSet", "{app}-mongodb", _update_first(image="example/evil:1")),
    ("image", "Deployment", "{app}", _update_first(image="example/evil:1")),
    ("arguments", "Deployment", "{app}", _update_first(args=["--evil"])),
    ("sidecar", "Deployment", "{app}", _containers(_sidecar)),
    ("environment", "Deployment", "{app}", _containers(_environment)),
    (
        "strategy",
        "Deployment",
        "{app}",
        _merge(spec={"strategy": {"rollingUpdate": {"maxUnavailable": 1}}}),
    ),
    (
        "grace period",
        "Deployment",
        "{app}",
        _merge(spec={"template": {"spec": {"terminationGracePeriodSeconds": 7}}}),
    ),
    ("maximum", "HorizontalPodAutoscaler", "{app}", _merge(spec={"maxReplicas": 99})),
    ("minimum", "HorizontalPodAutoscaler", "{app}", _merge(spec={"minReplicas": 1})),
    ("open to all", "NetworkPolicy", "{app}-redis", _merge(spec={"ingress": [{}]})),
    ("one way only", "NetworkPolicy", "{app}", _merge(spec={"policyTypes": ["Ingress"]})),
    ("budget", "PodDisruptionBudget", "{app}", _merge(spec={"maxUnavailable": 2})),
    ("host", "Ingress", "{app}", _merge(spec={"rules": [{"host": "evil.example"}]})),
    ("class", "Ingress", "{app}", _merge(spec={"ingressClassName": "evil"})),
    ("deleted", "ServiceAccount", "{app}", None),
    ("deleted", "ConfigMap", "{app}-config", None),
    ("deleted", "Secret", "{app}-secrets", None),
    ("deleted", "Secret", "{app}-credentials", None),
    ("deleted", "Service", "{app}", None),
    ("deleted", "Service", "{app}-mongodb", None),
    ("deleted", "NetworkPolicy", "{app}-mongodb", None),
    ("deleted", "StatefulSet", "{app}-redis", None),
    ("deleted", "Deployment", "{app}", None),
    ("deleted", "HorizontalPodAutoscaler", "{app}", None),
    ("deleted", "PodDisruptionBudget", "{app}", None),
    ("deleted", "Ingress", "{app}", None),
)
EDITS = tuple(
    Edit(title=title, kind=kind, name=name, change=change) for title, kind, name, change in _EDITS
)


def path_of(kind: str, namespace: str, name: str = "") -> str:
    """The URL path of an object, or of a collection."""
    row = kind_named(kind)
    group = "apis" if "/" in row.api_version else "api"
    scope = f"/namespaces/{namespace}" if row.namespaced else ""
    return f"/{group}/{row.api_version}{scope}/{row.plural}{f'/{name}' if name else ''}"


def essence(obj: Object) -> Object:
    """What a heal has to restore: all but bookkeeping, status, and what the cluster assigns."""
    metadata = obj["metadata"]
    annotations = dict(metadata.get("annotations") or {})
    annotations.pop("deployment.kubernetes.io/revision", None)
    spec = dict(obj.get("spec") or {})
    for assigned in ("clusterIP", "clusterIPs"):
        spec.pop(assigned, None)
    if obj["kind"] == "Deployment":
        spec.pop("replicas", None)  # the autoscaler's
    rest = {k: v for k, v in obj.items() if k not in {"metadata", "spec", "status"}}
    return {**rest, "labels": metadata.get("labels"), "annotations": annotations, "spec": spec}


def heal_seconds(
    api: Api,
    edit: Edit,
    *,
    app: str,
    namespace: str,
    manager: str,
    timeout: float = 10.0,
    watching: Api | None = None,
) -> float | None:
    """Make one edit, and wait until the object is as it was.

    Args:
        api: makes the edit.
        edit: what is done.
        app: its name.
        namespace: its own.
        manager: who does it.
        timeout: s.
        watching: sees the heal; `api` when not given.

    Returns:
        Seconds from sending the edit until a watch shows the object healed; None: not in time.
    """
    name = edit.name.format(app=app, namespace=namespace)
    path = path_of(edit.kind, namespace, name)
    before = api.get(path)
    wanted = essence(before)
    version = before["metadata"]["resourceVersion"]
    watcher, place = watching or api, path_of(edit.kind, namespace)
    with watcher.watch(place, version=version, timeout=timeout) as watch:
        alarm = threading.Timer(timeout, watch.interrupt)
        alarm.start()
        try:
            started = time.perf_counter()
            edit.make(api, path, before, manager)
            broken = False
            for event in watch:
                obj = event["object"]
                if obj.get("metadata", {}).get("name") != name:
                    continue
                healed = event["type"] != "DELETED" and essence(obj) == wanted
                if broken and healed:
                    return time.perf_counter() - started
                broken = broken or not healed
            return None
        finally:
            alarm.cancel()
