"""Plan, outcome and status -> text, or JSON. Pure; masks every secret.

Equal secret values show as equal, and nothing else shows: not even their length.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jac_converge.reconciler.abbreviating import abbreviated
from jac_converge.reconciler.apply import Outcome, Result
from jac_converge.reconciler.differences import Change
from jac_converge.reconciler.drift import Drift
from jac_converge.reconciler.health import Health
from jac_converge.reconciler.objects import Object, ObjectKey
from jac_converge.reconciler.steps import (
    Create,
    Hold,
    Keep,
    Plan,
    Recreate,
    Refuse,
    Step,
    Update,
)

__all__ = [
    "Heal",
    "Row",
    "applied_lines",
    "heal_json",
    "heal_line",
    "heal_of",
    "healed_briefly",
    "left_line",
    "outcome_json",
    "plan_json",
    "plan_lines",
    "plan_summary",
    "result_line",
    "row_json",
    "status_lines",
    "step_json",
    "summary_of",
    "worst",
]

SIGNS: Final[Mapping[str, str]] = {
    "create": "+",
    "update": "~",
    "recreate": "!",
    "delete": "-",
    "keep": "=",
    "hold": ".",
    "refuse": "x",
}

SHOWN_CHANGES: Final = 8
"""Changed fields shown per object; the rest are counted."""

LEFT: Final = '[converge.watch] mode = "warn"'
"""Why drift is left alone where it is told."""

_SECRET_PARTS: Final = ("data", "stringData", "metadata.annotations")
"""Of a Secret. An annotation counts: `kubectl apply` keeps a copy of the whole object in one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heal:
    """One thing that was put back."""

    key: ObjectKey
    what: str
    """`spec.replicas 5 -> 2`, or `deleted, created again`."""
    who: str | None
    at: str | None
    """When they did it: RFC 3339."""
    seconds: float
    """From the event's arrival to the server's answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the live table."""

    key: ObjectKey
    desired: str
    live: str
    health: Health
    healed: str = ""
    left: tuple[str, ...] = ()
    """Fields that are not healed: by `mode = "warn"`, as paths; a rival's, as lines of `ignore`."""


def plan_lines(plan: Plan) -> list[str]:
    """A plan for people: one line a step, and below it the fields that change."""
    mask = _Mask()
    lines: list[str] = []
    for step in plan.steps:
        if isinstance(step, Keep) and not step.reason:
            continue
        if isinstance(step, Update) and step.takes_over:
            continue
        lines.append(f"{SIGNS[step.verb]} {step.verb:<8} {step.key}{_remark(step)}")
        if isinstance(step, Update | Recreate):
            shown = step.changes[:SHOWN_CHANGES]
            lines += [f"             {_change_line(step.key, c, mask)}" for c in shown]
            if more := len(step.changes) - len(shown):
                lines.append(f"             and {more} more")
    return [*lines, *_taken_over(plan), plan_summary(plan)]


def _taken_over(plan: Plan) -> list[str]:
    """One line for all objects of which nothing but the owner changes."""
    steps = [step for step in plan.steps if isinstance(step, Update) and step.takes_over]
    if not steps:
        return []
    names = str(steps[0].key) if len(steps) == 1 else f"{len(steps)} objects"
    return [f"{SIGNS['update']} take over {names}{_from(steps)} ({_taking_over(steps)})"]


def _taking_over(steps: Iterable[Update]) -> str:
    """What becomes of the values that somebody else wrote."""
    if any(step.restarts for step in steps):
        return "rolling restart; the values that are there count from now on"
    return "no restart; every value stays"


def _from(steps: Iterable[Update]) -> str:
    rivals = dict.fromkeys(rival for s in steps if s.drift for rival in s.drift.rivals)
    return f" from {', '.join(rivals)}" if rivals else ""


def plan_summary(plan: Plan) -> str:
    """The last line of a plan."""
    taken = sum(isinstance(step, Update) and step.takes_over for step in plan.steps)
    counts = {verb: sum(s.verb == verb for s in plan.steps) for verb in SIGNS}
    counts = {**counts, "update": counts["update"] - taken, "take over": taken}
    words = {"hold": "waiting", "refuse": "refused"}
    told = [
        f"{count} {words.get(verb, f'to {verb}')}"
        for verb, count in counts.items()
        if count and verb != "keep"
    ]
    unchanged = f"{counts['keep']} unchanged"
    return ", ".join([*told, unchanged]) if told else f"nothing to do: {unchanged}"


