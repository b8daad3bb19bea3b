"""What a person and a program get to read, and that no secret is in it."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jac_converge.reconciler.apply import Outcome, Result
from jac_converge.reconciler.drift import Change, Drift, changes_between
from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.health import Health
from jac_converge.reconciler.objects import Object, ObjectKey
from jac_converge.reconciler.render import (
    Heal,
    Row,
    applied_lines,
    heal_json,
    heal_line,
    heal_of,
    healed_briefly,
    left_line,
    outcome_json,
    plan_json,
    plan_lines,
    plan_summary,
    result_line,
    row_json,
    status_lines,
    step_json,
    summary_of,
    worst,
)
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
from tests.unit.reconciler.live_objects import live, obj, ours

DRIFT = Drift(
    lost=(("f:spec", "f:replicas"),), added=(), rivals=("kubectl-edit",), at="2026-01-02T03:04:05Z"
)
COUNT = Change(path="spec.replicas", before=5, after=2)
DEPLOYMENT = obj("Deployment", spec={"replicas": 2})
STORE = obj("StatefulSet")
AROUND = Recreate(desired=STORE, live=live(STORE), reason="why", leaves_pods=True)


def update(*changes: Change, kind: str = "Deployment", drift: Drift | None = None) -> Update:
    """An update of an object called `shop`."""
    return Update(desired=obj(kind), live=live(obj(kind), ours()), changes=changes, drift=drift)


def result(step: Create | Update | Recreate | Delete, error: Invalid | None = None) -> Result:
    """What became of a step, at second 100."""
    return Result(step=step, at=100.0, error=error)


# A plan ------------------------------------------------------------------------------------------

ANNOTATION = "spec.template.metadata.annotations"
EVERY_STEP = Plan(
    steps=(
        Create(desired=obj("Service")),
        update(COUNT, kind="Deployment", drift=DRIFT),
        update(
            *(Change(path=f"{ANNOTATION}.{n}", before=None, after="x" * 61) for n in range(10)),
            kind="StatefulSet",
        ),
        update(
            Change(path="data.A", before="b2xk", after="bmV3"),
            Change(path="data.B", before="bmV3", after=None),
            kind="Secret",
        ),
        Recreate(desired=obj("Deployment", "b"), live=live(obj("Deployment", "b")), reason="why"),
        Keep(key=ObjectKey("ConfigMap", "shop-config")),
        Keep(key=ObjectKey("Namespace", "prod"), reason="it was there before; used as it is"),
        Hold(key=ObjectKey("Deployment", "c"), reason="waits for StatefulSet/x"),
        Refuse(key=ObjectKey("Service", "d"), reason="it is not ours"),
        Delete(live=live(obj("Service", "old"))),
        AROUND,
    )
)
GOLDEN = f"""\
+ create   Service/shop
~ update   Deployment/shop (no restart; changed by kubectl-edit)
             spec.replicas: 5 -> 2
~ update   StatefulSet/shop (rolling restart)
             {ANNOTATION}.0: (none) -> {"x" * 57}...
             {ANNOTATION}.1: (none) -> {"x" * 57}...
             {ANNOTATION}.2: (none) -> {"x" * 57}...
             {ANNOTATION}.3: (none) -> {"x" * 57}...
             {ANNOTATION}.4: (none) -> {"x" * 57}...
             {ANNOTATION}.5: (none) -> {"x" * 57}...
             {ANNOTATION}.6: (none) -> {"x" * 57}...
             {ANNOTATION}.7: (none) -> {"x" * 57}...
             and 2 more
