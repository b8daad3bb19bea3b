"""What somebody put beside our fields, taken out by one patch."""

import json

import pytest

from jac_converge.reconciler.removal import Operations, removal_of
from tests.unit.reconciler.live_objects import entry, live, obj, ours

SAME = {"op": "test", "path": "/metadata/uid", "value": "uid-of-shop"}
SHOP, SPY = 'k:{"name":"shop"}', 'k:{"name":"spy"}'
WEB = 'k:{"port":80,"protocol":"TCP"}'


def removed(patch: Operations | None) -> list[str]:
    """The places that a patch removes, in its order."""
    assert patch is not None
    assert SAME == patch[0]
    return [operation["path"] for operation in patch if operation["op"] == "remove"]


def test_removal_takes_out_a_value() -> None:
    """A key with a slash or a tilde in it is spelled as JSON pointers spell it."""
    it = live(
        obj("ConfigMap", data={"A": "1", "b/~c": "2"}),
        ours("f:data/f:A"),
        {**entry("kubectl-edit"), "fieldsV1": {"f:data": {"f:b/~c": {}}}},
    )
    assert ["/data/b~1~0c"] == removed(removal_of(it))


def test_removal_takes_out_an_item_whole_and_only_as_it_was_read() -> None:
    """A sidecar goes at once, marker and all; an item that is another by now is tested for."""
    spy = {"name": "spy", "image": "evil"}
    it = live(
        obj("Deployment", spec={"containers": [{"name": "shop"}, spy]}),
        ours(f"f:spec/f:containers/{SHOP}/f:name"),
        entry("kubectl-edit", *(f"f:spec/f:containers/{SPY}/{f}" for f in (".", "f:image"))),
    )
    assert [
        SAME,
        {"op": "test", "path": "/spec/containers/1", "value": spy},
        {"op": "remove", "path": "/spec/containers/1"},
    ] == removal_of(it)


def test_removal_goes_from_behind() -> None:
    """So that the first removal does not move what the second one names."""
    it = live(
        obj("Service", spec={"ports": [{"port": 1}, {"port": 80}, {"port": 2}]}),
        ours(f"f:spec/f:ports/{WEB}/f:port"),
        entry(
            "kubectl-edit",
            'f:spec/f:ports/k:{"port":1,"protocol":"TCP"}/f:port',
            'f:spec/f:ports/k:{"port":2,"protocol":"TCP"}/f:port',
        ),
    )
    assert ["/spec/ports/2", "/spec/ports/0"] == removed(removal_of(it))


def test_removal_leaves_what_controllers_and_people_may_add() -> None:
    """An annotation of a controller stays beside the one that goes."""
    it = live(
        obj("Deployment", spec={"paused": True, "replicas": 3}),
        entry("kube-controller-manager", "f:metadata/f:annotations/f:revision"),
        entry("kubectl-edit", "f:metadata/f:annotations/f:note", "f:spec/f:replicas"),
        annotations={"revision": "1", "note": "x"},
    )
    assert ["/metadata/annotations/note"] == removed(removal_of(it))


def test_removal_takes_out_one_value_of_a_set() -> None:
    """Finalizers are a set of strings."""
    it = live(
        obj("ConfigMap"),
        ours('f:metadata/f:finalizers/v:"a"'),
        entry("kubectl-edit", 'f:metadata/f:finalizers/v:"b"'),
        finalizers=["a", "b"],
    )
    assert ["/metadata/finalizers/1"] == removed(removal_of(it))


@pytest.mark.parametrize(
    "path",
    ["f:data/f:GONE", f"f:spec/f:containers/{SPY}/f:image", "f:spec/i:0"],
    ids=["field", "item", "index"],
)
def test_removal_is_none_where_nothing_is_found(path: str) -> None:
    """What is owned, and not there under that path, is left to the longer way."""
    it = live(
        obj("Deployment", data={"A": "1"}, spec={"containers": [{"name": "shop"}, "?"]}),
        ours("f:data/f:A", f"f:spec/f:containers/{SHOP}/f:name"),
        entry("kubectl-edit", path),
    )
    assert removal_of(it) is None


def test_removal_is_none_when_nothing_was_added() -> None:
    """There is nothing to take out, not an empty patch."""
    assert removal_of(live(obj("ConfigMap", data={"A": "1"}), ours("f:data/f:A"))) is None


def test_removal_is_json() -> None:
    """It is sent as it is."""
    it = live(obj("ConfigMap", data={"A": "1"}), entry("kubectl-edit", "f:data/f:A"))
    assert json.loads(json.dumps(removal_of(it))) == removal_of(it)
