"""How we mark what is ours, and how to tell. Pure.

Two marks: the labels, which select, and the field manager, which proves who wrote. Every object of
an app carries both, so two apps in one namespace never touch each other.
"""

from collections.abc import Mapping
from typing import Final, Literal

from jac_converge.reconciler.objects import Object, kind_named

__all__ = [
    "COMPONENT_LABEL",
    "EXTRA",
    "FIELD_MANAGER",
    "HANDOVER_MANAGER",
    "INSTANCE_LABEL",
    "MANAGED_BY_LABEL",
    "Owner",
    "is_extra",
    "labels_of",
    "lease_name",
    "order_of",
    "owner_of",
    "selector_of",
]

FIELD_MANAGER: Final = "jac-converge"
"""Name under which we apply; also the value of the managed-by label."""

HANDOVER_MANAGER: Final = "jac-converge-handover"
"""Holds `spec.replicas` from the moment we let go of it until an autoscaler takes it."""

EXTRA: Final = "extra"
"""The component of what the user's own manifests describe."""

COMPONENT_LABEL: Final = "app.kubernetes.io/component"
INSTANCE_LABEL: Final = "app.kubernetes.io/instance"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"

type Owner = Literal["us", "another app", "nobody"]


def labels_of(app_name: str, component: str) -> dict[str, str]:
    """The labels of one object.

    Args:
        app_name: name of the app, a DNS label.
        component: what the object belongs to: `app`, `redis`, `mongodb`, or `EXTRA`.
    """
    return {
        "app.kubernetes.io/name": component,
        INSTANCE_LABEL: app_name,
        COMPONENT_LABEL: component,
        "app.kubernetes.io/part-of": app_name,
        MANAGED_BY_LABEL: FIELD_MANAGER,
    }


def lease_name(app_name: str) -> str:
    """The name of the Lease that the app's one writer holds."""
    return f"{app_name}-writer"


def selector_of(app_name: str) -> str:
    """The label selector that finds every object of an app.

    >>> selector_of("shop")
    'app.kubernetes.io/instance=shop,app.kubernetes.io/managed-by=jac-converge'
    """
    return f"{INSTANCE_LABEL}={app_name},{MANAGED_BY_LABEL}={FIELD_MANAGER}"


def is_extra(obj: Object) -> bool:
    """Whether an object comes from a manifest of the user's own."""
    labels: Mapping[str, str] = obj["metadata"].get("labels") or {}
    return labels.get(COMPONENT_LABEL) == EXTRA


def order_of(obj: Object) -> tuple[bool, int]:
    """The key that sorts objects for application: by kind, and what is extra after all else.

    >>> order_of({"kind": "Deployment", "metadata": {}})
    (False, 5)
    """
    return is_extra(obj), kind_named(obj["kind"]).rank


def owner_of(obj: Object, app_name: str) -> Owner:
    """Whose object this is.

    An object whose labels were stripped, but which we applied, is still ours: the field manager
    proves it, as long as no other app's name stands on it.
    """
    labels: Mapping[str, str] = obj["metadata"].get("labels") or {}
    instance = labels.get(INSTANCE_LABEL)
    entries = obj["metadata"].get("managedFields") or ()
    applied = any(entry.get("manager") == FIELD_MANAGER for entry in entries)
    if labels.get(MANAGED_BY_LABEL) == FIELD_MANAGER or applied:
        return "us" if instance in {app_name, None} else "another app"
    return "nobody"
