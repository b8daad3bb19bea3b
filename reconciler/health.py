"""How an object is doing, in one word and one sentence. Pure.

The rules are kstatus's; what it cannot know, the pods tell: why a container does not start. It
changes when a kind of ours gets a new way to be unwell.

Source: sigs.k8s.io/cli-utils, pkg/kstatus/status/core.go.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jac_converge.reconciler.differences import covers
from jac_converge.reconciler.objects import Object
from jac_converge.reconciler.pod_trouble import Trouble, condition_of, cut, trouble_of

__all__ = ["Health", "health_of"]

type State = Literal["current", "progressing", "failed"]

_ROUTE_CONDITIONS = frozenset({"Accepted", "ResolvedRefs"})
_UNSEEN = "waiting for its controller to see the change"

# "ReplicaSet "shop-5d9" is progressing.", "Created new replica set "shop-5d9"": since 1.6.
_REPLICA_SET = re.compile(r'replica ?set "([^"]+)"', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How one object is doing."""

    state: State
    """current: as desired; progressing: on the way; failed: not without a change."""
    sentence: str
    """Why; lower case, no full stop."""


def health_of(obj: Object, pods: Iterable[Object] = ()) -> Health:
    """Judge a live object.

    Args:
        obj: as the server has it.
        pods: those of the app, for the reasons of a workload; others are left out by themselves.

    >>> health_of({"kind": "ConfigMap", "metadata": {"name": "shop-config"}}).state
    'current'
    """
    if obj["metadata"].get("deletionTimestamp"):
        return _progressing(_deletion(obj))
    judge = _JUDGES.get(obj["kind"])
    return judge(obj, tuple(pods)) if judge else _current("it is there")


def _deployment(obj: Object, pods: tuple[Object, ...]) -> Health:
    wanted, status = int(obj["spec"].get("replicas", 1)), _status(obj)
    if not _observed(obj):
        return _progressing(_UNSEEN)
    updated, available = _count(status, "updatedReplicas"), _count(status, "availableReplicas")
    old = _count(status, "replicas") - updated
    # While old replicas answer, enough are available: what the new ones lack, this count says.
    missing = max(wanted - available, _count(status, "unavailableReplicas") if old > 0 else 0)
    if updated < wanted:
        waiting = f"waiting for {_of(wanted - updated, wanted)} to be updated"
    elif missing > 0:
        waiting = f"waiting for {_of(min(missing, wanted), wanted)} to be available"
    elif old > 0:
        return _progressing(f"waiting for {_plural(old, 'old replica')} to end")
    else:
        return _current(f"{available} of {_plural(wanted, 'replica')} available")
    failure, progress = condition_of(obj, "ReplicaFailure"), condition_of(obj, "Progressing")
    if failure.get("status") == "True":
        words = cut(failure.get("message", ""))
        # Whatever forbids a pod (a quota, pod security) will forbid the next one too.
        state: State = "failed" if "forbidden" in words else "progressing"
        return Health(state=state, sentence=f"{waiting}; no pod can be made: {words}")
    # With no pod of this version yet, there is none to blame.
    troubles = map(trouble_of, _current_pods(obj, pods, progress)) if updated else ()
    overdue = progress.get("reason") == "ProgressDeadlineExceeded"
    return _with_troubles(waiting, troubles, overdue=overdue)


def _current_pods(
    obj: Object, pods: Iterable[Object], progress: Mapping[str, Any]
) -> Sequence[Object]:
    """The pods of a Deployment's current version.

    Those made from its template as it is now. Where something rewrites pods on their way in, none
    looks like that: then the ReplicaSet that the controller last spoke of has to do. It comes
    second because, after a change back, that is the wrong one for a moment.
    """
    own = tuple(pod for pod in _pods_of(obj, pods) if _is_replica_of(obj, pod))
    made = tuple(pod for pod in own if _is_made_from(obj["spec"]["template"], pod))
    named = _REPLICA_SET.search(progress.get("message", ""))
    if made or named is None:
        return made or own
    owner = ("ReplicaSet", named[1])
    return tuple(pod for pod in own if owner in _owners(pod))


