"""Plan x cluster -> outcome. The only caller of the cluster's writes.

One step that fails does not stop those behind it, unless they cannot succeed either: without the
namespace, or without the cluster.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Event

from jac_converge.reconciler.cluster import Cluster
from jac_converge.reconciler.drift import additions, owned_fields, readable, taken_over, value_at
from jac_converge.reconciler.errors import ClusterError, Conflict, Immutable, Invalid, Unreachable
from jac_converge.reconciler.ignoring import Rules, is_left
from jac_converge.reconciler.objects import Object, ObjectKey, key_of, kind_named
from jac_converge.reconciler.ownership import HANDOVER_MANAGER
from jac_converge.reconciler.removal import removal_of
from jac_converge.reconciler.retry import retried
from jac_converge.reconciler.snapshot import Baseline
from jac_converge.reconciler.steps import Create, Delete, Plan, Recreate, Update
from jac_converge.reconciler.volume_growth import is_premature

__all__ = ["Outcome", "Result", "Write", "apply_plan"]

OWNERSHIP_ATTEMPTS = 5
"""Tries to take over an object that others write to at the same time."""

type Write = Create | Update | Recreate | Delete


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one step."""

    step: Write
    at: float
    """When its answer came, in monotonic seconds."""
    error: ClusterError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a plan."""

    plan: Plan
    results: tuple[Result, ...] = ()
    baselines: Mapping[ObjectKey, Baseline] = field(default_factory=dict)
    """For each object that was applied: what the server accepted."""

    @property
    def errors(self) -> tuple[ClusterError, ...]:
        """The errors of the steps that failed."""
        return tuple(result.error for result in self.results if result.error)


def apply_plan(
    plan: Plan,
    cluster: Cluster,
    *,
    expect: Callable[[Object], None],
    clock: Callable[[], float],
    stop: Event,
    patience: float,
    allowed: Callable[[], bool] = lambda: True,
) -> Outcome:
    """Take every step of a plan, in order.

    Args:
        plan: what to do.
        cluster: where.
        expect: gets each object that was written, as the server answered it.
        clock: monotonic seconds.
        stop: ends it before the next step.
        patience: seconds to keep trying one request while the error is transient.
        allowed: whether we still may write; asked before each try of each step.
    """
    results: list[Result] = []
    baselines: dict[ObjectKey, Baseline] = {}
    for step in plan.writes:
        if stop.is_set():
            break
        failed = {result.step.key for result in results if result.error}
        if isinstance(step, Recreate) and is_premature(step, failed):
            continue
        error: ClusterError | None = None
        try:
            take = partial(_take_if, allowed, step, cluster)
            answer = retried(take, stop=stop, patience=patience)
        except ClusterError as exc:
            error = exc
        else:
            if answer is not None and not isinstance(step, Recreate | Delete):
                expect(answer)
                baselines[step.key] = Baseline(desired=step.desired, fields=owned_fields(answer))
        results.append(Result(step=step, at=clock(), error=error))
        if isinstance(error, Unreachable) or (error and step.key.kind == "Namespace"):
            break
        if error and not allowed():
            break
    return Outcome(plan=plan, results=tuple(results), baselines=baselines)


def _take_if(allowed: Callable[[], bool], step: Write, cluster: Cluster) -> Object | None:
    if not allowed():
        raise Conflict(f"{step.key} {step.verb}", "another process may keep this app converged now")
    return _take(step, cluster)


def _take(step: Write, cluster: Cluster) -> Object | None:
    match step:
        case Create(desired=desired, replicas=replicas):
            if replicas is None:
                return cluster.apply(desired)
            cluster.apply({**desired, "spec": {**desired["spec"], "replicas": replicas}})
            return _hand_over_and_apply(cluster, desired, replicas)
        case Update(desired=desired, live=live, replicas=replicas, drift=drift, ignore=ignore):
            if _is_only_added(step) and (answer := _take_out(cluster, live)):
                return answer
            guarded = _only_this(desired, live)
            if drift and drift.added:
                _take_over(cluster, live, ignore)
            if replicas is None:
                return cluster.apply(guarded)
            return _hand_over_and_apply(cluster, guarded, replicas)
        case Recreate(live=live, leaves_pods=True):
            # In the version that was judged: what it says of its volumes decides what is safe.
            cluster.delete(live, unchanged=True, alone=True)
            return None
        case Recreate(live=live) | Delete(live=live):
            cluster.delete(live)
            return None


def _only_this(desired: Object, live: Object) -> Object:
    """With the UID, so that an object that was deleted meanwhile answers 409, not a new life."""
    return {**desired, "metadata": {**desired["metadata"], "uid": live["metadata"]["uid"]}}


def _is_only_added(step: Update) -> bool:
    """Whether something beside our fields is all that is wrong, and no part of it may stay."""
    drift = step.drift
    return (
        drift is not None
        and not step.takes_over
        and not drift.lost
        and not step.ignore
        # Nor is it, before the server knows what is ours.
        and all(value_at(step.desired, path) is None for path in drift.added)
        # Not so where somebody applied under our name.
        and {*drift.added} == {path for _, paths in additions(step.live) for path in paths}
        and {change.path for change in step.changes} == {*map(readable, drift.added)}
    )


def _take_out(cluster: Cluster, live: Object) -> Object | None:
    """Remove every addition in one request; None: there is more to do."""
    patch = removal_of(live)
    if patch is None:
        return None
    try:
        answer = cluster.patch(live, patch)
    except (Immutable, Invalid):
        # It cannot do without, or is not as it was: the longer way finds out.
        return None
    # A default in the place of what was removed counts as written by us, beside our apply. And a
    # field that we lost meanwhile must not pass for one that we never had.
    clean = not any(additions(answer)) and owned_fields(answer) == owned_fields(live)
    return answer if clean else None


def _take_over(cluster: Cluster, live: Object, ignore: Rules) -> None:
    """Make every foreign addition ours, also while a controller writes to the same object."""
    for _ in range(OWNERSHIP_ATTEMPTS):
        try:
            cluster.patch_ownership(live, taken_over(live, partial(is_left, ignore, live)))
        except Invalid:
            # The guard on the version failed: look again at what is there now.
            found = cluster.get(kind_named(live["kind"]), live["metadata"]["name"])
            if found is None:
                return
            live = found
        else:
            return
    raise Conflict(str(key_of(live)), "it changes faster than it can be put back")


def _hand_over_and_apply(cluster: Cluster, desired: Object, replicas: int) -> Object:
    """Let go of the replicas without dropping the count to 1: another manager holds it meanwhile.

    Source: Kubernetes documentation, "Server-Side Apply", transferring ownership.
    """
    holder = {
        "apiVersion": desired["apiVersion"],
        "kind": desired["kind"],
        "metadata": {"name": desired["metadata"]["name"]},
        "spec": {"replicas": replicas},
    }
    cluster.apply(holder, manager=HANDOVER_MANAGER)
    return cluster.apply(desired)
