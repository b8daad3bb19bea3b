"""What is decided about every object, and what is never done."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jac_converge.reconciler.differences import Change, changes_between
from jac_converge.reconciler.drift import owned_fields
from jac_converge.reconciler.errors import ClusterError, Immutable, Invalid, Refused
from jac_converge.reconciler.objects import KINDS, Object, ObjectKey, key_of, kind_named
from jac_converge.reconciler.ownership import EXTRA, labels_of, owner_of
from jac_converge.reconciler.plan import make_plan, unsurveyed
from jac_converge.reconciler.snapshot import Baseline, Policy, Preview, Snapshot
from jac_converge.reconciler.steps import (
    Create,
    Delete,
    Hold,
    Keep,
    Plan,
    Recreate,
    Refuse,
    Step,
    Update,
)
from tests.unit.reconciler.live_objects import entry, live, obj, ours

REPLICAS = "f:spec/f:replicas"
DEPLOYMENT = obj("Deployment", spec={"replicas": 2})
SCALED = obj("Deployment", spec={})
SCALER = obj("HorizontalPodAutoscaler", spec={"minReplicas": 3, "maxReplicas": 9})
STORE = obj(
    "StatefulSet",
    "shop-mongodb",
    spec={"replicas": 1, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]},
)
UP = {"observedGeneration": 1, "replicas": 1, "readyReplicas": 1}
NAMESPACE = obj("Namespace", "prod")
HEAL = Policy()
WARN, OFF = Policy(mode="warn"), Policy(mode="off")


def seen(*there: Object, **more: Any) -> Snapshot:
    """A snapshot of live objects."""
    return Snapshot(live={key_of(it): it for it in there}, **more)


def accepted(desired: Object, *paths: str) -> dict[ObjectKey, Baseline]:
    """The server took this from us, and we owned these fields then."""
    fields = owned_fields(live(desired, ours(*paths)))
    return {key_of(desired): Baseline(desired=desired, fields=fields)}


def answered(desired: Object, answer: Object) -> dict[ObjectKey, Preview]:
    """A dry run was answered."""
    return {key_of(desired): Preview(desired=desired, answer=answer)}


def rejected(desired: Object, error: ClusterError | None) -> dict[ObjectKey, Preview]:
    """A dry run was rejected."""
    return {key_of(desired): Preview(desired=desired, answer=None, rejected=error)}


def plan(*desired: Object, there: Snapshot, policy: Policy = HEAL) -> Plan:
    """Plan the app `shop`."""
    return make_plan("shop", desired, there, policy)


def only_step(*desired: Object, there: Snapshot, policy: Policy = HEAL) -> Step:
    """The one step of a plan."""
    (step,) = plan(*desired, there=there, policy=policy).steps
    return step


# What is not there -------------------------------------------------------------------------------


def test_plan_creates_everything_in_rank_order_in_an_empty_cluster() -> None:
    """What others need goes first, however the desired objects are sorted."""
    kinds = ["PodDisruptionBudget", "Deployment", "Service", "Secret", "Namespace"]
    steps = plan(*(obj(kind, spec={}) for kind in kinds), there=seen()).steps
    assert [("create", kind) for kind in reversed(kinds)] == [(s.verb, s.key.kind) for s in steps]


@pytest.mark.parametrize(
    ("stores", "reason"),
    [
        pytest.param(seen(), "it is not there yet", id="absent"),
        pytest.param(
            seen(live(STORE, ours("f:spec"), generation=1), previews={}),
            "waiting for its controller to see the change",
            id="not ready",
        ),
    ],
)
def test_plan_holds_a_new_deployment_until_its_stores_are_up(stores: Snapshot, reason: str) -> None:
    """An app that starts before its database fails its first requests."""
    there = replace(stores, baselines=accepted(STORE, "f:spec"))
    step = plan(STORE, DEPLOYMENT, there=there).steps[-1]
    expected = Hold(key=key_of(DEPLOYMENT), reason=f"waits for StatefulSet/shop-mongodb: {reason}")
    assert expected == step


def test_plan_creates_the_deployment_when_its_stores_are_up() -> None:
    """The wait ends by itself."""
    up = {**live(STORE, ours("f:spec"), generation=1), "status": UP}
    there = seen(up, baselines=accepted(STORE, "f:spec"))
    assert ["keep", "create"] == [s.verb for s in plan(STORE, DEPLOYMENT, there=there).steps]


def test_plan_does_not_hold_a_deployment_that_is_there() -> None:
    """A store in trouble is no reason to leave the app as it should not be."""
    it = live(DEPLOYMENT, ours(), entry("kubectl-edit", REPLICAS))
    there = seen(it, baselines=accepted(DEPLOYMENT, REPLICAS))
    assert "update" == plan(STORE, DEPLOYMENT, there=there).steps[-1].verb


def test_plan_refuses_a_new_object_that_the_server_would_not_take() -> None:
    """Told before anything is written, so that nothing is left half applied."""
    step = only_step(DEPLOYMENT, there=seen(previews=rejected(DEPLOYMENT, Invalid("x", "too big"))))
    expected = Refuse(key=key_of(DEPLOYMENT), reason="the server does not accept it: too big")
    assert expected == step


TEMPLATE = {
    "metadata": {"annotations": {"jac-converge/config": "new"}},
    "spec": {
        "containers": [
            {
                "envFrom": [
                    {"configMapRef": {"name": "shop-config"}},
                    {"secretRef": {"name": "shop-secrets"}},
                ]
            }
        ]
    },
}
CONFIGURED = obj("Deployment", spec={"replicas": 2, "template": TEMPLATE})
CONFIG = obj("ConfigMap", "shop-config", data={"A": "new"})


@pytest.mark.parametrize("rolled", [None, "old", "new"])
def test_plan_holds_pods_back_from_a_configuration_that_is_refused(rolled: str | None) -> None:
    """They would roll, and read the old one; pods whose configuration is theirs may change."""
    template = {**TEMPLATE, "metadata": {"annotations": {"jac-converge/config": rolled}}}
    it = live({**CONFIGURED, "spec": {"replicas": 3, "template": template}}, ours("f:spec"))
    previews = rejected(CONFIG, Invalid("x", "too big"))
    if rolled:
        previews |= answered(CONFIGURED, live(CONFIGURED, ours("f:spec")))
    there = seen(*([it] if rolled else []), previews=previews)
    steps = plan(CONFIG, CONFIGURED, there=there).steps
    waits = "waits for ConfigMap/shop-config, which its pods read and was refused"
    assert ("refuse", rolled == "new") == (steps[0].verb, steps[1].verb == "update")
    assert [waits] == [getattr(steps[1], "reason", waits)]


def test_plan_puts_pods_back_although_their_configuration_is_refused() -> None:
    """What somebody else made of them is worse than a roll-out too many."""
    it = live(CONFIGURED, ours("f:spec/f:x"), entry("kubectl-edit", REPLICAS))
    previews = rejected(CONFIG, Invalid("x", "too big"))
    previews |= answered(CONFIGURED, live(CONFIGURED, ours(REPLICAS)))
    assert "update" == plan(CONFIG, CONFIGURED, there=seen(it, previews=previews)).steps[1].verb


# Whose it is -------------------------------------------------------------------------------------


STRANGER: Object = {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "shop", "uid": "1"}}
OTHERS = live(obj("Service", spec={}), ours("f:spec"))
OTHERS["metadata"]["labels"] = {**OTHERS["metadata"]["labels"], "app.kubernetes.io/instance": "pub"}


@pytest.mark.parametrize(
    ("found", "policy", "reason"),
    [
        pytest.param(
            STRANGER,
            Policy(),
            "it is not ours; take it over with --adopt, or rename the app",
            id="nobody's",
        ),
        pytest.param(
            OTHERS,
            Policy(),
            "it belongs to another app; choose another app_name",
            id="another app's",
        ),
        pytest.param(
            OTHERS,
            Policy(adopt=True),
            "it belongs to another app; choose another app_name",
            id="another app's, even to adopt",
        ),
    ],
)
def test_plan_refuses_what_is_not_ours(found: Object, policy: Policy, reason: str) -> None:
    """A name that happens to be the same gives no right to an object."""
    step = only_step(obj("Service"), there=seen(found), policy=policy)
    assert Refuse(key=ObjectKey("Service", "shop"), reason=reason) == step


def test_plan_takes_over_a_strangers_object_when_asked_to_adopt() -> None:
    """`--adopt` is the explicit wish."""
    desired = obj("Service")
    there = seen(STRANGER, previews=answered(desired, live(desired, ours("f:spec"))))
    assert "update" == only_step(desired, there=there, policy=Policy(adopt=True)).verb


@pytest.mark.parametrize("adopt", [False, True])
def test_plan_uses_a_namespace_that_was_there_before(*, adopt: bool) -> None:
    """It may hold what is none of this app's: it is used as it is, and never becomes ours."""
    found = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "prod", "uid": "1"}}
    step = only_step(NAMESPACE, there=seen(found), policy=Policy(adopt=adopt))
    assert Keep(key=key_of(NAMESPACE), reason="it was there before; used as it is") == step