def _is_replica_of(deployment: Object, pod: Object) -> bool:
    """Whether a ReplicaSet of this Deployment made a pod, and not somebody by hand."""
    prefix = f"{deployment['metadata']['name']}-"
    return any(kind == "ReplicaSet" and name.startswith(prefix) for kind, name in _owners(pod))


def _is_made_from(template: Mapping[str, Any], pod: Object) -> bool:
    marks: Mapping[str, Any] = template.get("metadata") or {}
    return covers(pod["spec"], template["spec"]) and all(
        covers(pod["metadata"].get(key) or {}, marks.get(key) or {})
        for key in ("labels", "annotations")
    )


def _stateful_set(obj: Object, pods: tuple[Object, ...]) -> Health:
    wanted, status = int(obj["spec"].get("replicas", 1)), _status(obj)
    if not _observed(obj):
        return _progressing(_UNSEEN)
    ready = _count(status, "readyReplicas")
    rolling = status.get("currentRevision") != status.get("updateRevision")
    updated = _count(status, "updatedReplicas") if rolling else wanted
    if ready < wanted:
        waiting = f"waiting for {_of(wanted - ready, wanted)} to be ready"
    elif updated < wanted:
        waiting = f"waiting for {_of(wanted - updated, wanted)} to be updated"
    elif (extra := _count(status, "replicas") - wanted) > 0:
        waiting = f"waiting for {_plural(extra, 'replica')} to end"
    else:
        return _current(f"{ready} of {_plural(wanted, 'replica')} ready")
    revision = status.get("updateRevision")
    return _with_troubles(waiting, (_outdated(pod, revision) for pod in _pods_of(obj, pods)))


def _outdated(pod: Object, revision: str | None) -> Trouble | None:
    """Add that the controller waits for a broken pod of the previous revision, for ever."""
    trouble = trouble_of(pod)
    labels: Mapping[str, str] = pod["metadata"].get("labels") or {}
    if trouble is None or labels.get("controller-revision-hash") in {revision, None}:
        return trouble
    return Trouble(
        pod=trouble.pod,
        hopeless=trouble.hopeless,
        sentence=f"{trouble.sentence}; it is of the previous revision: delete it to go on",
    )


def _pod(obj: Object, _: tuple[Object, ...]) -> Health:
    phase = _status(obj).get("phase")
    if phase == "Succeeded":
        return _current("it ran to its end")
    trouble = trouble_of(obj)
    if trouble is not None:
        ended = trouble.hopeless or phase == "Failed"
        return Health(state="failed" if ended else "progressing", sentence=trouble.sentence)
    return _current("it is ready")


def _claim(obj: Object, _: tuple[Object, ...]) -> Health:
    phase = _status(obj).get("phase")
    if phase == "Bound":
        return _current("it is bound to a volume")
    if phase == "Lost":
        return Health(state="failed", sentence="its volume is gone")
    return _progressing("waiting for a volume")


def _autoscaler(obj: Object, _: tuple[Object, ...]) -> Health:
    able, active = condition_of(obj, "AbleToScale"), condition_of(obj, "ScalingActive")
    if able.get("status") == "False":
        return _progressing(
            f"it cannot scale ({able.get('reason')}): {cut(able.get('message', ''))}"
        )
    # Metrics of new pods take a minute, and for ever where no metrics server runs: the app is as
    # desired all the same. Zero replicas switch an autoscaler off, which is somebody's wish.
    if active.get("status") == "False" and active.get("reason") != "ScalingDisabled":
        return _current(
            f"it does not scale ({active.get('reason')}): {cut(active.get('message', ''))}"
        )
    return _current("it scales" if active else "it is there")


def _budget(obj: Object, _: tuple[Object, ...]) -> Health:
    if not _observed(obj):
        return _progressing(_UNSEEN)
    status = _status(obj)
    healthy, desired = _count(status, "currentHealthy"), _count(status, "desiredHealthy")
    if healthy < desired:
        return _progressing(f"waiting for {_plural(desired - healthy, 'more healthy pod')}")
    return _current(f"{_plural(healthy, 'healthy pod')}, {desired} needed")


def _service(obj: Object, _: tuple[Object, ...]) -> Health:
    balanced = obj["spec"].get("type") == "LoadBalancer"
    if balanced and not (_status(obj).get("loadBalancer") or {}).get("ingress"):
        return _progressing("waiting for an address from the load balancer")
    return _current("it is there")


