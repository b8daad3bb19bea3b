"""Live objects as a server would hold them, for tests of the pure core."""

from typing import Any

from jac_converge.reconciler.objects import Object
from jac_converge.reconciler.ownership import FIELD_MANAGER, labels_of

type Fields = dict[str, Any]


def fields(*paths: str) -> Fields:
    """FieldsV1 from slash-separated steps: `f:spec/f:replicas`."""
    root: Fields = {}
    for path in paths:
        here = root
        for step in path.split("/"):
            here = here.setdefault(step, {})
    return root


def entry(manager: str, *paths: str, **more: str) -> dict[str, Any]:
    """One managedFields entry; an Apply when it is ours, an Update otherwise."""
    return {
        "manager": manager,
        "operation": "Apply" if manager == FIELD_MANAGER else "Update",
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields(*paths),
        **more,
    }


def ours(*paths: str) -> dict[str, Any]:
    """Our own entry."""
    return entry(FIELD_MANAGER, *paths)


def obj(kind: str, name: str = "shop", **fields: Any) -> Object:
    """A desired object of the app `shop`."""
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "labels": labels_of("shop", "app")},
        **fields,
    }


def live(desired: Object, *entries: dict[str, Any], **metadata: Any) -> Object:
    """The same object as the server has it."""
    return {
        **desired,
        "metadata": {
            **desired["metadata"],
            "uid": f"uid-of-{desired['metadata']['name']}",
            "resourceVersion": "1",
            "managedFields": list(entries),
            **metadata,
        },
    }


def volume(storage: str, now: str = "", name: str = "data-shop-mongodb-0", **more: Any) -> Object:
    """A claim as its controller has made it, and the size that its volume has."""
    spec = {"resources": {"requests": {"storage": storage}}, "storageClassName": "slow"}
    status = {"capacity": {"storage": now or storage}}
    return live(obj("PersistentVolumeClaim", name, spec=spec, status=status), **more)