def test_plan_uses_a_namespace_that_we_may_not_change() -> None:
    """Who may only work inside a namespace has no right to its labels."""
    there = seen(live(NAMESPACE, ours()), previews=rejected(NAMESPACE, Refused("x", "forbidden")))
    step = only_step(NAMESPACE, there=there)
    assert Keep(key=key_of(NAMESPACE), reason="we may not change it; used as it is") == step


# What is on its way out --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "finalizers"),
    [
        pytest.param({}, "none", id="no finalizer"),
        pytest.param({"finalizers": ["a/b", "c/d"]}, "a/b, c/d", id="finalizers"),
    ],
)
def test_plan_waits_for_an_object_that_is_being_deleted(
    metadata: Mapping[str, Any], finalizers: str
) -> None:
    """An apply would come to nothing; who holds the deletion up is told."""
    it = live(DEPLOYMENT, ours(REPLICAS), deletionTimestamp="now", **metadata)
    step = only_step(DEPLOYMENT, there=seen(it))
    reason = f"it is being deleted (finalizers: {finalizers})"
    assert Hold(key=key_of(DEPLOYMENT), reason=reason) == step


def test_plan_waits_for_a_leaver_that_is_being_deleted() -> None:
    """One deletion is enough."""
    it = live(obj("Service"), ours(), deletionTimestamp="now")
    assert Hold(key=key_of(it), reason="it is being deleted") == only_step(there=seen(it))


