"""Which pods belong to no workload, and go with what nobody describes any more."""

from typing import Any

import pytest

from jac_converge.reconciler.objects import Object, key_of
from jac_converge.reconciler.plan import make_plan
from jac_converge.reconciler.prune import orphans
from jac_converge.reconciler.snapshot import Policy, Snapshot
from jac_converge.reconciler.steps import Delete, Hold
from tests.unit.reconciler.live_objects import live, obj

MADE = {"statefulset.kubernetes.io/pod-name": "shop-mongodb-0"}
OURS = {"app.kubernetes.io/managed-by": "jac-converge", "app.kubernetes.io/instance": "shop"}
STORE = obj("StatefulSet", "shop-mongodb", spec={"selector": {"matchLabels": {"store": "mongodb"}}})
ANOTHER = obj("StatefulSet", "shop-redis", spec={"selector": {"matchLabels": {"store": "redis"}}})


def pod(labels: dict[str, str], **more: Any) -> Object:
    """A pod of the database."""
    return live(obj("Pod", "shop-mongodb-0"), labels={"store": "mongodb", **labels}, **more)


@pytest.mark.parametrize(
    ("it", "desired", "goes"),
    [
        pytest.param(pod(OURS | MADE), (), True, id="destroy"),
        pytest.param(pod(OURS | MADE), (ANOTHER,), True, id="prune"),
        pytest.param(pod(OURS | MADE), (STORE,), False, id="its StatefulSet comes back"),
        pytest.param(pod(OURS), (), True, id="destroy takes any"),
        pytest.param(pod(OURS), (ANOTHER,), False, id="set free by a person"),
        pytest.param(pod(MADE), (), False, id="a stranger's"),
        pytest.param(
            pod(OURS | MADE, ownerReferences=[{"controller": True}]), (), False, id="controlled"
        ),
        pytest.param(
            pod(OURS | MADE, ownerReferences=[{"kind": "Node"}]), (), True, id="owned, not run"
        ),
    ],
)
def test_orphans_are_pods_that_no_workload_has_or_will_have(
    it: Object, desired: tuple[Object, ...], *, goes: bool
) -> None:
    """By our labels, as everything that is pruned."""
    assert [it] * goes == [*orphans("shop", desired, (it,))]


def test_plan_deletes_an_orphan_first_and_waits_for_its_end() -> None:
    """Before the volume, which waits for it."""
    volume = live(obj("PersistentVolumeClaim", "data-shop-mongodb-0"))
    there = {key_of(volume): volume}
    found = pod(OURS | MADE)
    steps = make_plan("shop", (), Snapshot(live=there, pods=(found,)), Policy(data=True)).steps
    assert (Delete(live=found), Delete(live=volume)) == steps
    leaving = pod(OURS, deletionTimestamp="2026-01-02T03:04:05Z")
    (step,) = make_plan("shop", (), Snapshot(live={}, pods=(leaving,)), Policy()).steps
    assert isinstance(step, Hold)
