"""desired + snapshot + policy -> a plan of steps. Pure: every decision is made here.

Apply, `--plan`, prune and destroy all come from this one function; a destroy is a plan with
nothing desired.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from jac_converge.reconciler.drift import (
    Change,
    Drift,
    FieldPath,
    changes_between,
    drift_of,
    owned_fields,
    readable,
    value_at,
)
from jac_converge.reconciler.errors import ClusterError, Immutable, Invalid, Refused, Unserved
from jac_converge.reconciler.health import health_of
from jac_converge.reconciler.ignoring import Rules, is_left
from jac_converge.reconciler.objects import Object, ObjectKey, key_of, kind_named
from jac_converge.reconciler.ownership import is_extra, order_of, owner_of
from jac_converge.reconciler.releases import record_key

__all__ = [
    "Baseline",
    "Create",
    "Delete",
    "Hold",
    "Keep",
    "Plan",
    "Policy",
    "Preview",
    "Recreate",
    "Refuse",
    "Snapshot",
    "Step",
    "Update",
    "make_plan",
    "unsurveyed",
]

REPLICAS: FieldPath = ("f:spec", "f:replicas")
_COUNT = readable(REPLICAS)
_SEAL: FieldPath = ("f:immutable",)
"""What makes the data of a ConfigMap or Secret final, and cannot be taken back itself."""

_LEFT_ALONE = "drift is left alone ([converge.watch] mode)"

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

_ROLLED = frozenset({"Deployment", "StatefulSet"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What the server accepted from us last for one object."""

    desired: Object
    fields: frozenset[FieldPath]
    """Leaf fields that our apply entry owned right afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The answer to a dry-run apply of one object."""

    desired: Object
    answer: Object | None
    rejected: ClusterError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is known of the cluster at one moment: one app, one namespace."""

    live: Mapping[ObjectKey, Object]
    baselines: Mapping[ObjectKey, Baseline] = field(default_factory=dict)
    previews: Mapping[ObjectKey, Preview] = field(default_factory=dict)
    settled: frozenset[ObjectKey] = frozenset()
    """Objects that an earlier plan kept as they are, and nothing about them is another now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a plan may do."""

    adopt: bool = False
    """Take over objects of the same name that are not ours."""
    heal: bool = True
    """Put drift back; otherwise it is only told."""
    prune: bool = True
    """Delete what left the desired state."""
    data: bool = False
    """Delete data too: the namespace, volumes, generated secrets."""
    ignore: Rules = ()
    """Drift that is left to whoever made it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """The object is not there."""

    verb = "create"
    desired: Object
    replicas: int | None = None
    """Pods to start with while the count is the autoscaler's; None: as desired says."""

    @property
    def key(self) -> ObjectKey:
        """What the step is about."""
        return key_of(self.desired)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """The object is there, and differs."""

    verb = "update"
    desired: Object
    live: Object
    changes: tuple[Change, ...]
    drift: Drift | None = None
    """Set when somebody else made the difference."""
    replicas: int | None = None
    """Count to hand over to the autoscaler; None: nothing to hand over."""
    ignore: Rules = ()
    """What others may keep beside our fields."""

    @property
    def key(self) -> ObjectKey:
        """What the step is about."""
        return key_of(self.desired)

    @property
    def effect(self) -> Literal["rolling restart", "no restart"]:
        """What running pods will notice."""
        rolls = self.key.kind in _ROLLED and any(
            change.path.startswith("spec.template") for change in self.changes
        )
        return "rolling restart" if rolls else "no restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recreate:
    """A field that cannot change in place has to: delete, then create."""

    verb = "recreate"
    desired: Object
    live: Object
    reason: str

    @property
    def key(self) -> ObjectKey:
        """What the step is about."""
        return key_of(self.desired)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """The object is ours, and no longer desired."""

    verb = "delete"
    live: Object

    @property
    def key(self) -> ObjectKey:
        """What the step is about."""
        return key_of(self.live)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Nothing to do; `reason` says why where it is not plain."""

    verb = "keep"
    key: ObjectKey
    reason: str = ""
    drift: Drift | None = None
    """Drift that the policy says to leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Something else has to happen first; a later pass goes on."""

    verb = "hold"
    key: ObjectKey
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """It must not, or cannot, be done; a person has to decide."""

    verb = "refuse"
    key: ObjectKey
    reason: str


type Step = Create | Update | Recreate | Delete | Keep | Hold | Refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps in the order in which they are to be taken."""

    steps: tuple[Step, ...]

    @property
    def writes(self) -> tuple[Create | Update | Recreate | Delete, ...]:
        """The steps that change something."""
        return tuple(s for s in self.steps if isinstance(s, Create | Update | Recreate | Delete))

    @property
    def refusals(self) -> tuple[Refuse, ...]:
        """The steps that a person has to decide about."""
        return tuple(step for step in self.steps if isinstance(step, Refuse))

    @property
    def holds(self) -> tuple[Hold, ...]:
        """The steps that wait for something."""
        return tuple(step for step in self.steps if isinstance(step, Hold))