def test_plan_holds_everything_while_the_namespace_is_being_deleted() -> None:
    """Nothing can be created in it; everything is created again afterwards."""
    there = seen(
        live(NAMESPACE, ours(), deletionTimestamp="now"), live(obj("Service", "old"), ours())
    )
    reason = "the namespace is being deleted; everything is created again afterwards"
    assert Hold(key=key_of(NAMESPACE), reason=reason) == only_step(
        NAMESPACE, DEPLOYMENT, there=there
    )


def test_plan_tells_what_holds_the_namespace_up() -> None:
    """It has no finalizers of its own, but waits for those of what is in it."""
    told = "Some content in the namespace has finalizers remaining: a.example/b in 1 resource"
    condition = {"type": "NamespaceFinalizersRemaining", "status": "True", "message": told}
    leaving = live({**NAMESPACE, "status": {"conditions": [condition]}}, deletionTimestamp="now")
    step = only_step(NAMESPACE, there=seen(leaving))
    assert isinstance(step, Hold)
    assert f"the namespace is being deleted ({told}); everything is created" in step.reason


def test_plan_tells_what_data_goes_with_the_namespace() -> None:
    """It is what does not come back."""
    volume = live(obj("PersistentVolumeClaim", "data-shop-mongodb-0"))
    step = only_step(NAMESPACE, there=seen(live(NAMESPACE, ours(), deletionTimestamp="x"), volume))
    assert isinstance(step, Hold)
    assert f"with the data of {key_of(volume)}; all else is created again" in step.reason


# Drift -------------------------------------------------------------------------------------------


EDITED = live(
    {**DEPLOYMENT, "spec": {"replicas": 5}}, ours(), entry("kubectl-edit", REPLICAS, time="T1")
)


def test_plan_keeps_what_is_as_it_was_accepted() -> None:
    """A steady state writes nothing."""
    there = seen(live(DEPLOYMENT, ours(REPLICAS)), baselines=accepted(DEPLOYMENT, REPLICAS))
    assert Keep(key=key_of(DEPLOYMENT)) == only_step(DEPLOYMENT, there=there)


def test_plan_heals_a_field_that_somebody_took() -> None:
    """By ownership alone, without asking the server; who and when come along."""
    step = only_step(DEPLOYMENT, there=seen(EDITED, baselines=accepted(DEPLOYMENT, REPLICAS)))
    assert isinstance(step, Update)
    assert (Change(path="spec.replicas", before=5, after=2),) == step.changes
    assert step.drift is not None
    assert (("kubectl-edit",), "T1") == (step.drift.rivals, step.drift.at)


def test_plan_removes_what_somebody_put_beside_ours() -> None:
    """A sidecar takes no field of ours, and is drift all the same."""
    path = 'f:spec/f:template/f:spec/f:containers/k:{"name":"spy"}/f:image'
    it = live(DEPLOYMENT, ours(REPLICAS), entry("kubectl-edit", path))
    step = only_step(DEPLOYMENT, there=seen(it, baselines=accepted(DEPLOYMENT, REPLICAS)))
    assert isinstance(step, Update)
    assert ["spec.template.spec.containers[spy].image"] == [c.path for c in step.changes]


def test_plan_tells_which_item_of_a_set_goes() -> None:
    """Such as a finalizer; its path alone says no more than that something was there."""
    it = live(DEPLOYMENT, ours(REPLICAS), finalizers=["a.example/b"])
    added: dict[str, Any] = {"f:metadata": {"f:finalizers": {'v:"a.example/b"': {}}}}
    it["metadata"]["managedFields"].append({**entry("kubectl-edit"), "fieldsV1": added})
    step = only_step(DEPLOYMENT, there=seen(it, baselines=accepted(DEPLOYMENT, REPLICAS)))
    assert isinstance(step, Update)
    assert [("a.example/b", None)] == [(c.before, c.after) for c in step.changes]


@pytest.mark.parametrize("surveyed", [False, True], ids=["by ownership", "by a dry run"])
def test_plan_leaves_drift_alone_but_tells_it_when_told_to_warn(*, surveyed: bool) -> None:
    """`mode = "warn"`: reported, not repaired."""
    previews = answered(DEPLOYMENT, live(DEPLOYMENT, ours(REPLICAS))) if surveyed else {}
    there = seen(EDITED, baselines=accepted(DEPLOYMENT, REPLICAS), previews=previews)
    step = only_step(DEPLOYMENT, there=there, policy=WARN)
    assert isinstance(step, Keep)
    assert "drift is left alone ([converge.watch] mode)" == step.reason
    assert step.drift is not None
    assert (("kubectl-edit",), True) == (step.drift.rivals, step.told)
    assert (Change(path="spec.replicas", before=5, after=2),) == step.changes


