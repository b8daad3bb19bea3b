"""An object that is to the letter what we would apply: by its own record, and only then."""

from copy import deepcopy
from typing import Any

import pytest

from jac_converge.reconciler.extraction import is_as_applied
from jac_converge.reconciler.objects import Object

PORT = 'k:{"containerPort":8000,"protocol":"TCP"}'
ENTRY: dict[str, Any] = {
    "manager": "jac-converge",
    "operation": "Apply",
    "apiVersion": "apps/v1",
    "fieldsV1": {
        "f:metadata": {"f:labels": {"f:app": {}}, "f:finalizers": {'v:"a/b"': {}}},
        "f:spec": {
            "f:selector": {},
            "f:template": {
                "f:spec": {
                    "f:containers": {
                        'k:{"name":"app"}': {
                            ".": {},
                            "f:image": {},
                            "f:name": {},
                            "f:ports": {PORT: {".": {}, "f:containerPort": {}}},
                        },
                        'k:{"name":"side"}': {".": {}, "f:name": {}},
                    }
                }
            },
        },
    },
}
CONTAINERS = [{"name": "app", "image": "a:1", "ports": [{"containerPort": 8000}]}, {"name": "side"}]
DESIRED: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "a", "labels": {"app": "a"}, "finalizers": ["a/b"]},
    "spec": {"selector": {"x": "y"}, "template": {"spec": {"containers": CONTAINERS}}},
}


def live_of(desired: Object = DESIRED, *entries: Any) -> Object:
    """As a server has it: with defaults, a foreign container, a status and a record."""
    live = deepcopy(desired)
    live["metadata"] |= {"uid": "1", "managedFields": list(entries or (ENTRY,))}
    spec = live["spec"]["template"]["spec"]
    spec["restartPolicy"] = "Always"
    spec["containers"][0]["ports"][0]["protocol"] = "TCP"
    spec["containers"].insert(1, {"name": "mesh", "image": "mesh:1"})
    return {**live, "status": {"replicas": 1}}


def test_object_with_defaults_and_additions_is_as_applied() -> None:
    """What others put beside our fields is theirs, and is looked for elsewhere."""
    assert is_as_applied(live_of(), DESIRED)


def set_at(obj: Object, value: Any, *path: Any) -> Object:
    """A copy with another value."""
    copy = deepcopy(obj)
    here: Any = copy
    for step in path[:-1]:
        here = here[step]
    if value is None:
        del here[path[-1]]
    else:
        here[path[-1]] = value
    return copy


POD = ("spec", "template", "spec")


@pytest.mark.parametrize(
    "desired",
    [
        set_at(DESIRED, "a:2", *POD, "containers", 0, "image"),
        set_at(DESIRED, None, *POD, "containers", 0, "image"),
        set_at(DESIRED, "Always", *POD, "restartPolicy"),
        set_at(DESIRED, list(reversed(CONTAINERS)), *POD, "containers"),
        set_at(DESIRED, CONTAINERS[:1], *POD, "containers"),
        set_at(DESIRED, [*CONTAINERS, {"name": "third"}], *POD, "containers"),
        set_at(DESIRED, {"x": "z"}, "spec", "selector"),
        set_at(DESIRED, {}, "metadata", "labels"),
        set_at(DESIRED, None, "metadata", "labels"),
        set_at(DESIRED, ["a/c"], "metadata", "finalizers"),
        set_at(DESIRED, "apps/v2", "apiVersion"),
    ],
    ids=[
        "another value",
        "a field less",
        "a default more",
        "another order",
        "an item less",
        "an item more",
        "an atomic value",
        "no label",
        "no labels",
        "an item of a set",
        "another version",
    ],
)
def test_any_difference_is_one(desired: Object) -> None:
    """Also one that the server would call none: it is asked then."""
    assert not is_as_applied(live_of(), desired)


@pytest.mark.parametrize(
    "entries",
    [
        [{**ENTRY, "manager": "kubectl"}],
        [{**ENTRY, "operation": "Update"}],
        [{**ENTRY, "subresource": "scale"}],
        [ENTRY, {**ENTRY, "operation": "Update", "fieldsV1": {}}],
        [{**ENTRY, "fieldsV1": {}}],
        [{**ENTRY, "fieldsV1": {"f:spec": {"f:gone": {"f:too": {}}}}}],
    ],
    ids=["another manager", "no apply", "a subresource", "two", "nothing", "what is not there"],
)
def test_another_record_is_none(entries: list[Any]) -> None:
    """Somebody else wrote it, or we did in another way."""
    assert not is_as_applied(live_of(DESIRED, *entries), DESIRED)


def test_lost_field_is_a_difference() -> None:
    """Even with the value that we want: it is not ours any more."""
    lost = deepcopy(ENTRY)
    del lost["fieldsV1"]["f:metadata"]["f:labels"]
    assert not is_as_applied(live_of(DESIRED, lost), DESIRED)


def test_object_that_is_being_deleted_is_not_as_applied() -> None:
    """It will not stay."""
    live = set_at(live_of(), "2026-01-01T00:00:00Z", "metadata", "deletionTimestamp")
    assert not is_as_applied(live, DESIRED)
