"""What is decided about volumes whose size in jac.toml is another one."""

from dataclasses import replace
from typing import Any

import pytest

from jac_converge.reconciler.differences import Change
from jac_converge.reconciler.errors import ClusterError, Immutable, Invalid, Refused
from jac_converge.reconciler.objects import Object, ObjectKey, key_of
from jac_converge.reconciler.ownership import labels_of
from jac_converge.reconciler.plan import make_plan
from jac_converge.reconciler.render import plan_lines, step_json
from jac_converge.reconciler.snapshot import Baseline, Policy, Preview, Snapshot
from jac_converge.reconciler.steps import Hold, Keep, Plan, Recreate, Refuse, Step, Update
from jac_converge.reconciler.volume_growth import claims_of, growing_claims, is_premature
from tests.unit.reconciler.live_objects import entry, live, obj, ours, volume

SIZE = "spec.resources.requests.storage"
FINAL = Immutable("x", "updates to statefulset spec for fields other than 'replicas'")
NO_GROWTH = Refused("x", "the storageclass that provisions the pvc must support resize")
QUOTA = Refused("x", "exceeded quota: small")


def store(storage: str, template: Any = "", **more: Any) -> Object:
    """A StatefulSet with one volume."""
    claim = {"resources": {"requests": {"storage": storage}}, **more}
    templates = [{"metadata": {"name": "data"}, "spec": claim}]
    spec = {"template": {"spec": template}, "volumeClaimTemplates": templates}
    return obj("StatefulSet", "shop-mongodb", spec=spec)