def test_plan_tells_no_drift_when_it_is_switched_off() -> None:
    """`mode = "off"`: neither repaired nor reported."""
    there = seen(EDITED, baselines=accepted(DEPLOYMENT, REPLICAS))
    step = only_step(DEPLOYMENT, there=there, policy=OFF)
    reason = "drift is left alone ([converge.watch] mode)"
    assert Keep(key=key_of(DEPLOYMENT), reason=reason, left=True) == step


PAUSED = "f:spec/f:paused"
WANTED = obj("Deployment", spec={"replicas": 2, "paused": True})


@pytest.mark.parametrize(
    ("found", "verb"),
    [
        (live(WANTED, ours(REPLICAS, PAUSED)), "keep"),
        (live(WANTED, ours(PAUSED), entry("helm", REPLICAS)), "keep"),
        (
            live(
                {**WANTED, "spec": {"replicas": 5, "paused": True}},
                ours(PAUSED),
                entry("kubectl-edit", REPLICAS),
            ),
            "keep",
        ),
        (
            live({**WANTED, "spec": {"replicas": 5, "paused": True}}, ours(REPLICAS, PAUSED)),
            "update",
        ),
        (live(DEPLOYMENT, ours(REPLICAS)), "update"),
        (
            live(
                {**WANTED, "spec": {**WANTED["spec"], "x": 1}}, ours(REPLICAS, PAUSED, "f:spec/f:x")
            ),
            "update",
        ),
        (live(WANTED, entry("helm", REPLICAS, PAUSED)), "update"),
    ],
    ids=["same", "owner", "drift", "edit", "gained", "left", "never ours"],
)
def test_plan_tells_drift_from_an_edit_before_anything_was_accepted(
    found: Object, verb: str
) -> None:
    """At the start of a loop that heals nothing: by who owns what differs."""
    previews = answered(WANTED, live(WANTED, ours(REPLICAS, PAUSED)))
    assert verb == only_step(WANTED, there=seen(found, previews=previews), policy=WARN).verb


def test_plan_leaves_a_deleted_object_deleted_when_told_to_warn() -> None:
    """A deletion is drift like any other."""
    there = seen(baselines=accepted(DEPLOYMENT, REPLICAS))
    reason = "it was deleted; drift is left alone ([converge.watch] mode)"
    expected = Keep(key=key_of(DEPLOYMENT), reason=reason, left=True, told=True)
    assert expected == only_step(DEPLOYMENT, there=there, policy=WARN)


def test_plan_recreates_nothing_that_drifted_when_told_to_warn() -> None:
    """What somebody replaced by an object that cannot be changed back is only told."""
    there = seen(
        EDITED,
        baselines=accepted(DEPLOYMENT, REPLICAS),
        previews=rejected(DEPLOYMENT, Immutable("x", "selector")),
    )
    assert "keep" == only_step(DEPLOYMENT, there=there, policy=WARN).verb


@pytest.mark.parametrize("policy", [Policy(), WARN], ids=["heal", "warn"])
def test_plan_applies_an_edit_of_jac_toml_whatever_the_mode(policy: Policy) -> None:
    """What the user wants now is no drift."""
    wanted = obj("Deployment", spec={"replicas": 4})
    there = seen(
        live(DEPLOYMENT, ours(REPLICAS)),
        baselines=accepted(DEPLOYMENT, REPLICAS),
        previews=answered(wanted, live(wanted, ours(REPLICAS))),
    )
    step = only_step(wanted, there=there, policy=policy)
    assert isinstance(step, Update)
    assert ((Change(path="spec.replicas", before=2, after=4),), None) == (step.changes, step.drift)


def test_plan_calls_a_field_that_jac_toml_gained_no_drift() -> None:
    """Nobody owns it yet, and nobody took it."""
    wanted = obj("Deployment", spec={"replicas": 2, "paused": True})
    there = seen(
        live(DEPLOYMENT, ours(REPLICAS)),
        previews=answered(wanted, live(wanted, ours(REPLICAS, "f:spec/f:paused"))),
    )
    step = only_step(wanted, there=there)
    assert isinstance(step, Update)
    assert step.drift is None


def test_plan_calls_a_field_that_somebody_removed_drift_on_a_resync() -> None:
    """Nobody holds what is gone, but the server had accepted it from us."""
    there = seen(
        live(obj("Deployment", spec={}), ours("f:spec/f:paused")),
        baselines=accepted(DEPLOYMENT, REPLICAS, "f:spec/f:paused"),
        previews=answered(DEPLOYMENT, live(DEPLOYMENT, ours(REPLICAS, "f:spec/f:paused"))),
    )
    step = only_step(DEPLOYMENT, there=there)
    assert isinstance(step, Update)
    assert step.drift is not None
    assert ((("f:spec", "f:replicas"),), ()) == (step.drift.lost, step.drift.rivals)