~ update   Secret/shop (no restart)
             data.A: (secret #1) -> (secret #2)
             data.B: (secret #2) -> (none)
! recreate Deployment/b (deleted and created again: why)
= keep     Namespace/prod: it was there before; used as it is
. hold     Deployment/c: waits for StatefulSet/x
x refuse   Service/d: it is not ours
- delete   Service/old
! recreate StatefulSet/shop (created again around its pods: why)
1 to create, 3 to update, 2 to recreate, 1 to delete, 1 waiting, 1 refused, 2 unchanged"""


TAKEN = Drift(lost=(("f:spec",),), added=(), rivals=("kubectl",), at=None)
HANDS = Change(path="metadata.managedFields", before="kubectl", after="jac-converge")


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        pytest.param(("Service",), "Service/shop", id="one"),
        pytest.param(("Service", "Deployment"), "2 objects", id="two"),
    ],
)
def test_plan_tells_in_one_line_what_only_changes_hands(kinds: tuple[str, ...], told: str) -> None:
    """A page of values that stay as they are would say nothing."""
    plan = Plan(steps=tuple(update(HANDS, kind=kind, drift=TAKEN) for kind in kinds))
    expected = [
        f"~ take over {told} from kubectl (no restart; every value stays)",
        f"{len(kinds)} to take over, 0 unchanged",
    ]
    assert expected == plan_lines(plan)
    taken = result(update(HANDS, kind="Service", drift=TAKEN))
    line = "Service/shop taken over from kubectl (no restart; every value stays)"
    assert (line, None) == (result_line(taken), heal_of(taken, 99.0, known=True))


def test_plan_lines_show_every_kind_of_step() -> None:
    """One line a step, its changes below it, and the sum at the end."""
    assert GOLDEN.splitlines() == plan_lines(EVERY_STEP)


def test_left_line_tells_what_and_who() -> None:
    """A deletion has no author: the server records none."""
    key = ObjectKey("Deployment", "shop")
    changed = Keep(key=key, left=True, told=True, changes=(COUNT,), drift=DRIFT)
    nameless = Keep(key=key, left=True, told=True, changes=(COUNT,))
    mode = '[converge.watch] mode = "warn"'
    said = f"Deployment/shop spec.replicas 5 -> 2 not healed: {mode}"
    assert [
        f"{said} - changed by kubectl-edit at 03:04:05",
        said,
        f"Deployment/shop deleted, not created again: {mode}",
    ] == [*map(left_line, (changed, nameless, Keep(key=key, left=True, told=True)))]


def test_plan_summary_says_when_there_is_nothing_to_do() -> None:
    """A plan that changes nothing says so first."""
    steps = (Keep(key=ObjectKey("Service", "a")), Keep(key=ObjectKey("Service", "b")))
    assert "nothing to do: 2 unchanged" == plan_summary(Plan(steps=steps))


def test_plan_lines_keep_a_value_on_its_line() -> None:
    """Somebody else's value can neither break the plan nor speak to the terminal."""
    change = Change(path="data.A", before="one\ntwo\x1b[2J", after="gr\u00fcn")
    lines = plan_lines(Plan(steps=(update(change, kind="ConfigMap"),)))
    assert r"             data.A: one\ntwo\x1b[2J -> grün" == lines[1]


STEP_JSON: list[tuple[Step, dict[str, Any]]] = [
    (EVERY_STEP.steps[0], {"verb": "create", "kind": "Service", "name": "shop"}),
    (
        EVERY_STEP.steps[1],
        {
            "verb": "update",
            "kind": "Deployment",
            "name": "shop",
            "effect": "no restart",
            "changes": [{"path": "spec.replicas", "before": 5, "after": 2}],
            "drift": {"managers": ["kubectl-edit"], "at": "2026-01-02T03:04:05Z"},
        },
    ),
    (
        EVERY_STEP.steps[4],
        {"verb": "recreate", "kind": "Deployment", "name": "b", "reason": "why"},
    ),
    (
        Keep(key=ObjectKey("Service", "a"), reason="left alone", drift=DRIFT),
        {
            "verb": "keep",
            "kind": "Service",
            "name": "a",
            "reason": "left alone",
            "drift": {"managers": ["kubectl-edit"], "at": "2026-01-02T03:04:05Z"},
        },
    ),
    (
        EVERY_STEP.steps[7],
        {
            "verb": "hold",
            "kind": "Deployment",
            "name": "c",
            "reason": "waits for StatefulSet/x",
        },
    ),
    (
        EVERY_STEP.steps[8],
        {"verb": "refuse", "kind": "Service", "name": "d", "reason": "it is not ours"},
    ),
    (EVERY_STEP.steps[9], {"verb": "delete", "kind": "Service", "name": "old"}),
]


@pytest.mark.parametrize(("step", "expected"), STEP_JSON, ids=[step.verb for step, _ in STEP_JSON])
def test_step_json_has_the_documented_keys(step: Step, expected: dict[str, Any]) -> None:
    """Programs read it: a key that changes is a breaking change."""
    assert expected == step_json(step)


def test_plan_json_shows_equal_secrets_as_equal_across_steps() -> None:
    """So that one can see that a password moved, and not what it is."""
    first = update(Change(path="data.A", before="b2xk", after="bmV3"), kind="Secret")
    second = update(Change(path="data", before=None, after={"B": "bmV3"}), kind="Secret")
    told = [step["changes"][0] for step in plan_json(Plan(steps=(first, second)))]
    assert [
        {"path": "data.A", "before": "(secret #1)", "after": "(secret #2)"},
        {"path": "data", "before": None, "after": {"B": "(secret #2)"}},
    ] == told


# Heals and results -------------------------------------------------------------------------------

HEAL = Heal(
    key=ObjectKey("Deployment", "shop"),
    what="spec.replicas 5 -> 2",
    who="kubectl-edit",
    at="2026-01-02T03:04:05Z",
    seconds=0.0123,
)


@pytest.mark.parametrize(
    ("heal", "line", "brief"),
    [
        pytest.param(
            HEAL,
            "Deployment/shop spec.replicas 5 -> 2 healed in 12 ms"
            " - changed by kubectl-edit at 03:04:05",
            "12 ms, after kubectl-edit",
            id="who and when",
        ),
        pytest.param(
            replace(HEAL, at=None),
            "Deployment/shop spec.replicas 5 -> 2 healed in 12 ms - changed by kubectl-edit",
            "12 ms, after kubectl-edit",
            id="who",
        ),
        pytest.param(
            replace(HEAL, who=None),
            "Deployment/shop spec.replicas 5 -> 2 healed in 12 ms",
            "12 ms",
            id="nobody knows",
        ),
    ],
)
def test_heal_line_says_what_who_and_how_fast(heal: Heal, line: str, brief: str) -> None:
    """One line a heal, and a short form for the table."""
    assert (line, brief) == (heal_line(heal), healed_briefly(heal))


def test_heal_json_has_the_documented_keys() -> None:
    """Programs read it."""
    assert {
        "kind": "Deployment",
        "name": "shop",
        "what": "spec.replicas 5 -> 2",
        "manager": "kubectl-edit",
        "at": "2026-01-02T03:04:05Z",
        "milliseconds": 12.3,
    } == heal_json(HEAL)


@pytest.mark.parametrize(
    ("step", "known", "expected"),
    [
        pytest.param(
            update(COUNT, drift=DRIFT), True, replace(HEAL, seconds=2.0), id="changed by somebody"
        ),
        pytest.param(
            update(COUNT, replace(COUNT, path="spec.b"), drift=replace(DRIFT, rivals=(), at=None)),
            True,
            replace(HEAL, what="spec.replicas 5 -> 2 and 1 more", who=None, at=None, seconds=2.0),
            id="changed by nobody knows whom",
        ),
        pytest.param(
            Create(desired=DEPLOYMENT),
            True,
            replace(HEAL, what="deleted, created again", who=None, at=None, seconds=2.0),
            id="deleted",
        ),
        pytest.param(Create(desired=DEPLOYMENT), False, None, id="new"),
        pytest.param(update(COUNT), True, None, id="an edit of jac.toml"),
        pytest.param(Delete(live=live(DEPLOYMENT)), True, None, id="pruned"),
    ],
)
def test_heal_of_tells_heals_from_wishes(
    step: Create | Update | Delete, *, known: bool, expected: Heal | None
) -> None:
    """Only what somebody else broke was healed."""
    assert expected == heal_of(result(step), 98.0, known=known)


def test_applied_lines_tell_a_heal_and_an_edit_of_one_object() -> None:
    """Each with its own part of the changes."""
    edit = Change(path="spec.paused", before=None, after=True)
    both = result(replace(update(COUNT, edit, drift=DRIFT), edits=(edit,)))
    heal = heal_of(both, 98.0, known=True)
    assert [
        heal_line(replace(HEAL, seconds=2.0)),
        "Deployment/shop configured: spec.paused (none) -> True (no restart)",
    ] == applied_lines(both, heal)


@pytest.mark.parametrize("noticed", [None, 101.0])
def test_heal_of_never_took_less_than_no_time(noticed: float | None) -> None:
    """Not noticed, as by a resync, or noticed anew while it was being healed."""
    heal = heal_of(result(update(COUNT, drift=DRIFT)), noticed, known=True)
    assert heal is not None
    assert 0.0 == heal.seconds


@pytest.mark.parametrize(
    ("it", "expected"),
    [
        pytest.param(result(Create(desired=DEPLOYMENT)), "Deployment/shop created", id="create"),
        pytest.param(
            result(update(COUNT)),
            "Deployment/shop configured: spec.replicas 5 -> 2 (no restart)",
            id="update",
        ),
        pytest.param(
            result(Recreate(desired=DEPLOYMENT, live=live(DEPLOYMENT), reason="x")),
            "Deployment/shop deleted, to be created again",
            id="recreate",
        ),
        pytest.param(
            result(AROUND),
            "StatefulSet/shop deleted without its pods, to be created again around them",
            id="recreate around pods",
        ),
        pytest.param(result(Delete(live=live(DEPLOYMENT))), "Deployment/shop deleted", id="delete"),
        pytest.param(
            result(update(COUNT), Invalid("Deployment/shop apply", "must be >= 0", "check it")),
            "Deployment/shop apply failed (Invalid): must be >= 0; check it",
            id="error",
        ),
    ],
)
def test_result_line_says_what_became_of_a_step(it: Result, expected: str) -> None:
    """An error speaks for itself."""
    assert expected == result_line(it)


def test_outcome_json_adds_the_error_to_each_step() -> None:
    """The steps as planned, and what became of them."""
    create = Create(desired=DEPLOYMENT)
    outcome = Outcome(
        plan=Plan(steps=(create,)), results=(result(create), result(create, Invalid("x", "no")))
    )
    step = {"verb": "create", "kind": "Deployment", "name": "shop"}
    assert [{**step, "error": None}, {**step, "error": "x failed (Invalid): no"}] == outcome_json(
        outcome
    )


# Secrets -----------------------------------------------------------------------------------------

VALUES = st.text(min_size=1, max_size=40)
DATA = st.dictionaries(st.sampled_from(["A", "B", "C"]), VALUES)


def encoded(values: dict[str, str]) -> dict[str, str]:
    """As a Secret's data."""
    return {k: base64.b64encode(v.encode()).decode() for k, v in values.items()}


def with_other_values(it: Object) -> Object:
    """The same Secret, with each value replaced by another, longer one."""
    return json.loads(json.dumps(it), object_hook=_swap)  # type: ignore[no-any-return]


def _swap(found: dict[str, Any]) -> dict[str, Any]:
    secret = {"A", "B", "C", "last-applied"}
    return {k: f"another-{v}-{v}" if k in secret and v else v for k, v in found.items()}


@st.composite
def secrets(draw: st.DrawFn) -> Object:
    """A Secret with all the places where a value may stand, or none."""
    more: dict[str, Any] = {}
    for part in ("data", "stringData"):
        if values := draw(DATA):
            more[part] = encoded(values) if part == "data" else values
    it = obj("Secret", **more)
    if draw(st.booleans()):
        it["metadata"]["annotations"] = {"last-applied": draw(VALUES)}
    return it


def everything_told(before: Object, after: Object) -> str:
    """Every word that is ever said about a change of a Secret."""
    changes = changes_between(before, after)
    if not changes:
        return ""
    step = Update(desired=after, live=live(before), changes=changes, drift=DRIFT)
    plan, it = Plan(steps=(step,)), result(step)
    heal = heal_of(it, None, known=True)
    assert heal is not None
    told = [
        *plan_lines(plan),
        json.dumps(plan_json(plan)),
        json.dumps(step_json(step)),
        json.dumps(outcome_json(Outcome(plan=plan, results=(it,)))),
        json.dumps(heal_json(heal)),
        heal_line(heal),
        result_line(it),
        left_line(Keep(key=step.key, left=True, told=True, changes=changes, drift=DRIFT)),
        *(summary_of(one, live=is_live) for one in (before, after) for is_live in (True, False)),
    ]
    return "\n".join(told)


@given(secrets(), secrets())
def test_no_secret_shows_in_anything_that_is_told(before: Object, after: Object) -> None:
    """Not the value, not its base64, not its length: with other values every word is the same."""
    other = everything_told(with_other_values(before), with_other_values(after))
    assert other == everything_told(before, after)


# Status ------------------------------------------------------------------------------------------


def row(state: str, sentence: str = "x", name: str = "shop") -> Row:
    """A row of the table."""
    health = Health(state=state, sentence=sentence)  # type: ignore[arg-type]
    return Row(key=ObjectKey("Service", name), desired="80", live="8080", health=health)


def test_status_lines_are_aligned_and_say_why() -> None:
    """What is fine needs no sentence."""
    rows = (row("current"), row("failed", "no endpoints", "a-longer-name"))
    assert [
        "Service/shop           8080  ready",
        "Service/a-longer-name  8080  no endpoints",
    ] == status_lines(rows)


def test_status_lines_of_nothing_are_none() -> None:
    """An app that is not deployed has no objects."""
    assert [] == status_lines(())


def test_row_json_has_the_documented_keys() -> None:
    """Programs read it."""
    assert {
        "kind": "Service",
        "name": "shop",
        "desired": "80",
        "live": "8080",
        "health": "failed",
        "message": "no endpoints",
        "left": [],
    } == row_json(row("failed", "no endpoints"))


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["current", "progressing", "failed"], "failed"),
        (["current", "progressing"], "progressing"),
        (["current"], None),
        ([], None),
    ],
)
def test_worst_decides_about_the_whole_app(states: list[str], expected: str | None) -> None:
    """One failure is a failure; one wait is a wait."""
    found = worst([row(state) for state in states])
    assert expected == (found.state if found else None)