def sized(storage: str) -> Object:
    """What is applied to a claim for it to grow."""
    metadata = {"name": "data-shop-mongodb-0", "uid": "uid-of-data-shop-mongodb-0"}
    spec = {"resources": {"requests": {"storage": storage}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    return {**claim, "metadata": metadata, "spec": spec}


def asked(
    desired: Object, *there: Object, refused: Refused | None = None, rejected: bool = True
) -> Snapshot:
    """A snapshot with what the server said to the StatefulSet and to the claim."""
    found = {key_of(it): it for it in there}
    previews = {
        key_of(it): Preview(desired=it, answer=None if refused else it, rejected=refused)
        for it in growing_claims((desired,), found)
    }
    if rejected:
        previews[key_of(desired)] = Preview(desired=desired, answer=None, rejected=FINAL)
    return Snapshot(live=found, previews=previews)


def steps(desired: Object, there: Snapshot, policy: Policy | None = None) -> tuple[Step, ...]:
    """Plan the app `shop`."""
    return make_plan("shop", (desired,), there, policy or Policy()).steps


def grown(before: Object, after: str) -> Update:
    """The growth of one claim."""
    was = before["spec"]["resources"]["requests"]["storage"]
    change = Change(path=SIZE, before=was, after=after)
    return Update(desired=sized(after), live=before, changes=(change,))


def around(desired: Object, there: Object, pods: str = "no pod restarts") -> Recreate:
    """The StatefulSet that is created again around its pods."""
    reason = f"the size of its volumes does not change in place; volumes stay, {pods}"
    return Recreate(desired=desired, live=there, reason=reason, leaves_pods=True)


def test_plan_grows_the_volume_before_its_stateful_set_is_made_anew() -> None:
    """What the plan says of the claim is what has to follow: an expansion."""
    old, claim, new = live(store("8Gi"), ours()), volume("8Gi"), store("9Gi")
    update = grown(claim, "9Gi")
    assert (update, around(new, old)) == steps(new, asked(new, old, claim))
    assert "needs volume expansion" == update.effect


@pytest.mark.parametrize("mode", ["warn", "off"])
def test_plan_grows_what_jac_toml_grew_in_every_mode(mode: Any) -> None:
    """That is no drift."""
    old, claim, new = live(store("8Gi"), ours()), volume("8Gi"), store("9Gi")
    there = replace(
        asked(new, old, claim),
        baselines={key_of(old): Baseline(desired=store("8Gi"), fields=frozenset())},
    )
    assert ["update", "recreate"] == [it.verb for it in steps(new, there, Policy(mode=mode))]


@pytest.mark.parametrize("size", ["8Gi", "9Gi", "8.5Gi"], ids=["old", "wanted", "between"])
def test_plan_goes_on_where_a_run_died(size: str) -> None:
    """The claim tells how far that one had come; the StatefulSet still is the old one."""
    old, claim, new = live(store("8Gi"), ours()), volume(size), store("9Gi")
    there = asked(new, old, claim)
    first = () if size == "9Gi" else (grown(claim, "9Gi"),)
    assert (*first, around(new, old)) == steps(new, there)


@pytest.mark.parametrize(
    ("size", "verbs"), [("9Gi", ["create"]), ("8Gi", ["update", "create"])], ids=["grown", "small"]
)
def test_plan_creates_the_stateful_set_that_is_not_there(size: str, verbs: list[str]) -> None:
    """A dead run took it away, or a person; its volume is there, of whatever size."""
    there = asked(store("9Gi"), volume(size), rejected=False)
    assert verbs == [it.verb for it in steps(store("9Gi"), there)]


def test_plan_takes_a_size_back_that_no_volume_has() -> None:
    """Only the template was larger: nothing shrinks."""
    old, claim, new = live(store("9Gi"), ours()), volume("8Gi"), store("8Gi")
    assert (around(new, old),) == steps(new, asked(new, old, claim))


def test_plan_has_nothing_to_do_once_it_has_grown() -> None:
    """Whether the volume has followed its claim already or not."""
    new = store("9Gi")
    there = asked(new, live(new, ours()), volume("9Gi", "8Gi"), rejected=False)
    there = replace(there, baselines={key_of(new): Baseline(desired=new, fields=frozenset())})
    assert (Keep(key=key_of(new)),) == steps(new, there)


@pytest.mark.parametrize(
    ("template", "entries"),
    [
        pytest.param("another", (), id="jac.toml"),
        pytest.param("", (entry("kubectl", "f:spec/f:template/f:x"),), id="drift"),
    ],
)
def test_plan_says_that_pods_roll_when_more_than_the_size_changes(
    template: str, entries: tuple[dict[str, Any], ...]
) -> None:
    """A person decides by that whether now is a good time."""
    old, new = live(store("8Gi"), ours(), *entries), store("9Gi", template)
    pods = "its pods roll to what else changed"
    step = steps(new, asked(new, old, volume("8Gi")))[-1]
    assert isinstance(step, Recreate)
    assert around(new, old, pods) == replace(step, changes=())
    paths = ["spec.template.x"] if entries else ["spec.template.spec"]
    assert paths == [change.path for change in step.changes]
    told = plan_lines(Plan(steps=(step,)))[1]
    assert told.startswith(f"             {paths[0]}: ")
    assert paths == [change["path"] for change in step_json(step)["changes"]]


@pytest.mark.parametrize(
    ("before", "after", "claims", "why"),
    [
        pytest.param(
            store("8Gi"),
            store("7.5Gi"),
            (volume("8Gi"),),
            "a volume does not shrink: put storage back to '8Gi'",
            id="smaller",
        ),
        pytest.param(
            store("8Gi"),
            store("9Gi"),
            (volume("10Gi"),),
            "a volume does not shrink: put storage back to '10Gi'",
            id="grown by hand",
        ),
        pytest.param(
            store("8Gi"),
            store("7Gi"),
            (),
            "a volume does not shrink: put storage back to '8Gi'",
            id="about to be made",
        ),
        pytest.param(
            store("8Gi", storageClassName="slow"),
            store("9Gi", storageClassName="fast"),
            (volume("8Gi"),),
            "a volume keeps its class: put storage_class back to 'slow'",
            id="another class",
        ),
        pytest.param(store("8Gi"), store("8192Mi"), (), FINAL.cause, id="the same"),
        pytest.param(
            store("8Gi", accessModes=["a"]),
            store("9Gi", accessModes=["b"]),
            (volume("8Gi"),),
            FINAL.cause,
            id="more than the size",
        ),
        pytest.param(
            obj("StatefulSet", "shop-mongodb", spec={}), store("8Gi"), (), FINAL.cause, id="new"
        ),
        pytest.param(
            store("8Gi"),
            store("9Gi"),
            (volume("8Gi", labels={}),),
            "PersistentVolumeClaim/data-shop-mongodb-0: it is not ours; make it grow by hand, "
            "or put storage back to '8Gi'",
            id="a stranger's",
        ),
        pytest.param(
            store("8Gi"),
            store("9Gi"),
            (volume("8Gi", labels=labels_of("other", "mongodb")),),
            "PersistentVolumeClaim/data-shop-mongodb-0: it is not ours; make it grow by hand, "
            "or put storage back to '8Gi'",
            id="another app's",
        ),
    ],
)
def test_plan_refuses_what_it_cannot_do_to_a_volume(
    before: Object, after: Object, claims: tuple[Object, ...], why: str
) -> None:
    """With a way out, and without a step towards it."""
    reason = f"it holds data and cannot change in place: {why}"
    refuse = Refuse(key=key_of(after), reason=reason)
    assert (refuse,) == steps(after, asked(after, live(before, ours()), *claims))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(
            NO_GROWTH,
            "its StorageClass slow lets no volume grow; kubectl patch storageclass slow "
            """-p '{"allowVolumeExpansion":true}' if its driver can, """
            "or put storage back to '8Gi'",
            id="class",
        ),
        pytest.param(
            QUOTA,
            "the server does not let it grow: exceeded quota: small; mend that, "
            "or put storage back to '8Gi'",
            id="quota",
        ),
    ],
)
def test_plan_says_why_a_volume_cannot_grow(error: Refused, words: str) -> None:
    """A StatefulSet of another size is refused; one that is as it should be is not held up."""
    new, claim = store("9Gi"), volume("8Gi")
    there = asked(new, live(store("8Gi"), ours()), claim, refused=error)
    why = f"it holds data and cannot change in place: {key_of(claim)}: {words}"
    assert (Refuse(key=key_of(new), reason=why),) == steps(new, there)
    there = asked(new, claim, refused=error, rejected=False)
    kept, created = steps(new, there)
    assert Keep(key=key_of(claim), reason=f"it stays at 8Gi: {words}") == kept
    assert "create" == created.verb