def test_plan_removes_a_field_that_left_jac_toml() -> None:
    """We own more than we want: the server's own answer shows it gone."""
    before = obj("ConfigMap", data={"ONE": "1", "TWO": "2"})
    wanted = obj("ConfigMap", data={"ONE": "1"})
    there = seen(
        live(before, ours("f:data/f:ONE", "f:data/f:TWO")),
        baselines=accepted(before, "f:data/f:ONE", "f:data/f:TWO"),
        previews=answered(wanted, live(wanted, ours("f:data/f:ONE"))),
    )
    step = only_step(wanted, there=there)
    assert isinstance(step, Update)
    told = (Change(path="data.TWO", before="2", after=None),)
    assert (told, None) == (step.changes, step.drift)


def test_plan_tells_a_heal_and_an_edit_of_one_object_apart() -> None:
    """Somebody edited the cluster, and somebody jac.toml."""
    ports = "f:data/f:PORT"
    before = obj("ConfigMap", data={"PORT": "80", "HOST": "a"})
    wanted = obj("ConfigMap", data={"PORT": "80", "HOST": "b"})
    it = live(
        obj("ConfigMap", data={"PORT": "81", "HOST": "a"}),
        ours("f:data/f:HOST"),
        entry("kubectl-edit", ports),
    )
    there = seen(
        it,
        baselines=accepted(before, ports, "f:data/f:HOST"),
        previews=answered(wanted, live(wanted, ours(ports, "f:data/f:HOST"))),
    )
    step = only_step(wanted, there=there)
    assert isinstance(step, Update)
    healed = Change(path="data.PORT", before="81", after="80")
    edited = Change(path="data.HOST", before="a", after="b")
    assert ((healed, edited), (edited,)) == (step.changes, step.edits)


def test_plan_sees_on_a_resync_that_ownership_changed_and_no_value_did() -> None:
    """Somebody wrote over our field what we had written: it is ours to hold, not theirs."""
    it = live(DEPLOYMENT, ours(), entry("helm", REPLICAS))
    there = seen(
        it,
        baselines=accepted(DEPLOYMENT, REPLICAS),
        previews=answered(DEPLOYMENT, live(DEPLOYMENT, ours(REPLICAS))),
    )
    step = only_step(DEPLOYMENT, there=there)
    assert isinstance(step, Update)
    told = Change(path="metadata.managedFields", before="helm", after="jac-converge")
    assert ((told,), True, "no restart") == (step.changes, step.takes_over, step.effect)


# What the server rejects -------------------------------------------------------------------------


def test_plan_recreates_what_holds_no_data_when_a_field_cannot_change() -> None:
    """A selector cannot be changed in place; a Deployment can be made anew."""
    it = live(DEPLOYMENT, ours(REPLICAS))
    error = Immutable("x", "spec.selector: field is immutable")
    step = only_step(DEPLOYMENT, there=seen(it, previews=rejected(DEPLOYMENT, error)))
    assert Recreate(desired=DEPLOYMENT, live=it, reason=error.cause) == step


def test_plan_recreates_what_somebody_made_immutable() -> None:
    """A dry run accepts it, since an apply leaves what it does not name; taking it back fails."""
    config = obj("ConfigMap", data={"ONE": "1"})
    sealed = live({**config, "immutable": True}, ours("f:data/f:ONE"), entry("x", "f:immutable"))
    there = seen(
        sealed,
        baselines=accepted(config, "f:data/f:ONE"),
        previews=answered(config, sealed),
    )
    reason = "somebody set immutable: true"
    assert Recreate(desired=config, live=sealed, reason=reason) == only_step(config, there=there)


def test_plan_refuses_to_recreate_what_holds_data() -> None:
    """A StatefulSet's volumes are worth more than an edit."""
    there = seen(live(STORE, ours()), previews=rejected(STORE, Immutable("x", "forbidden")))
    reason = "it holds data and cannot change in place: forbidden"
    assert Refuse(key=key_of(STORE), reason=reason) == only_step(STORE, there=there)


def test_plan_tells_how_to_make_a_secret_anew() -> None:
    """It is not deleted unasked, though nothing in it would be lost."""
    secret = obj("Secret", data={"KEY": "MQ=="})
    error = Immutable("x", "data: Forbidden: field is immutable")
    step = only_step(secret, there=seen(live(secret, ours()), previews=rejected(secret, error)))
    assert isinstance(step, Refuse)
    assert step.reason.startswith(f"it cannot change in place: {error.cause}; make it anew: ")
    assert f"kubectl get secret {secret['metadata']['name']} --namespace default " in step.reason


