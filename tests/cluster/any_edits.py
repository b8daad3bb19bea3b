"""Edits of every kind by everybody, as data: what the oracle test does to an app's objects.

Unlike `foreign_edits.py`, where each edit is one that a loop heals and names, these may come one
after the other on the same object, may be refused by the server, and may leave no name.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from jac_converge.reconciler.objects import Object
from jac_converge.reconciler.ownership import FIELD_MANAGER
from tests.cluster.foreign_edits import path_of
from tests.servers.api import Api, ApiFailed

__all__ = ["POSSIBLE", "Edit", "edits", "rounds"]

SECRET = base64.b64encode(b"foreign").decode()
MANAGERS = ("kubectl-edit", "kubectl-client-side-apply", "some-operator", "helm", FIELD_MANAGER)
WORKLOADS = ("Deployment", "StatefulSet")


@dataclass(frozen=True, slots=True)
class Edit:
    """One request of somebody else's about one object."""

    title: str
    kind: str
    suffix: str
    manager: str
    send: Callable[[Api, str, Object, str], object]

    def make(self, api: Api, namespace: str) -> bool:
        """Do it, if there is such an object and the server accepts it."""
        name = namespace if self.kind == "Namespace" else f"shop{self.suffix}"
        path = path_of(self.kind, namespace, name)
        try:
            self.send(api, path, api.get(path), self.manager)
        except ApiFailed as failed:
            if failed.status not in {404, 422}:
                raise
            return False
        return True


def _patch(change: Callable[[Object], dict[str, Any]]) -> Callable[..., object]:
    return lambda api, path, live, manager: api.patch(
        f"{path}?fieldManager={manager}", change(live)
    )


def _merge(**change: Any) -> Callable[..., object]:
    return _patch(lambda _: change)


def _delete(api: Api, path: str, _live: Object, _manager: str) -> None:
    api.delete(path, {"propagationPolicy": "Background"})


def _scale(api: Api, path: str, _live: Object, manager: str) -> None:
    api.patch(f"{path}/scale?fieldManager={manager}", {"spec": {"replicas": 7}})


def _apply(**part: Any) -> Callable[..., object]:
    """Server-side apply of a part of the object, by force."""

    def send(api: Api, path: str, live: Object, manager: str) -> None:
        metadata = {"name": live["metadata"]["name"], **part.get("metadata", {})}
        head = {"apiVersion": live["apiVersion"], "kind": live["kind"]}
        api.apply(path, {**head, **part, "metadata": metadata}, manager=manager)

    return send


def _pods(**fields: Any) -> Callable[..., object]:
    return _merge(spec={"template": {"spec": fields}})


def _container(change: Mapping[str, Any], *more: Mapping[str, Any]) -> Callable[..., object]:
    def patch(live: Object) -> dict[str, Any]:
        first = live["spec"]["template"]["spec"]["containers"][0]
        return {"spec": {"template": {"spec": {"containers": [{**first, **change}, *more]}}}}

    return _patch(patch)


def _volume_patch(live: Object) -> dict[str, Any]:
    volumes = live["spec"]["template"]["spec"].get("volumes") or []
    more = [*volumes, {"name": "extra", "emptyDir": {}}]
    return {"spec": {"template": {"spec": {"volumes": more}}}}


def _port(**change: Any) -> Callable[..., object]:
    return _patch(lambda live: {"spec": {"ports": [{**live["spec"]["ports"][0], **change}]}})


def _through_v1(api: Api, path: str, _live: Object, manager: str) -> None:
    """What an old client does to an autoscaler."""
    old = path.replace("/v2/", "/v1/")
    api.patch(f"{old}?fieldManager={manager}", {"spec": {"targetCPUUtilizationPercentage": 33}})