POD = {"template": {"spec": {"containers": [{"image": "shop:1"}, {"image": "sidecar:1"}]}}}
CPU = {"resource": {"name": "cpu", "target": {"averageUtilization": 70}}}


@pytest.mark.parametrize(
    ("it", "desired", "there"),
    [
        pytest.param(None, "-", "-", id="absent"),
        pytest.param(
            obj("Deployment", spec={"replicas": 3, **POD}, status={"readyReplicas": 2}),
            "3 x shop:1",
            "2/3 x shop:1",
            id="deployment",
        ),
        pytest.param(
            obj("StatefulSet", spec=POD), "auto x shop:1", "0/auto x shop:1", id="no count"
        ),
        pytest.param(
            obj(
                "HorizontalPodAutoscaler",
                spec={"minReplicas": 2, "maxReplicas": 5, "metrics": [CPU]},
            ),
            "2-5 cpu 70%",
            "2-5 cpu 70%",
            id="autoscaler",
        ),
        pytest.param(
            obj("HorizontalPodAutoscaler", spec={"maxReplicas": 5}), "1-5", "1-5", id="no metrics"
        ),
        pytest.param(
            obj("Service", spec={"ports": [{"port": 80}, {"port": 443}]}),
            "80, 443",
            "80, 443",
            id="service",
        ),
        pytest.param(obj("Service", spec={}), "", "", id="service without a port"),
        pytest.param(obj("Secret", data={"A": "eA=="}), "1 key", "1 key", id="one key"),
        pytest.param(obj("ConfigMap"), "0 keys", "0 keys", id="no keys"),
        pytest.param(
            obj("PodDisruptionBudget", spec={"maxUnavailable": 1}),
            "max unavailable 1",
            "max unavailable 1",
            id="budget",
        ),
        pytest.param(
            obj("Namespace", status={"phase": "Active"}), "there", "Active", id="with a phase"
        ),
        pytest.param(
            obj("Ingress", spec={"rules": [{"host": "shop.example"}, {}]}),
            "shop.example, any host",
            "shop.example, any host",
            id="ingress",
        ),
        pytest.param(
            obj("HTTPRoute", spec={"hostnames": ["shop.example"]}),
            "shop.example",
            "shop.example",
            id="route",
        ),
        pytest.param(obj("HTTPRoute", spec={}), "any host", "any host", id="route without a host"),
        pytest.param(obj("ServiceAccount"), "there", "there", id="nothing to tell"),
    ],
)
def test_summary_of_tells_what_matters(it: Object | None, desired: str, there: str) -> None:
    """A few words each, so that desired and live can be compared at a glance."""
    assert (desired, there) == (summary_of(it, live=False), summary_of(it, live=True))