def test_plan_deletes_no_stateful_set_whose_volumes_would_follow() -> None:
    """Nothing hangs on whether the orphaning works in time."""
    new, old = store("9Gi"), live(store("8Gi"), ours())
    policy = {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}
    old = {**old, "spec": {**old["spec"], **policy}}
    (step,) = steps(new, asked(new, old, volume("8Gi")))
    assert isinstance(step, Refuse)
    assert step.reason.endswith(
        "put its persistentVolumeClaimRetentionPolicy back to whenDeleted: Retain first"
    )


@pytest.mark.parametrize(
    "names",
    [("data-shop-mongodb-1",), ("data-shop-mongodb-backup", "data-shop-mongodb-00")],
    ids=["a pod that is not wanted", "similar names"],
)
def test_plan_leaves_volumes_that_no_pod_uses(names: tuple[str, ...]) -> None:
    """Whatever their labels say."""
    new, old = store("9Gi"), live(store("8Gi"), ours())
    others = [volume("1Gi", name=name) for name in names]
    assert (around(new, old),) == steps(new, asked(new, old, *others))
    assert [volume("8Gi")["metadata"]["name"]] == [key.name for key in claims_of((new,))]


def test_plan_refuses_a_stateful_set_around_a_larger_volume() -> None:
    """From an earlier life of the app; but one that was there with that size comes back."""
    new = store("5Gi")
    there = asked(new, volume("10Gi"), rejected=False)
    why = "it finds a volume of before: a volume does not shrink: put storage back to '10Gi'"
    assert (Refuse(key=key_of(new), reason=why),) == steps(new, there)
    there = replace(there, baselines={key_of(new): Baseline(desired=new, fields=frozenset())})
    assert ["create"] == [it.verb for it in steps(new, there)]


@pytest.mark.parametrize("error", [FINAL, Invalid("x", "field can not be less than before")])
def test_plan_says_what_to_do_about_a_smaller_claim_of_a_manifest(error: ClusterError) -> None:
    """In the words of the others; Kubernetes names the field alone."""
    new = {**volume("1Gi"), "metadata": obj("x", "data-shop-mongodb-0")["metadata"]}
    old = {**volume("2Gi"), "metadata": live(new, ours())["metadata"]}
    rejected = {key_of(new): Preview(desired=new, answer=None, rejected=error)}
    there = Snapshot(live={key_of(old): old}, previews=rejected)
    why = "a volume does not shrink: put storage back to '2Gi'"
    assert (Refuse(key=key_of(new), reason=why),) == steps(new, there)