NOWHERE = {"apiGroup": "example.com", "kind": "Page", "name": "evil"}
LABELS = ("app.kubernetes.io/managed-by", "app.kubernetes.io/instance", "app.kubernetes.io/name")
ANY_KIND: Mapping[str, Callable[..., object]] = {
    "delete": _delete,
    "strip one label": _merge(metadata={"labels": {LABELS[0]: None}}),
    "strip the labels": _merge(metadata={"labels": dict.fromkeys(LABELS)}),
    "change a label": _merge(metadata={"labels": {LABELS[2]: "other"}}),
    "add a label": _merge(metadata={"labels": {"team": "blue"}}),
    "annotate": _merge(metadata={"annotations": {"note": "hello"}}),
    "apply a label": _apply(metadata={"labels": {"team": "red"}}),
    "forget who owns what": _merge(metadata={"managedFields": [{}]}),
}
OF_KIND: Mapping[str, Mapping[str, Callable[..., object]]] = {
    "ServiceAccount": {"token": _merge(automountServiceAccountToken=True)},
    "ConfigMap": {
        "add a key": _merge(data={"DEBUG": "1"}),
        "change a key": _merge(data={"ONE": "9"}),
        "apply a key": _apply(data={"TWO": "2"}),
        "empty": _merge(data=None),
    },
    "Secret": {
        "add a key": _merge(data={"EXTRA": SECRET}),
        "change a key": _merge(data={"JWT_SECRET": SECRET}),
        "remove a key": _merge(data={"JWT_SECRET": None}),
        "change a credential": _merge(data={"redis-password": SECRET}),
    },
    "Service": {
        "target port": _port(targetPort=9),
        "port number": _port(port=8080),
        "port name": _port(name="other"),
        "selector": _merge(spec={"selector": {"app": "evil"}}),
        "affinity": _merge(spec={"sessionAffinity": "ClientIP"}),
        "node port": _merge(spec={"type": "NodePort"}),
        "apply a port": _apply(spec={"ports": [{"port": 81, "name": "b", "protocol": "TCP"}]}),
    },
    "Ingress": {
        "host": _merge(spec={"rules": [{"host": "evil.example"}]}),
        "no rule": _merge(spec={"rules": None, "defaultBackend": {"resource": NOWHERE}}),
        "class": _merge(spec={"ingressClassName": "evil"}),
        "certificate": _apply(spec={"tls": [{"secretName": "evil"}]}),
    },
    "NetworkPolicy": {
        "open to all": _merge(spec={"ingress": [{}]}),
        "one way only": _merge(spec={"policyTypes": ["Ingress"]}),
        "other pods": _merge(spec={"podSelector": {"matchLabels": {"app": "evil"}}}),
        "apply a rule": _apply(spec={"podSelector": {}, "egress": [{}]}),
    },
    **{
        kind: {
            "image": _container({"image": "example/evil:1"}),
            "environment": _container({"env": [{"name": "DEBUG", "value": "1"}]}),
            "arguments": _container({"args": ["--evil"]}),
            "sidecar": _container({}, {"name": "spy", "image": "example/spy:1"}),
            "count": _merge(spec={"replicas": 5}),
            "scale": _scale,
            "apply a count": _apply(spec={"replicas": 1}),
            "grace": _pods(terminationGracePeriodSeconds=7),
            "node selector": _pods(nodeSelector={"disk": "fast"}),
            "volume": _patch(_volume_patch),
            "restart": _merge(
                spec={
                    "template": {
                        "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}
                    }
                }
            ),
            "history": _merge(spec={"revisionHistoryLimit": 2}),
        }
        for kind in WORKLOADS
    },
    "HorizontalPodAutoscaler": {
        "maximum": _merge(spec={"maxReplicas": 99}),
        "minimum": _merge(spec={"minReplicas": 2}),
        "metrics": _merge(spec={"metrics": None}),
        "old client": _through_v1,
    },
    "PodDisruptionBudget": {
        "budget": _merge(spec={"maxUnavailable": 2}),
        "policy": _merge(spec={"unhealthyPodEvictionPolicy": None}),
    },
}
TARGETS = (
    ("Namespace", ""),
    ("ServiceAccount", ""),
    ("ConfigMap", "-config"),
    ("Secret", "-secrets"),
    ("Secret", "-credentials"),
    ("Service", ""),
    ("Service", "-redis"),
    ("NetworkPolicy", ""),
    ("NetworkPolicy", "-redis"),
    ("StatefulSet", "-redis"),
    ("Deployment", ""),
    ("HorizontalPodAutoscaler", ""),
    ("PodDisruptionBudget", ""),
    ("Ingress", ""),
)


POSSIBLE: Mapping[tuple[str, str], Mapping[str, Callable[..., object]]] = {
    (kind, suffix): {**ANY_KIND, **OF_KIND.get(kind, {})} for kind, suffix in TARGETS
} | {
    # To delete it takes everything along, and a controller to end.
    ("Namespace", ""): {title: send for title, send in ANY_KIND.items() if title != "delete"}
}
CHOICES = tuple((*target, title) for target, sends in POSSIBLE.items() for title in sends)


@st.composite
def edits(draw: st.DrawFn) -> Edit:
    """One edit of any object by anybody."""
    kind, suffix, title = draw(st.sampled_from(CHOICES))
    send = POSSIBLE[kind, suffix][title]
    return Edit(title, kind, suffix, draw(st.sampled_from(MANAGERS)), send)


def rounds() -> Iterator[tuple[Edit, ...]]:
    """Every edit there is, one of each object at a time, the managers but ourselves in turn."""
    managers = MANAGERS[:-1]
    for turn in range(max(map(len, POSSIBLE.values()))):
        yield tuple(
            Edit(title, kind, suffix, managers[(turn + index) % len(managers)], sends[title])
            for index, ((kind, suffix), sends) in enumerate(POSSIBLE.items())
            for title in list(sends)[turn : turn + 1]
        )
