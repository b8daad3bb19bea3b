"""What every object starts with: kind, name, namespace, labels; and the labels that select. Pure.

It changes when every object of an app has to carry something more.
"""

from typing import Any

from jac_converge.config.load import App
from jac_converge.reconciler.objects import Object, kind_named
from jac_converge.reconciler.ownership import INSTANCE_LABEL, labels_of

__all__ = ["manifest", "name_of", "selector_labels"]

_SELECTING = ("app.kubernetes.io/component", INSTANCE_LABEL, "app.kubernetes.io/name")


def manifest(kind: str, app: App, component: str, *, name: str = "", **body: Any) -> Object:
    """Begin an object.

    Args:
        kind: a name of `KINDS`.
        app: whose it is.
        component: what it belongs to: `app`, `redis`, `mongodb`.
        name: default: `name_of(app, component)`.
        body: the rest, such as `spec`.
    """
    described = kind_named(kind)
    metadata: dict[str, Any] = {
        "name": name or name_of(app, component),
        "labels": labels_of(app.name, component),
    }
    if described.namespaced:
        metadata["namespace"] = app.namespace
    return {"apiVersion": described.api_version, "kind": kind, "metadata": metadata, **body}


def name_of(app: App, component: str) -> str:
    """The name of a component's objects; also its host name within the namespace."""
    return app.name if component == "app" else f"{app.name}-{component}"


def selector_labels(app: App, component: str) -> dict[str, str]:
    """The labels that find a component's pods.

    A selector cannot change once a workload exists, so only labels that never will are in it.
    """
    labels = labels_of(app.name, component)
    return {label: labels[label] for label in _SELECTING}