def _job(obj: Object, _: tuple[Object, ...]) -> Health:
    failure = condition_of(obj, "Failed")
    if failure.get("status") == "True":
        return Health(state="failed", sentence=f"it failed: {cut(failure.get('message', ''))}")
    if condition_of(obj, "Complete").get("status") == "True":
        return _current("it is done")
    if obj["spec"].get("suspend"):
        return _current("it is suspended")
    active, failed = _count(_status(obj), "active"), _count(_status(obj), "failed")
    return _progressing(f"waiting for its end; {_plural(active, 'pod')} at work, {failed} failed")


def _route(obj: Object, _: tuple[Object, ...]) -> Health:
    told = [
        condition
        for parent in _status(obj).get("parents") or ()
        for condition in parent.get("conditions") or ()
        if condition.get("observedGeneration", 0) >= obj["metadata"].get("generation", 0)
    ]
    if not told:
        name = obj["spec"]["parentRefs"][0]["name"]
        return _progressing(f"waiting for Gateway {name} to take the route")
    for condition in told:
        if condition["type"] in _ROUTE_CONDITIONS and condition["status"] == "False":
            return Health(state="failed", sentence=cut(condition.get("message", "")))
    return _current("its Gateway takes it")


_JUDGES: Mapping[str, Callable[[Object, tuple[Object, ...]], Health]] = {
    "Deployment": _deployment,
    "HTTPRoute": _route,
    "HorizontalPodAutoscaler": _autoscaler,
    "Job": _job,
    "PersistentVolumeClaim": _claim,
    "Pod": _pod,
    "PodDisruptionBudget": _budget,
    "Service": _service,
    "StatefulSet": _stateful_set,
}


def _deletion(obj: Object) -> str:
    holding = "; ".join(
        cut(condition.get("message", ""))
        for kind in ("NamespaceContentRemaining", "NamespaceFinalizersRemaining")
        if (condition := condition_of(obj, kind)).get("status") == "True"
    )
    if finalizers := obj["metadata"].get("finalizers"):
        holding = f"finalizers: {', '.join(finalizers)}"
    return f"it is being deleted ({holding})" if holding else "it is being deleted"


def _with_troubles(
    waiting: str, found: Iterable[Trouble | None], *, overdue: bool = False
) -> Health:
    """Say what is waited for, and the worst reason why that takes so long."""
    troubles = sorted(
        (trouble for trouble in found if trouble), key=lambda t: (not t.hopeless, t.pod)
    )
    late = "; no progress within its deadline" if overdue else ""
    if not troubles:
        return Health(state="failed" if overdue else "progressing", sentence=waiting + late)
    worst, more = troubles[0], len(troubles) - 1
    others = f" (and {_plural(more, 'pod')} more)" if more else ""
    return Health(
        state="failed" if worst.hopeless or overdue else "progressing",
        sentence=f"{waiting}{late}; pod {worst.pod}: {worst.sentence}{others}",
    )


def _pods_of(workload: Object, pods: Iterable[Object]) -> Iterator[Object]:
    """The pods that a workload selects, without those on their way out."""
    selecting: Mapping[str, str] = workload["spec"]["selector"]["matchLabels"]
    for pod in pods:
        metadata = pod["metadata"]
        labels: Mapping[str, str] = metadata.get("labels") or {}
        if not metadata.get("deletionTimestamp") and selecting.items() <= labels.items():
            yield pod


def _owners(pod: Object) -> set[tuple[str, str]]:
    return {
        (owner["kind"], owner["name"]) for owner in pod["metadata"].get("ownerReferences") or ()
    }


def _current(sentence: str) -> Health:
    return Health(state="current", sentence=sentence)


def _progressing(sentence: str) -> Health:
    return Health(state="progressing", sentence=sentence)


def _status(obj: Object) -> Mapping[str, Any]:
    return obj.get("status") or {}


def _observed(obj: Object) -> bool:
    """Whether the status is about the object as it is now."""
    return bool(_status(obj).get("observedGeneration", -1) >= obj["metadata"].get("generation", 0))


def _count(status: Mapping[str, Any], key: str) -> int:
    return int(status.get(key) or 0)


def _of(part: int, whole: int) -> str:
    return f"{part} of {_plural(whole, 'replica')}"


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