def test_plan_waits_with_a_stateful_set_whose_volume_is_being_deleted() -> None:
    """No step of ours ends the pod that still holds it."""
    leaving = volume("8Gi", deletionTimestamp="2026-01-02T03:04:05Z")
    new, old = store("9Gi"), live(store("8Gi"), ours())
    (hold,) = steps(new, asked(new, old, leaving))
    assert isinstance(hold, Hold)
    assert hold.reason == (
        "PersistentVolumeClaim/data-shop-mongodb-0 is being deleted, and its data goes with the "
        "next restart of the pod: save it first"
    )


def test_plan_leaves_a_volume_that_is_being_deleted() -> None:
    """It comes back with its new size, or not at all."""
    leaving = volume("8Gi", deletionTimestamp="2026-01-02T03:04:05Z")
    assert [] == [*growing_claims((store("9Gi"),), {key_of(leaving): leaving})]


def marked_store(storage: str) -> Object:
    """One whose claims get the labels of the app, as MongoDB's do."""
    wanted = store(storage)
    wanted["spec"]["volumeClaimTemplates"][0]["metadata"]["labels"] = labels_of("shop", "mongodb")
    return wanted


@pytest.mark.parametrize(
    ("claim", "size", "change"),
    [
        (volume("8Gi", labels={}), "8Gi", ("metadata.managedFields", None, "jac-converge")),
        (volume("9Gi", labels={}), "9Gi", ("metadata.managedFields", None, "jac-converge")),
        (volume("7Gi", labels={}), "8Gi", (SIZE, "7Gi", "8Gi")),
    ],
    ids=["the same size", "larger", "smaller"],
)
def test_adopt_puts_the_labels_on_a_volume(
    claim: Object, size: str, change: tuple[str, str | None, str]
) -> None:
    """With its size in the same apply, since an apply takes away what it leaves out."""
    new = marked_store("8Gi")
    there = asked(new, live(new, ours()), claim, rejected=False)
    there = replace(there, baselines={key_of(new): Baseline(desired=new, fields=frozenset())})
    marked = sized(size)
    marked["metadata"]["labels"] = labels_of("shop", "mongodb")
    path, before, after = change
    changes = (Change(path=path, before=before, after=after),)
    update = Update(desired=marked, live=claim, changes=changes)
    assert update == steps(new, there, Policy(adopt=True))[0]
    assert update not in steps(new, there)


@pytest.mark.parametrize("app", ["shop", "other"])
def test_adopt_leaves_a_volume_that_has_labels(app: str) -> None:
    """Ours, or another app's."""
    new, claim = marked_store("8Gi"), volume("8Gi", labels=labels_of(app, "mongodb"))
    there = asked(new, live(new, ours()), claim, rejected=False)
    there = replace(there, baselines={key_of(new): Baseline(desired=new, fields=frozenset())})
    assert (Keep(key=key_of(new)),) == steps(new, there, Policy(adopt=True))


@pytest.mark.parametrize(
    ("mode", "changes"),
    [("warn", (Change(path=SIZE, before="8Gi", after="9Gi"),)), ("off", ())],
)
def test_plan_leaves_a_volume_that_somebody_else_made_smaller(
    mode: Any, changes: tuple[Change, ...]
) -> None:
    """That jac.toml says another size is nothing new."""
    new, claim = store("9Gi"), volume("8Gi")
    there = replace(
        asked(new, live(new, ours()), claim, rejected=False),
        baselines={key_of(new): Baseline(desired=new, fields=frozenset())},
    )
    kept, _ = steps(new, there, Policy(mode=mode))
    reason = "drift is left alone ([converge.watch] mode)"
    told = mode == "warn"
    left = Keep(key=key_of(claim), reason=reason, left=True, changes=changes, told=told)
    assert left == kept
    assert grown(claim, "9Gi") == steps(new, there)[0]


@pytest.mark.parametrize(
    ("name", "waits"), [("data-shop-mongodb-0", True), ("uploads", False)], ids=["own", "other"]
)
def test_stateful_set_waits_for_its_own_volumes_alone(name: str, *, waits: bool) -> None:
    """A manifest's claim that cannot grow is nothing to it."""
    new = store("9Gi")
    step = around(new, live(store("8Gi"), ours()))
    assert waits == is_premature(step, {ObjectKey("PersistentVolumeClaim", name)})
