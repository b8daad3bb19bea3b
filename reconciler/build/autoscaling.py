"""How many pods, and how many may be missing: autoscaler and disruption budget. Pure.

It changes when the app is to scale another way.
"""

from typing import Any

from jac_converge.config.load import App
from jac_converge.config.model import AutoscalingSettings
from jac_converge.reconciler.build.app import autoscaled
from jac_converge.reconciler.build.manifest import manifest, name_of, selector_labels
from jac_converge.reconciler.objects import Object, kind_named

__all__ = ["scaling_objects"]


def scaling_objects(app: App) -> tuple[Object, ...]:
    """The autoscaler, where one is wanted, and the budget, where there is a pod to spare."""
    kubernetes = app.settings.kubernetes
    found: list[Object] = []
    fewest = kubernetes.replicas
    if kubernetes.autoscaling is not None and autoscaled(kubernetes):
        found.append(_autoscaler(app, kubernetes.autoscaling))
        fewest = kubernetes.autoscaling.min_replicas
    # With one pod a budget either forbids every drain of its node, or protects nothing.
    if fewest > 1:
        found.append(_budget(app))
    return tuple(found)


def _autoscaler(app: App, scaling: AutoscalingSettings) -> Object:
    targets = (
        ("cpu", scaling.cpu_utilization_target),
        ("memory", scaling.memory_utilization_target),
    )
    spec = {
        "scaleTargetRef": {
            "apiVersion": kind_named("Deployment").api_version,
            "kind": "Deployment",
            "name": name_of(app, "app"),
        },
        "minReplicas": scaling.min_replicas,
        "maxReplicas": scaling.max_replicas,
        "metrics": [_metric(name, target) for name, target in targets if target is not None],
        "behavior": {
            # Slowly down, a pod or a tenth a minute; up as the server does: at once, twofold.
            "scaleDown": {
                "stabilizationWindowSeconds": scaling.scale_down_window_seconds,
                "selectPolicy": "Max",
                "policies": [
                    {"type": "Pods", "value": 1, "periodSeconds": 60},
                    {"type": "Percent", "value": 10, "periodSeconds": 60},
                ],
            }
        },
    }
    return manifest("HorizontalPodAutoscaler", app, "app", spec=spec)


def _metric(resource: str, percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": resource, "target": target}}


def _budget(app: App) -> Object:
    spec = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": selector_labels(app, "app")},
        # A pod that is broken anyway must not keep a node from being drained.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return manifest("PodDisruptionBudget", app, "app", spec=spec)