def unsurveyed(desired: Iterable[Object], snapshot: Snapshot) -> tuple[Object, ...]:
    """The desired objects that exist, but were not yet compared by the server with what we want."""
    return tuple(
        obj
        for obj in desired
        if (key := key_of(obj)) in snapshot.live and not _accepted(obj, snapshot.baselines.get(key))
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
    pruned = list(_prune(app_name, desired, snapshot, policy))
    # An autoscaler that is on its way out must not fight the fixed count that replaces it.
    first = [step for step in pruned if step.key.kind == "HorizontalPodAutoscaler"]
    last = [step for step in pruned if step.key.kind != "HorizontalPodAutoscaler"]
    return Plan(steps=(*first, *steps, *last))


def _leaving(desired: Iterable[Object], snapshot: Snapshot) -> Hold | None:
    for obj in desired:
        live = snapshot.live.get(key_of(obj))
        if obj["kind"] == "Namespace" and live and live["metadata"].get("deletionTimestamp"):
            return Hold(
                key=key_of(obj),
                reason="the namespace is being deleted; everything is created again afterwards",
            )
    return None


def _step_for(
    app_name: str, obj: Object, desired: tuple[Object, ...], snapshot: Snapshot, policy: Policy
) -> Step:
    key = key_of(obj)
    if key in snapshot.settled:
        return Keep(key=key)
    live = snapshot.live.get(key)
    preview = snapshot.previews.get(key)
    left_alone = not policy.heal and _accepted(obj, snapshot.baselines.get(key))
    if live is None:
        # Told before anything is written, so that nothing is left half applied.
        if preview and preview.answer is None:
            return _refused(key, preview.rejected)
        if left_alone:
            return Keep(key=key, reason=f"it was deleted; {_LEFT_ALONE}")
        return _create(obj, desired, snapshot)
    if live["metadata"].get("deletionTimestamp"):
        finalizers = ", ".join(live["metadata"].get("finalizers") or ()) or "none"
        return Hold(key=key, reason=f"it is being deleted (finalizers: {finalizers})")
    if obstacle := _obstacle(app_name, key, live, policy):
        return obstacle
    changes, drift = _compare(obj, live, snapshot, policy.ignore)
    if left_alone and changes:
        return Keep(key=key, reason=_LEFT_ALONE, drift=drift)
    if preview and preview.answer is None and not _is_in_the_way(drift, preview.rejected):
        if isinstance(preview.rejected, Invalid) and not live["metadata"].get("managedFields"):
            return _ask_who_owns_what(obj, live)
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
        replicas=replicas,
        ignore=policy.ignore,
    )


def _compare(
    obj: Object, live: Object, snapshot: Snapshot, ignore: Rules
) -> tuple[tuple[Change, ...], Drift | None]:
    """Compare by the server's own answer where there is one, else by ownership."""
    baseline, preview = snapshot.baselines.get(key_of(obj)), snapshot.previews.get(key_of(obj))
    answer = preview.answer if preview else None
    accepted = baseline if _accepted(obj, baseline) else None
    if answer is not None:
        expected = owned_fields(answer)
    else:
        # Rejected before it ever was accepted: all that can be told is what others added.
        expected = accepted.fields if accepted else owned_fields(live)
    drift = drift_of(live, expected, partial(is_left, ignore, live))
    changes = changes_between(live, answer) if answer is not None else ()
    if drift and not changes:
        changes = _drifted(live, obj, drift)
    # A field that jac.toml just gained is not owned yet, by nobody: that is no drift.
    return (changes, drift if drift and (accepted or drift.rivals or drift.added) else None)


