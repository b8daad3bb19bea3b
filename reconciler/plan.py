"""desired + snapshot + policy -> a plan of steps. Pure: every decision is made here.

Apply, `--plan`, prune and destroy all come from this one function; a destroy is a plan with
nothing desired.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from jac_converge.reconciler.authorship import REPLICAS, edits_among, foreign_drift, leading
from jac_converge.reconciler.differences import Change, changes_between
from jac_converge.reconciler.drift import (
    Drift,
    FieldPath,
    drift_of,
    owned_fields,
    readable,
    value_at,
    writers_of,
)
from jac_converge.reconciler.errors import ClusterError, Immutable, Invalid, Refused, Unserved
from jac_converge.reconciler.health import health_of
from jac_converge.reconciler.ignoring import Rules, is_left
from jac_converge.reconciler.objects import CLAIM, Object, ObjectKey, key_of, kind_named
from jac_converge.reconciler.ownership import FIELD_MANAGER, order_of, owner_of
from jac_converge.reconciler.pod_configuration import with_configuration, with_restarts
from jac_converge.reconciler.prune import finalizers_of, prune_steps
from jac_converge.reconciler.snapshot import Policy, Snapshot
from jac_converge.reconciler.steps import (
    LEFT_ALONE,
    OWNERS,
    Create,
    Hold,
    Keep,
    Plan,
    Recreate,
    Refuse,
    Step,
    Update,
    left_alone,
)
from jac_converge.reconciler.volume_growth import (
    adoption_steps,
    growth_steps,
    regrown,
    shrinking,
    shrunk,
)

__all__ = ["make_plan", "unsurveyed"]

_COUNT = readable(REPLICAS)
_SEAL: FieldPath = ("f:immutable",)
"""What makes the data of a ConfigMap or Secret final, and cannot be taken back itself."""

_RECREATED = frozenset(
    {
        "ConfigMap",
        "CronJob",
        "Deployment",
        "HTTPRoute",
        "HorizontalPodAutoscaler",
        "Ingress",
        "Job",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
    }
)
"""Kinds that hold no data, so an immutable change may delete and create them."""


def unsurveyed(desired: Iterable[Object], snapshot: Snapshot) -> tuple[Object, ...]:
    """The desired objects that exist, but were not yet compared by the server with what we want."""
    return tuple(
        obj for obj in desired if key_of(obj) in snapshot.live and not snapshot.accepted(obj)
    )


def make_plan(
    app_name: str, desired: tuple[Object, ...], snapshot: Snapshot, policy: Policy
) -> Plan:
    """Decide what to do about every object.

    Args:
        app_name: name of the app, as its labels carry it.
        desired: every object that should be there.
        snapshot: complete: every kind was listed, and `unsurveyed` objects have a preview.
        policy: what the plan may do.
    """
    leaving = _leaving(desired, snapshot)
    if leaving:
        return Plan(steps=(leaving,))
    ordered = sorted(desired, key=order_of)
    steps = [_step_for(app_name, obj, desired, snapshot, policy) for obj in ordered]
    steps = with_restarts(app_name, with_configuration(steps))
    # First: a StatefulSet follows the size of its volumes.
    refused = {step.key for step in steps if isinstance(step, Refuse)}
    settable = [obj for obj in desired if key_of(obj) not in refused]
    volumes: list[Step] = [*growth_steps(app_name, settable, snapshot, policy)]
    if policy.adopt:
        growing = {step.key for step in volumes if isinstance(step, Update)}
        adopted = adoption_steps(app_name, settable, snapshot.live)
        volumes += (step for step in adopted if step.key not in growing)
    steps = [*volumes, *steps]
    pruned = list(prune_steps(app_name, desired, snapshot, policy))
    # An autoscaler that is on its way out must not fight the fixed count that replaces it.
    first = [step for step in pruned if step.key.kind == "HorizontalPodAutoscaler"]
    last = [step for step in pruned if step.key.kind != "HorizontalPodAutoscaler"]
    return Plan(steps=(*first, *steps, *last))


def _leaving(desired: Iterable[Object], snapshot: Snapshot) -> Hold | None:
    for obj in desired:
        live = snapshot.live.get(key_of(obj))
        if obj["kind"] == "Namespace" and live and live["metadata"].get("deletionTimestamp"):
            volumes = ", ".join(str(key) for key in sorted(snapshot.live) if key.kind == CLAIM)
            what = f", with the data of {volumes}; all else" if volumes else "; everything"
            held = finalizers_of(live)
            reason = f"the namespace is being deleted{held}{what} is created again afterwards"
            return Hold(key=key_of(obj), reason=reason)
    return None


def _step_for(
    app_name: str, obj: Object, desired: tuple[Object, ...], snapshot: Snapshot, policy: Policy
) -> Step:
    key = key_of(obj)
    if key in snapshot.settled:
        return Keep(key=key)
    live = snapshot.live.get(key)
    preview = snapshot.previews.get(key)
    if live is None:
        # Told before anything is written, so that nothing is left half applied.
        if preview and preview.answer is None:
            return _refused(key, preview.rejected)
        if policy.mode != "heal" and snapshot.accepted(obj):
            reason = f"it was deleted; {LEFT_ALONE}"
            return Keep(key=key, reason=reason, left=True, told=policy.mode == "warn")
        # Where it was made so before, it comes back: somebody else made the volume larger.
        shrinking = None if snapshot.accepted(obj) else shrunk(obj, snapshot.live)
        return shrinking or _create(obj, desired, snapshot)
    if live["metadata"].get("deletionTimestamp"):
        finalizers = ", ".join(live["metadata"].get("finalizers") or ()) or "none"
        return Hold(key=key, reason=f"it is being deleted (finalizers: {finalizers})")
    if obstacle := _obstacle(app_name, key, live, policy):
        return obstacle
    changes, drift, edits = _compare(obj, live, snapshot, policy.ignore)
    if changes and policy.mode != "heal" and _is_drift_alone(obj, live, snapshot):
        return left_alone(key, changes, drift, told=policy.mode == "warn")
    invalid = preview is not None and isinstance(preview.rejected, Invalid)
    if not live["metadata"].get("managedFields") and (changes or invalid):
        return _ask_who_owns_what(obj, live)
    if preview and preview.answer is None and not _is_in_the_way(drift, preview.rejected):
        if key.kind == "StatefulSet" and isinstance(preview.rejected, Immutable):
            growth = regrown(app_name, obj, live, snapshot, policy)
            return growth or _rejected(obj, live, preview.rejected)
        return _rejected(obj, live, preview.rejected)
    if not changes:
        return Keep(key=key)
    if drift and _SEAL in drift.added:
        return _rejected(obj, live, Immutable(f"{key} apply", "somebody set immutable: true"))
    replicas = _replicas_to_hand_over(obj, live)
    told = changes if replicas is None else _handed_over(changes)
    return Update(
        desired=obj,
        live=live,
        changes=told,
        drift=drift,
        edits=edits if replicas is None else _handed_over(edits),
        replicas=replicas,
        ignore=policy.ignore,
    )


def _is_drift_alone(obj: Object, live: Object, snapshot: Snapshot) -> bool:
    """Whether jac.toml has no part in a difference.

    Before we know what the server accepted from us, ownership tells. What we own is as an earlier
    jac.toml said, so a difference there is an edit; what somebody else owns is drift; and what
    nobody owns is taken for a field that jac.toml gained. Nothing of ours: it is to be taken over.
    """
    key = key_of(obj)
    if key in snapshot.baselines:
        return snapshot.accepted(obj)
    preview = snapshot.previews.get(key)
    if preview is None or preview.answer is None:
        return False
    own, wanted = owned_fields(live), owned_fields(preview.answer)
    return (
        bool(own)
        and own <= wanted
        and all(
            value_at(live, path) == value_at(preview.answer, path)
            if path in own
            else writers_of(live, path)
            for path in wanted
        )
    )


def _compare(
    obj: Object, live: Object, snapshot: Snapshot, ignore: Rules
) -> tuple[tuple[Change, ...], Drift | None, tuple[Change, ...]]:
    """Compare by the server's own answer where there is one, else by ownership.

    Returns:
        What differs; what of it somebody else did; and what jac.toml asks for beside that.
    """
    key = key_of(obj)
    baseline, preview = snapshot.baselines.get(key), snapshot.previews.get(key)
    answer = preview.answer if preview else None
    accepted = baseline if snapshot.accepted(obj) else None
    if answer is not None:
        expected = owned_fields(answer)
    else:
        # Rejected before it ever was accepted: all that can be told is what others added.
        expected = accepted.fields if accepted else owned_fields(live)
    left = partial(is_left, ignore, live)
    drift = drift_of(live, expected, left)
    changes = changes_between(live, answer) if answer is not None else ()
    if drift and not changes:
        changes = _drifted(live, obj, drift, answer) or _taken_over(drift)
    if accepted:
        return leading(changes, drift, expected), drift, ()
    autoscaled = ObjectKey("HorizontalPodAutoscaler", key.name) in snapshot.live
    drift = foreign_drift(live, expected, baseline, left, autoscaled=autoscaled)
    changes = leading(changes, drift, expected)
    return changes, drift, edits_among(changes, drift, expected)


def _is_in_the_way(drift: Drift | None, error: ClusterError | None) -> bool:
    """Whether what somebody added may be all that is wrong: two ports of one name, say."""
    return isinstance(error, Invalid) and drift is not None and bool(drift.added)


def _ask_who_owns_what(obj: Object, live: Object) -> Update:
    """Apply no more than the labels, where somebody cleared managedFields.

    The server then writes down that somebody unknown owns the rest. Until it has, nothing tells
    what is in the way: a port of ours under another number, say, which an apply would keep, and
    then refuse for its name.
    """
    head = {key: obj[key] for key in ("apiVersion", "kind", "metadata")}
    told = Change(path=OWNERS, before=None, after="as the server finds them")
    return Update(desired=head, live=live, changes=(told,))


def _handed_over(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """Tell what will become of the count; the server's answer shows its default, which it is not.

    That default is what an apply alone would leave; the hand-over prevents it.
    """
    return tuple(
        replace(change, after="as the autoscaler decides") if change.path == _COUNT else change
        for change in changes
    )


def _obstacle(app_name: str, key: ObjectKey, live: Object, policy: Policy) -> Step | None:
    owner = owner_of(live, app_name)
    if owner == "us":
        return None
    if key.kind == "Namespace":
        # Not even by --adopt: it may hold what is none of this app's, and --destroy --data.
        return Keep(key=key, reason="it was there before; used as it is")
    if policy.adopt and owner == "nobody":
        return None
    if owner == "another app":
        return Refuse(key=key, reason="it belongs to another app; choose another app_name")
    return Refuse(key=key, reason="it is not ours; take it over with --adopt, or rename the app")


def _create(obj: Object, desired: tuple[Object, ...], snapshot: Snapshot) -> Step:
    key = key_of(obj)
    if key.kind == "Deployment":
        for store in desired:
            store_key = key_of(store)
            if store["kind"] != "StatefulSet":
                continue
            live = snapshot.live.get(store_key)
            health = health_of(live) if live else None
            if health is None or health.state != "current":
                sentence = health.sentence if health else "it is not there yet"
                return Hold(key=key, reason=f"waits for {store_key}: {sentence}")
        return Create(desired=obj, replicas=_autoscaled_minimum(obj, desired))
    return Create(desired=obj)


def _autoscaled_minimum(obj: Object, desired: tuple[Object, ...]) -> int | None:
    if "replicas" in obj["spec"]:
        return None
    for scaler in desired:
        if scaler["kind"] == "HorizontalPodAutoscaler":
            minimum = int(scaler["spec"]["minReplicas"])
            return minimum if minimum > 1 else None
    return None


def _replicas_to_hand_over(obj: Object, live: Object) -> int | None:
    if obj["kind"] != "Deployment" or "replicas" in obj["spec"]:
        return None
    return int(live["spec"]["replicas"]) if REPLICAS in owned_fields(live) else None


def _drifted(
    live: Object, desired: Object, drift: Drift, answer: Object | None
) -> tuple[Change, ...]:
    """Which values come back; a field may have changed hands and kept its value."""
    return tuple(
        Change(path=readable(path), before=_told(live, path), after=_told(desired, path))
        for path in (*drift.lost, *drift.added)
        if path in drift.added or not _stays(path, live, answer or desired)
    )


def _told(obj: Object, path: FieldPath) -> Any:
    """What stands there; of an item of a set, which is its own value, itself."""
    if not path[-1].startswith("v:"):
        return value_at(obj, path)
    item, items = json.loads(path[-1].removeprefix("v:")), value_at(obj, path[:-1])
    return item if item in (items or ()) else None


def _stays(path: FieldPath, live: Object, after: Object) -> bool:
    """Whether a field that is applied again has its value already."""
    now, then = value_at(live, path), value_at(after, path)
    # An item of a list is there or not; what is in it are fields of their own. An item of a set
    # has no value that could be told, so it is told as a change.
    return now is not None and (now == then or (path[-1] == "." and then is not None))


def _taken_over(drift: Drift) -> tuple[Change, ...]:
    """Tell that nothing but the owner of fields becomes another one: we."""
    return (Change(path=OWNERS, before=", ".join(drift.rivals) or None, after=FIELD_MANAGER),)


def _rejected(obj: Object, live: Object, error: ClusterError | None) -> Step:
    key = key_of(obj)
    if key.kind == "Namespace" and isinstance(error, Refused):
        return Keep(key=key, reason="we may not change it; used as it is")
    if key.kind == CLAIM and (why := shrinking(live, obj)):
        return Refuse(key=key, reason=why)
    if not isinstance(error, Immutable):
        return _refused(key, error)
    if key.kind in _RECREATED:
        return Recreate(desired=obj, live=live, reason=error.cause)
    if key.kind == "Secret":
        # In one go: what is deleted by hand may be the only place that has a value.
        space = live["metadata"].get("namespace", "default")
        by_hand = (
            f"kubectl get secret {key.name} --namespace {space} --output yaml"
            " | sed /^immutable:/d | kubectl replace --force --filename -"
        )
        reason = f"it cannot change in place: {error.cause}; make it anew: {by_hand}"
        return Refuse(key=key, reason=reason)
    return Refuse(key=key, reason=f"it holds data and cannot change in place: {error.cause}")


def _refused(key: ObjectKey, error: ClusterError | None) -> Refuse:
    needs = kind_named(key.kind).needs
    if isinstance(error, Unserved) and needs:
        return Refuse(key=key, reason=f"this cluster does not know {key.kind}; install {needs}")
    cause = error.cause if error else "the server did not say why"
    return Refuse(key=key, reason=f"the server does not accept it: {cause}")