def heal_line(heal: Heal) -> str:
    """What was healed, how fast, who had done it and when."""
    who = f" - changed by {heal.who}" if heal.who else ""
    at = f" at {heal.at[11:19]}" if heal.who and heal.at else ""
    return f"{heal.key} {heal.what} healed in {heal.seconds * 1000:.0f} ms{who}{at}"


def left_line(step: Keep) -> str:
    """What drifted and is left alone, who had done it and when."""
    if not step.changes:
        return f"{step.key} deleted, not created again: {LEFT}"
    who = (
        f" - changed by {', '.join(step.drift.rivals)}" if step.drift and step.drift.rivals else ""
    )
    at = f" at {step.drift.at[11:19]}" if who and step.drift and step.drift.at else ""
    return f"{step.key} {_what(step)} not healed: {LEFT}{who}{at}"


def healed_briefly(heal: Heal) -> str:
    """The same for a cell of the table."""
    return f"{heal.seconds * 1000:.0f} ms{f', after {heal.who}' if heal.who else ''}"


def heal_of(result: Result, noticed: float | None, *, known: bool) -> Heal | None:
    """What a step put back; None when it was no heal.

    Args:
        result: a step that succeeded.
        noticed: when the change was seen, in monotonic seconds.
        known: whether the object was there before.
    """
    step = result.step
    if isinstance(step, Update) and step.drift and not step.takes_over:
        healed = tuple(change for change in step.changes if change not in step.edits)
        what, drift = _what(step, healed), step.drift
    elif isinstance(step, Create) and known:
        what, drift = "deleted, created again", None
    else:
        return None
    return Heal(
        key=step.key,
        what=what,
        who=", ".join(drift.rivals) if drift and drift.rivals else None,
        at=drift.at if drift else None,
        seconds=max(0.0, result.at - noticed) if noticed is not None else 0.0,
    )


def applied_lines(result: Result, heal: Heal | None) -> list[str]:
    """What became of one step, and what of it was a heal."""
    both = isinstance(result.step, Update) and result.step.edits
    told = [heal_line(heal)] if heal else []
    return told if heal and not both else [*told, result_line(result)]


def heal_json(heal: Heal) -> dict[str, Any]:
    """A heal for programs."""
    return {
        "kind": heal.key.kind,
        "name": heal.key.name,
        "what": heal.what,
        "manager": heal.who,
        "at": heal.at,
        "milliseconds": round(heal.seconds * 1000, 1),
    }


def result_line(result: Result) -> str:
    """What became of one step."""
    done = {
        "create": "created",
        "update": "configured",
        "recreate": "deleted, to be created again",
        "delete": "deleted",
    }
    if result.error:
        return str(result.error)
    step = result.step
    if isinstance(step, Update) and step.takes_over:
        return f"{step.key} taken over{_from([step])} ({_taking_over([step])})"
    if isinstance(step, Recreate) and step.leaves_pods:
        return f"{step.key} deleted without its pods, to be created again around them"
    told = f": {_what(step, step.edits)} ({step.effect})" if isinstance(step, Update) else ""
    return f"{step.key} {done[step.verb]}{told}"


def plan_json(plan: Plan) -> list[dict[str, Any]]:
    """A plan for programs: one object per step."""
    mask = _Mask()
    return [step_json(step, mask) for step in plan.steps]


def step_json(step: Step, mask: "_Mask | None" = None) -> dict[str, Any]:
    """One step for programs."""
    mask = mask or _Mask()
    told: dict[str, Any] = {"verb": step.verb, "kind": step.key.kind, "name": step.key.name}
    if isinstance(step, Keep | Hold | Refuse | Recreate):
        told["reason"] = step.reason
    if isinstance(step, Update):
        told["effect"] = step.effect
    if isinstance(step, Update) or (isinstance(step, Recreate) and step.changes):
        told["changes"] = [
            {
                "path": change.path,
                "before": mask(step.key, change.path, change.before),
                "after": mask(step.key, change.path, change.after),
            }
            for change in step.changes
        ]
    if isinstance(step, Update | Keep) and step.drift:
        told["drift"] = _drift_json(step.drift)
    return told