def test_plan_asks_who_owns_what_when_nobody_does() -> None:
    """Without managedFields nothing tells what is in the way of a change."""
    it = live(DEPLOYMENT)
    error = Invalid("x", "ports[1].name: Duplicate value")
    step = only_step(DEPLOYMENT, there=seen(it, previews=rejected(DEPLOYMENT, error)))
    assert isinstance(step, Update)
    assert {"apiVersion", "kind", "metadata"} == step.desired.keys()
    assert ("metadata.managedFields",) == tuple(change.path for change in step.changes)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        pytest.param(Invalid("x", "must be >= 0"), "must be >= 0", id="told"),
        pytest.param(None, "the server did not say why", id="untold"),
    ],
)
def test_plan_refuses_what_the_server_does_not_accept(
    error: ClusterError | None, cause: str
) -> None:
    """Known before anything is written."""
    there = seen(live(DEPLOYMENT, ours(REPLICAS)), previews=rejected(DEPLOYMENT, error))
    reason = f"the server does not accept it: {cause}"
    assert Refuse(key=key_of(DEPLOYMENT), reason=reason) == only_step(DEPLOYMENT, there=there)


def test_plan_takes_over_what_makes_the_server_reject_ours() -> None:
    """A port whose number somebody changed stands beside ours under the same name."""
    desired = obj("Service", spec={"ports": [{"port": 80, "name": "http"}]})
    path = 'f:spec/f:ports/k:{"port":8080,"protocol":"TCP"}/f:name'
    it = live({**desired, "spec": {"ports": [{"port": 8080, "name": "http"}]}}, ours())
    it["metadata"]["managedFields"].append(entry("kubectl-edit", path))
    error = Invalid("x", 'spec.ports[1].name: Duplicate value: "http"')
    step = only_step(desired, there=seen(it, previews=rejected(desired, error)))
    assert isinstance(step, Update)
    assert (Change(path="spec.ports[8080,TCP].name", before="http", after=None),) == step.changes


# Replicas and the autoscaler ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("desired", "replicas"),
    [
        pytest.param((SCALED, SCALER), 3, id="the autoscaler's minimum"),
        pytest.param((DEPLOYMENT, SCALER), None, id="a count of our own"),
        pytest.param((SCALED,), None, id="nobody's count"),
        pytest.param(
            (SCALED, obj("HorizontalPodAutoscaler", spec={"minReplicas": 1, "maxReplicas": 9})),
            None,
            id="one, which is the default",
        ),
    ],
)
def test_plan_starts_an_autoscaled_app_with_its_fewest_pods(
    desired: tuple[Object, ...], replicas: int | None
) -> None:
    """An autoscaler that needs metrics first must not begin with one pod."""
    step = plan(*desired, there=seen()).steps[0]
    assert isinstance(step, Create)
    assert replicas == step.replicas


def test_plan_hands_the_live_count_over_when_autoscaling_comes() -> None:
    """To let go of the count alone would set it to 1."""
    it = live(obj("Deployment", spec={"replicas": 6}), ours(REPLICAS))
    answer = live(obj("Deployment", spec={"replicas": 1}), ours())
    step = plan(SCALED, SCALER, there=seen(it, previews=answered(SCALED, answer))).steps[0]
    assert isinstance(step, Update)
    assert 6 == step.replicas
    told = Change(path="spec.replicas", before=6, after="as the autoscaler decides")
    assert ((told,), None) == (step.changes, step.drift)


def test_plan_hands_nothing_over_when_the_count_is_not_ours() -> None:
    """The autoscaler has it already."""
    it = live(obj("Deployment", spec={"replicas": 6, "paused": True}), ours("f:spec/f:paused"))
    answer = live(obj("Deployment", spec={"replicas": 6}), ours())
    step = only_step(SCALED, there=seen(it, previews=answered(SCALED, answer)))
    assert isinstance(step, Update)
    assert step.replicas is None


def test_plan_deletes_the_autoscaler_before_the_deployment_gets_its_own_count() -> None:
    """Else the two fight for as long as both are there."""
    scaler = live(SCALER, ours())
    it = live(obj("Deployment", spec={"replicas": 6}), ours())
    old = live(obj("Service", "old"), ours())
    there = seen(scaler, it, old, previews=answered(DEPLOYMENT, live(DEPLOYMENT, ours(REPLICAS))))
    steps = plan(DEPLOYMENT, there=there).steps
    assert [
        ("delete", "HorizontalPodAutoscaler"),
        ("update", "Deployment"),
        ("delete", "Service"),
    ] == [(step.verb, step.key.kind) for step in steps]


# Prune -------------------------------------------------------------------------------------------


def test_plan_deletes_only_leavers_that_are_ours() -> None:
    """Strangers and other apps in the same namespace are none of our business."""
    mine = live(obj("Service", "old"), ours())
    others = {**OTHERS, "metadata": {**OTHERS["metadata"], "name": "b"}}
    stranger = {**STRANGER, "metadata": {"name": "c", "uid": "3"}}
    assert Delete(live=mine) == only_step(there=seen(mine, others, stranger))


@pytest.mark.parametrize("kind", ["Namespace", "Secret", "PersistentVolumeClaim"])
def test_plan_keeps_data_unless_told_otherwise(kind: str) -> None:
    """What cannot be made again goes by `--destroy --data` only."""
    it = live(obj(kind, "old"), ours())
    reason = "it holds data; only --destroy --data deletes it"
    assert Keep(key=key_of(it), reason=reason) == only_step(there=seen(it))
    assert Delete(live=it) == only_step(there=seen(it), policy=Policy(data=True))


