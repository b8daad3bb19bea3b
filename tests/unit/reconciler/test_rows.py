"""The rows of the table: what is desired, what is there, and how it is doing."""

from jac_converge.reconciler.differences import Change
from jac_converge.reconciler.health import Health
from jac_converge.reconciler.objects import ObjectKey, key_of, keyed
from jac_converge.reconciler.rows import rows_of
from jac_converge.reconciler.steps import Hold, Keep, Plan, Refuse
from tests.unit.reconciler.live_objects import live, obj

SERVICE = obj("Service", spec={"ports": [{"port": 80}]})
SECRET = obj("Secret", "shop-secrets", data={"A": "eA=="})
POD_SPEC = {"template": {"spec": {"containers": [{"name": "app", "image": "shop:1"}]}}}
DEPLOYMENT = obj("Deployment", spec={"replicas": 1, **POD_SPEC})
DESIRED = keyed((SERVICE, SECRET, DEPLOYMENT))


def test_keyed_keeps_the_order() -> None:
    """The table shows objects in the order in which they are applied."""
    expected = ["Service/shop", "Secret/shop-secrets", "Deployment/shop"]
    assert expected == [str(key) for key in DESIRED]


def test_rows_show_each_desired_object_beside_the_live_one() -> None:
    """Absent: not there yet; there: as it is doing."""
    there = live({**SERVICE, "spec": {"ports": [{"port": 8080}]}})
    rows = rows_of(DESIRED, keyed((there,)), ())
    assert [
        ("80", "8080", "current"),
        ("1 key", "-", "progressing"),
        ("1 x shop:1", "-", "progressing"),
    ] == [(row.desired, row.live, row.health.state) for row in rows]
    assert "it is not there yet" == rows[1].health.sentence


def test_rows_leave_out_what_is_not_desired() -> None:
    """An object that is pruned or kept for its data is no part of the app's state."""
    old = live(obj("Service", "old", spec={}))
    assert () == rows_of({}, keyed((old,)), ())


def test_rows_tell_what_the_plan_waits_for_and_refuses() -> None:
    """The plan knows more than the object: it comes first."""
    plan = Plan(
        steps=(
            Keep(key=ObjectKey("Service", "shop"), reason="it was there before"),
            Refuse(key=ObjectKey("Secret", "shop-secrets"), reason="it is not ours"),
            Hold(key=ObjectKey("Deployment", "shop"), reason="waits for StatefulSet/x"),
        )
    )
    there = keyed((live(SERVICE), live(SECRET)))
    rows = rows_of(DESIRED, there, (), plan=plan)
    assert [
        Health(state="failed", sentence="refused: it is not ours"),
        Health(state="progressing", sentence="waits for StatefulSet/x"),
    ] == [row.health for row in rows[1:]]
    assert "current" == rows[0].health.state


def test_rows_tell_what_is_left_alone() -> None:
    """A field that drifted, and an object that was deleted."""
    change = Change(path="spec.ports", before=1, after=2)
    plan = Plan(
        steps=(
            Keep(key=key_of(SERVICE), left=True, told=True, changes=(change,)),
            Keep(key=key_of(SECRET), left=True, told=True, reason="it was deleted"),
        )
    )
    rows = rows_of(DESIRED, keyed((live(SERVICE),)), (), plan=plan)
    assert [("current", ("spec.ports",)), ("progressing", ()), ("progressing", ())] == [
        (row.health.state, row.left) for row in rows
    ]
    assert "it was deleted" == rows[1].health.sentence


def test_rows_ask_the_pods_for_reasons() -> None:
    """A Deployment knows that it waits; its pods know why."""
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    pod = {
        "kind": "Pod",
        "metadata": {
            "name": "shop-1",
            "labels": {"app": "shop"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "shop-5d9"}],
        },
        "spec": {"containers": [{"name": "app", "image": "shop:1"}]},
        "status": {
            "phase": "Pending",
            "containerStatuses": [{"name": "app", "state": {"waiting": waiting}}],
        },
    }
    spec = {**DEPLOYMENT["spec"], "selector": {"matchLabels": {"app": "shop"}}}
    status = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1}
    there = {**live({**DEPLOYMENT, "spec": spec}, generation=1), "status": status}
    (row,) = rows_of(keyed((DEPLOYMENT,)), keyed((there,)), (pod,))
    assert "pull" in row.health.sentence.lower()


def test_rows_carry_the_last_heal() -> None:
    """Until there is one, the cell is empty."""
    healed = {ObjectKey("Service", "shop"): "12 ms, after kubectl-edit"}
    rows = rows_of(DESIRED, {}, (), healed=healed)
    assert ["12 ms, after kubectl-edit", "", ""] == [row.healed for row in rows]