def outcome_json(outcome: Outcome) -> list[dict[str, Any]]:
    """What became of each step, for programs."""
    mask = _Mask()
    return [
        {**step_json(r.step, mask), "error": str(r.error) if r.error else None}
        for r in outcome.results
    ]


def row_json(row: Row) -> dict[str, Any]:
    """One object's status for programs."""
    return {
        "kind": row.key.kind,
        "name": row.key.name,
        "desired": row.desired,
        "live": row.live,
        "health": row.health.state,
        "message": row.health.sentence,
        "left": list(row.left),
    }


def status_lines(rows: Iterable[Row]) -> list[str]:
    """The status for people: one aligned line an object."""
    table = [
        (str(r.key), r.live, "ready" if r.health.state == "current" else r.health.sentence)
        for r in rows
    ]
    first, second = (max((len(line[i]) for line in table), default=0) for i in (0, 1))
    return [f"{name:<{first}}  {live:<{second}}  {health}" for name, live, health in table]


def summary_of(obj: Object | None, *, live: bool) -> str:
    """What matters about an object, in a few words.

    Args:
        obj: None when it is not there.
        live: tell its status too.
    """
    if obj is None:
        return "-"
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    match obj["kind"]:
        case "Deployment" | "StatefulSet":
            image = spec["template"]["spec"]["containers"][0]["image"]
            count = spec.get("replicas", "auto")
            ready = f"{status.get('readyReplicas', 0)}/" if live else ""
            return f"{ready}{count} x {image}"
        case "HorizontalPodAutoscaler":
            targets = "".join(f" {_metric(metric)}" for metric in spec.get("metrics") or ())
            return f"{spec.get('minReplicas', 1)}-{spec['maxReplicas']}{targets}"
        case "Service":
            return ", ".join(str(port["port"]) for port in spec.get("ports") or ())
        case "Ingress":
            return ", ".join(rule.get("host", "any host") for rule in spec.get("rules") or ())
        case "HTTPRoute":
            return ", ".join(spec.get("hostnames") or ("any host",))
        case "Secret" | "ConfigMap":
            count = len(obj.get("data") or obj.get("binaryData") or {})
            return f"{count} key" if count == 1 else f"{count} keys"
        case "PodDisruptionBudget":
            return f"max unavailable {spec.get('maxUnavailable')}"
        case _:
            return str(status.get("phase", "there")) if live else "there"


class _Mask:
    """Replaces secret values by numbers: the same value, the same number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __call__(self, key: ObjectKey, path: str, value: Any) -> Any:
        if key.kind != "Secret" or not path.startswith(_SECRET_PARTS) or value is None:
            return value
        if isinstance(value, dict):
            return {name: self(key, path, inner) for name, inner in value.items()}
        number = self._numbers.setdefault(str(value), len(self._numbers) + 1)
        return f"(secret #{number})"


def _remark(step: Step) -> str:
    match step:
        case Update(drift=drift):
            by = f"; changed by {', '.join(drift.rivals)}" if drift and drift.rivals else ""
            return f" ({step.effect}{by})"
        case Keep(reason=reason) | Hold(reason=reason) | Refuse(reason=reason):
            return f": {reason}" if reason else ""
        case Recreate(reason=reason, leaves_pods=True):
            return f" (created again around its pods: {reason})"
        case Recreate(reason=reason):
            return f" (deleted and created again: {reason})"
        case _:
            return ""


def _change_line(key: ObjectKey, change: Change, mask: _Mask) -> str:
    values = (mask(key, change.path, value) for value in (change.before, change.after))
    return f"{change.path}: {abbreviated(*values)}"


def _what(step: Update | Keep, changes: tuple[Change, ...] = ()) -> str:
    first, *others = changes or step.changes
    told = _change_line(step.key, first, _Mask()).replace(": ", " ", 1)
    return f"{told} and {len(others)} more" if others else told


def _drift_json(drift: Drift) -> dict[str, Any]:
    return {"managers": list(drift.rivals), "at": drift.at}


def _metric(metric: Mapping[str, Any]) -> str:
    resource = metric.get("resource") or {}
    target = (resource.get("target") or {}).get("averageUtilization")
    return f"{resource.get('name')} {target}%"


def worst(rows: Iterable[Row]) -> Health | None:
    """The health that decides about the whole app; None when everything is current."""
    failed = next((r.health for r in rows if r.health.state == "failed"), None)
    return failed or next((r.health for r in rows if r.health.state == "progressing"), None)