def test_plan_leaves_the_volumes_of_desired_stores_alone() -> None:
    """They are not in jac.toml, and leave it no more than their StatefulSet does."""
    used = live(obj("PersistentVolumeClaim", "data-shop-mongodb-0"), ours())
    left = live(obj("PersistentVolumeClaim", "data-shop-other-0"), ours())
    plain = obj("StatefulSet", "shop-redis", spec={"replicas": 1})
    steps = plan(STORE, plain, there=seen(used, left), policy=Policy(data=True)).steps
    assert [Delete(live=left)] == [step for step in steps if not isinstance(step, Create)]


def test_plan_deletes_a_secret_that_left_the_manifests() -> None:
    """It is still where it came from; what we minted ourselves is nowhere else."""
    ours_own = live(obj("Secret", "shop-credentials"), ours())
    theirs = live(obj("Secret", "keys"), ours())
    theirs["metadata"]["labels"] = labels_of("shop", EXTRA)
    steps = plan(there=seen(ours_own, theirs)).steps
    assert [Delete(live=theirs)] == [step for step in steps if isinstance(step, Delete)]


def test_plan_takes_manifests_last_and_deletes_them_first() -> None:
    """Whatever their kind: they may need the app, and it needs none of them."""
    extra = obj("ConfigMap", "colours")
    extra["metadata"]["labels"] = labels_of("shop", EXTRA)
    mine = obj("Ingress")
    created = [step.key.kind for step in plan(extra, mine, there=seen()).writes]
    assert ["Ingress", "ConfigMap"] == created
    there = seen(live(mine, ours()), live(extra, ours()))
    assert ["ConfigMap", "Ingress"] == [step.key.kind for step in plan(there=there).writes]


def test_plan_of_nothing_desired_is_a_destroy() -> None:
    """Everything of ours goes, in reverse order; data stays."""
    there = seen(*(live(obj(kind.name), ours()) for kind in KINDS))
    steps = plan(there=there).steps
    deleted = [step.key.kind for step in steps if isinstance(step, Delete)]
    kept = {step.key.kind for step in steps if isinstance(step, Keep)}
    assert {"Namespace", "Secret", "PersistentVolumeClaim"} == kept
    assert "HorizontalPodAutoscaler" == deleted[0]
    ranks = [kind_named(kind).rank for kind in deleted[1:]]
    assert sorted(ranks, reverse=True) == ranks


# The plan as a whole -----------------------------------------------------------------------------


def test_plan_sorts_its_steps_by_what_they_need() -> None:
    """Writes, refusals and waits are told apart by their type."""
    steps: tuple[Step, ...] = (
        create := Create(desired=DEPLOYMENT),
        Keep(key=key_of(STORE)),
        hold := Hold(key=key_of(STORE), reason="x"),
        refuse := Refuse(key=key_of(STORE), reason="x"),
        delete := Delete(live=live(STORE)),
        recreate := Recreate(desired=DEPLOYMENT, live=live(DEPLOYMENT), reason="x"),
    )
    it = Plan(steps=steps)
    assert ((create, delete, recreate), (hold,), (refuse,)) == (it.writes, it.holds, it.refusals)
    assert key_of(DEPLOYMENT) == recreate.key


@pytest.mark.parametrize(
    ("kind", "path", "effect"),
    [
        pytest.param("Deployment", "spec.template.spec.x", "rolling restart", id="template"),
        pytest.param("StatefulSet", "spec.template", "rolling restart", id="store template"),
        pytest.param("Deployment", "spec.replicas", "no restart", id="count"),
        pytest.param("ConfigMap", "spec.template.x", "no restart", id="no workload"),
        pytest.param(
            "PersistentVolumeClaim",
            "spec.resources.requests.storage",
            "needs volume expansion",
            id="volume",
        ),
        pytest.param("PersistentVolumeClaim", "metadata.labels.a", "no restart", id="its label"),
    ],
)
def test_update_says_what_running_pods_will_notice(kind: str, path: str, effect: str) -> None:
    """A person decides by that whether now is a good time."""
    changes = (Change(path=path, before=1, after=2),)
    assert effect == Update(desired=obj(kind), live=live(obj(kind)), changes=changes).effect


def test_unsurveyed_is_what_the_server_was_not_asked_about() -> None:
    """There, and new to us or wanted otherwise; an absent object has nothing to compare."""
    absent, known, unknown = obj("Service"), obj("Secret"), obj("ConfigMap")
    edited = obj("Deployment", spec={"replicas": 9})
    there = seen(
        *(live(it) for it in (known, unknown, DEPLOYMENT)),
        baselines=accepted(known) | accepted(DEPLOYMENT),
    )
    assert (unknown, edited) == unsurveyed((absent, known, unknown, edited), there)


# Whatever is there -------------------------------------------------------------------------------