def _is_in_the_way(drift: Drift | None, error: ClusterError | None) -> bool:
    """Whether what somebody added may be all that is wrong: two ports of one name, say."""
    return isinstance(error, Invalid) and drift is not None and bool(drift.added)


def _ask_who_owns_what(obj: Object, live: Object) -> Update:
    """Apply no more than the labels, where somebody cleared managedFields.

    The server then writes down that somebody unknown owns the rest. Until it has, nothing tells
    what is in the way: a port of ours under its old number, say, which an apply would keep.
    """
    head = {key: obj[key] for key in ("apiVersion", "kind", "metadata")}
    told = Change(path="metadata.managedFields", before=None, after="as the server finds them")
    return Update(desired=head, live=live, changes=(told,))


def _handed_over(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """Tell what will become of the count; the server's answer shows its default, which it is not.

    That default is what an apply alone would leave; the hand-over prevents it.
    """
    return tuple(
        replace(change, after="as the autoscaler decides") if change.path == _COUNT else change
        for change in changes
    )


def _accepted(obj: Object, baseline: Baseline | None) -> bool:
    # Most often it is the very same one, and need not be compared value by value.
    return baseline is not None and (baseline.desired is obj or baseline.desired == obj)


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


def _drifted(live: Object, desired: Object, drift: Drift) -> tuple[Change, ...]:
    return tuple(
        Change(path=readable(path), before=value_at(live, path), after=value_at(desired, path))
        for path in (*drift.lost, *drift.added)
    )


def _rejected(obj: Object, live: Object, error: ClusterError | None) -> Step:
    key = key_of(obj)
    if key.kind == "Namespace" and isinstance(error, Refused):
        return Keep(key=key, reason="we may not change it; used as it is")
    if not isinstance(error, Immutable):
        return _refused(key, error)
    if key.kind in _RECREATED:
        return Recreate(desired=obj, live=live, reason=error.cause)
    return Refuse(key=key, reason=f"it holds data and cannot change in place: {error.cause}")


def _refused(key: ObjectKey, error: ClusterError | None) -> Refuse:
    needs = kind_named(key.kind).needs
    if isinstance(error, Unserved) and needs:
        return Refuse(key=key, reason=f"this cluster does not know {key.kind}; install {needs}")
    cause = error.cause if error else "the server did not say why"
    return Refuse(key=key, reason=f"the server does not accept it: {cause}")


def _prune(
    app_name: str, desired: tuple[Object, ...], snapshot: Snapshot, policy: Policy
) -> Iterator[Step]:
    wanted = {key_of(obj) for obj in desired}
    leavers = sorted(
        (obj for key, obj in snapshot.live.items() if key not in wanted),
        key=lambda obj: (order_of(obj), obj["metadata"]["name"]),
        reverse=True,
    )
    claimed = tuple(_claim_prefixes(desired))
    for obj in leavers:
        key = key_of(obj)
        in_use = key.kind == "PersistentVolumeClaim" and key.name.startswith(claimed)
        # Nothing describes the record of the releases; it lives as long as the app.
        in_use = in_use or (bool(desired) and key == record_key(app_name))
        if in_use or owner_of(obj, app_name) != "us":
            continue
        if obj["metadata"].get("deletionTimestamp"):
            yield Hold(key=key, reason="it is being deleted")
        elif not policy.prune:
            yield Keep(key=key, reason="no longer wanted, but pruning is off")
        elif _holds_data(obj) and not policy.data:
            yield Keep(key=key, reason="it holds data; only --destroy --data deletes it")
        else:
            yield Delete(live=obj)


def _holds_data(obj: Object) -> bool:
    """Whether it is lost with the object; a Secret from a manifest is still in the manifest."""
    kept = kind_named(obj["kind"]).prune == "keep-data"
    return kept and not (obj["kind"] == "Secret" and is_extra(obj))


def _claim_prefixes(desired: Iterable[Object]) -> Iterator[str]:
    """What the names of the volumes of desired StatefulSets begin with."""
    for obj in desired:
        if obj["kind"] == "StatefulSet":
            for template in obj["spec"].get("volumeClaimTemplates") or ():
                yield f"{template['metadata']['name']}-{obj['metadata']['name']}-"
