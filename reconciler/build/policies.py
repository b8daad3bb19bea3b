"""Who may talk to whom: one NetworkPolicy for each workload, closed but for what is named. Pure.

A policy that a pod has lets through what it lists and nothing else, in both directions. Ports go by
name, so that while a changed port rolls out, the pods of both versions are reached. It changes when
a workload needs another connection.

Source: Kubernetes documentation, "Network Policies".
"""

from collections.abc import Sequence
from typing import Any

from jac_converge.config.load import App
from jac_converge.reconciler.build.manifest import manifest, selector_labels
from jac_converge.reconciler.build.mongo import runs_mongodb
from jac_converge.reconciler.build.redis import runs_redis
from jac_converge.reconciler.objects import Object

__all__ = ["policy_objects"]

_ANYTHING: dict[str, Any] = {}
_DNS = {"ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]}
"""To any address: some clusters answer from the node itself, which no selector finds."""


def policy_objects(app: App) -> tuple[Object, ...]:
    """The policies of the workloads that run; none where they are switched off."""
    if not app.settings.kubernetes.network_policies:
        return ()
    stores = (("redis", runs_redis(app)), ("mongodb", runs_mongodb(app)))
    return (
        # What the app calls, only the app knows: databases, mail, sign-on, other people's APIs.
        _policy(app, "app", ingress=[{"ports": [_port("http")]}], egress=[_ANYTHING]),
        *(_store_policy(app, component) for component, runs in stores if runs),
    )


def _store_policy(app: App, component: str) -> Object:
    callers = {"podSelector": {"matchLabels": selector_labels(app, "app")}}
    ingress = [{"from": [callers], "ports": [_port(component)]}]
    return _policy(app, component, ingress=ingress, egress=[_DNS])


def _policy(
    app: App,
    component: str,
    *,
    ingress: Sequence[dict[str, Any]],
    egress: Sequence[dict[str, Any]],
) -> Object:
    spec = {
        "podSelector": {"matchLabels": selector_labels(app, component)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": list(ingress),
        "egress": list(egress),
    }
    return manifest("NetworkPolicy", app, component, spec=spec)


def _port(name: str) -> dict[str, str]:
    return {"protocol": "TCP", "port": name}