@st.composite
def found_objects(draw: st.DrawFn) -> Object:
    """An object of any kind and anybody, in any condition."""
    kind = draw(st.sampled_from(KINDS)).name
    it = obj(kind, draw(st.sampled_from(["shop", "a", "data-shop-0"])), spec={"replicas": 1})
    labels = it["metadata"]["labels"]
    for label in draw(st.sets(st.sampled_from(sorted(labels)))):
        labels[label] = draw(st.sampled_from(["shop", "pub", ""]))
    managers = draw(st.lists(st.sampled_from(["jac-converge", "helm"]), unique=True))
    leaving = {"deletionTimestamp": "now"} if draw(st.booleans()) else {}
    return live(it, *(entry(manager, "f:spec/f:replicas") for manager in managers), **leaving)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[tuple[Object, ...], Snapshot, Policy]:
    """Anything desired, anything there, any answer of the server's, any policy."""
    there = draw(st.lists(found_objects(), unique_by=key_of, max_size=6))
    names = st.sampled_from(["shop", "a"])
    kinds = st.sampled_from([k.name for k in KINDS if k.name != "PersistentVolumeClaim"])
    keys = draw(st.lists(st.tuples(kinds, names), unique=True, max_size=6))
    spec = {"replicas": 1, "minReplicas": 1, "template": TEMPLATE}
    desired = tuple(obj(kind, name, spec=spec) for kind, name in keys)
    answers = st.sampled_from(["same", Invalid("x", "no"), Immutable("x", "no"), None])
    previews: dict[ObjectKey, Preview] = {}
    for it in unsurveyed(desired, seen(*there)):
        answer = draw(answers)
        same = live(it, ours("f:spec/f:replicas")) if answer == "same" else None
        error = answer if isinstance(answer, ClusterError) else None
        previews[key_of(it)] = Preview(desired=it, answer=same, rejected=error)
    policy = Policy(
        adopt=draw(st.booleans()),
        mode=draw(st.sampled_from(["heal", "warn", "off"])),
        data=draw(st.booleans()),
    )
    return desired, seen(*there, previews=previews), policy


@given(worlds())
def test_plan_never_touches_what_is_not_ours(
    world: tuple[tuple[Object, ...], Snapshot, Policy],
) -> None:
    """Deleted or made anew: only our own; written over: that too, unless adopted; data: if told."""
    desired, there, policy = world
    for step in make_plan("shop", desired, there, policy).writes:
        if isinstance(step, Create):
            assert step.key not in there.live
            continue
        owner = owner_of(step.live, "shop")
        adoptable = policy.adopt and owner == "nobody" and not isinstance(step, Delete)
        assert owner == "us" or adoptable
        if isinstance(step, Delete):
            assert policy.data or kind_named(step.key.kind).prune == "prune"
            assert step.key not in {key_of(it) for it in desired}


@given(worlds())
def test_plan_has_one_step_for_each_object_in_order(
    world: tuple[tuple[Object, ...], Snapshot, Policy],
) -> None:
    """Writes by ascending rank, deletes by descending; nothing desired is forgotten."""
    desired, there, policy = world
    it = make_plan("shop", desired, there, policy)
    keys = [step.key for step in it.steps]
    held = isinstance(it.steps[0], Hold) and it.steps[0].key.kind == "Namespace" if keys else False
    assert len(set(keys)) == len(keys)
    assert held or {key_of(wanted) for wanted in desired} <= set(keys)
    made = [kind_named(s.key.kind).rank for s in it.writes if not isinstance(s, Delete)]
    gone = [
        (s.key.kind == "HorizontalPodAutoscaler", kind_named(s.key.kind).rank)
        for s in it.writes
        if isinstance(s, Delete)
    ]
    assert sorted(made) == made
    assert sorted(gone, reverse=True) == gone


@given(worlds())
def test_plan_of_a_converged_cluster_has_no_writes(
    world: tuple[tuple[Object, ...], Snapshot, Policy],
) -> None:
    """What was accepted and is as it was is left alone, under any policy."""
    desired, _, policy = world
    converged = [live(it, ours("f:spec/f:replicas")) for it in desired]
    baselines = {
        key_of(it): Baseline(desired=wanted, fields=owned_fields(it))
        for it, wanted in zip(converged, desired, strict=True)
    }
    for previews in ({}, {key_of(it): Preview(desired=it, answer=it) for it in converged}):
        there = seen(*converged, baselines=baselines, previews=previews)
        assert all(not changes_between(it, it) for it in converged)
        assert () == make_plan("shop", desired, there, policy).writes


def test_plan_keeps_the_record_of_the_releases_as_long_as_the_app() -> None:
    """It is no part of the desired state, and no leftover; with the app it goes."""
    record = live(obj("ConfigMap", "shop-releases"), ours("f:binaryData"))
    there = seen(record)
    verbs = [step.verb for step in make_plan("shop", (obj("Service"),), there, HEAL).steps]
    assert ["create"] == verbs
    (gone,) = make_plan("shop", (), there, HEAL).steps
    assert Delete(live=record) == gone
