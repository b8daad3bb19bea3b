"""Volumes that are smaller than jac.toml says: which, whether they may grow, and around what. Pure.

A volume grows by its claim, and the server says in a dry run whether its StorageClass lets it. A
StatefulSet does not take another size for its volumes in place: it is deleted without its pods and
volumes, and created again around them. Everything is derived from what is there, so that a run
that died halfway is finished by the next one. It changes when Kubernetes does any of this itself
(KEP-4650).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from jac_converge.config.quantity import memory_bytes
from jac_converge.reconciler.differences import Change, changes_asked, covers
from jac_converge.reconciler.drift import additions, readable, value_at
from jac_converge.reconciler.objects import CLAIM, Object, ObjectKey, key_of
from jac_converge.reconciler.ownership import FIELD_MANAGER, owner_of
from jac_converge.reconciler.pod_trouble import condition_of, cut
from jac_converge.reconciler.snapshot import Policy, Snapshot
from jac_converge.reconciler.steps import (
    OWNERS,
    VOLUME_SIZE,
    Hold,
    Keep,
    Recreate,
    Refuse,
    Update,
    left_alone,
)

__all__ = [
    "adoption_steps",
    "claims_of",
    "growing_claims",
    "growth_steps",
    "is_premature",
    "regrown",
    "shrinking",
    "shrunk",
    "volume_note",
]

_CONDITIONS: Final = (
    "ControllerResizeError",
    "NodeResizeError",
    "FileSystemResizePending",
    "Resizing",
)
"""What a claim tells of its growth; the worst first."""

_FINAL: Final = ("podManagementPolicy", "selector", "serviceName")
"""Of a StatefulSet: what else does not change in place, since its pods hang on it."""


def claims_of(desired: Iterable[Object]) -> Iterator[ObjectKey]:
    """The claims that desired StatefulSets use, there or not."""
    for obj in desired:
        if obj["kind"] == "StatefulSet":
            yield from _claims(obj)


def growing_claims(desired: Iterable[Object], live: Mapping[ObjectKey, Object]) -> Iterator[Object]:
    """What to apply to each claim that is smaller than it should be: its size, and its labels."""
    for claim, template in _used(desired, live):
        wanted = _size_of(template)
        if 0 < _bytes(_size_of(claim)) < _bytes(wanted):
            yield _sized(claim, template, wanted)


def adoption_steps(
    app_name: str, desired: Iterable[Object], live: Mapping[ObjectKey, Object]
) -> Iterator[Update]:
    """Put our labels on each claim that a StatefulSet uses, and that nobody else's stand on.

    By them it is found again: when a password is to be minted, and when all data is to go.
    """
    for claim, template in _used(desired, live):
        marks, found = _labels(template), _labels(claim)
        if owner_of(claim, app_name) != "another app" and not marks.items() <= found.items():
            told = Change(path=OWNERS, before=None, after=FIELD_MANAGER)
            marked = _sized(claim, template, _size_of(claim))
            yield Update(desired=marked, live=claim, changes=(told,))


def growth_steps(
    app_name: str, desired: Iterable[Object], snapshot: Snapshot, policy: Policy
) -> Iterator[Update | Keep]:
    """Decide about every claim that is smaller than it should be.

    Args:
        app_name: name of the app, as its labels carry it.
        desired: every object that should be there.
        snapshot: has a preview for each of `growing_claims`.
        policy: what the plan may do.
    """
    for obj in desired:
        # Where jac.toml says what it said before, somebody else made the difference.
        left = policy.mode != "heal" and snapshot.accepted(obj)
        for wanted in growing_claims((obj,), snapshot.live):
            key = key_of(wanted)
            live = snapshot.live[key]
            before, after = _size_of(live), _size_of(wanted)
            changes = (Change(path=VOLUME_SIZE, before=before, after=after),)
            if left:
                yield left_alone(key, changes, told=policy.mode == "warn")
            elif obstacle := _claim_obstacle(app_name, key, snapshot, policy):
                yield Keep(key=key, reason=f"it stays at {before}: {obstacle}")
            else:
                yield Update(desired=wanted, live=live, changes=changes)


def shrunk(obj: Object, live: Mapping[ObjectKey, Object]) -> Refuse | None:
    """Refuse a StatefulSet that is to be made around a volume larger than it says."""
    if obj["kind"] == "StatefulSet" and (why := next(_too_large(obj, live), "")):
        return Refuse(key=key_of(obj), reason=f"it finds a volume of before: {why}")
    return None


def regrown(
    app_name: str, obj: Object, live: Object, snapshot: Snapshot, policy: Policy
) -> Recreate | Refuse | Hold | None:
    """Decide about a StatefulSet that cannot change in place; None: not for its volumes' sake."""
    if _names(obj) != _names(live):
        return None
    why = _another_class(obj, live)
    if not why and not _differs_in_size_alone(obj, live):
        return None
    if (leaving := _leaving(obj, snapshot.live)) and not why:
        return leaving
    if why := why or next(_obstacles(app_name, obj, live, snapshot, policy), ""):
        reason = f"it holds data and cannot change in place: {why}"
        return Refuse(key=key_of(obj), reason=reason)
    pods = "its pods roll to what else changed" if _rolls(obj, live) else "no pod restarts"
    reason = f"the size of its volumes does not change in place; volumes stay, {pods}"
    changes = tuple(_template_changes(obj, live))
    return Recreate(desired=obj, live=live, reason=reason, leaves_pods=True, changes=changes)


def is_premature(step: Recreate, failed: Collection[ObjectKey]) -> bool:
    """Whether a StatefulSet waits for a volume of its own that did not grow; the next plan tries.

    Args:
        step: what is to be done to it.
        failed: objects of the steps before that failed.
    """
    return step.leaves_pods and any(key in failed for key in _claims(step.desired))


def volume_note(claim: Object) -> str:
    """What a person should know of a volume: it is about to go, or grows; empty where neither.

    >>> grown = {"spec": {"resources": {"requests": {"storage": "9Gi"}}},
    ...          "status": {"capacity": {"storage": "9Gi"}}, "metadata": {}}
    >>> volume_note(grown)
    ''
    """
    if claim["metadata"].get("deletionTimestamp"):
        return _loss(key_of(claim))
    wanted = _size_of(claim)
    now = str(((claim.get("status") or {}).get("capacity") or {}).get("storage") or "")
    if not 0 < _bytes(now) < _bytes(wanted):
        return ""
    told = f"{key_of(claim)} grows from {now} to {wanted}"
    for name in _CONDITIONS:
        condition = condition_of(claim, name)
        if condition.get("status") == "True":
            words = cut(condition.get("message", ""))
            return f"{told} ({name}{f': {words}' if words else ''})"
    return told


def _loss(key: ObjectKey) -> str:
    lost = "its data goes with the next restart of the pod: save it first"
    return f"{key} is being deleted, and {lost}"


def _leaving(obj: Object, live: Mapping[ObjectKey, Object]) -> Hold | None:
    """Leave a StatefulSet alone whose pod is the last that holds a volume."""
    for key in _claims(obj):
        if (claim := live.get(key)) and claim["metadata"].get("deletionTimestamp"):
            return Hold(key=key_of(obj), reason=_loss(key))
    return None


def _too_large(obj: Object, live: Mapping[ObjectKey, Object]) -> Iterator[str]:
    found = (shrinking(claim, template) for claim, template in _used((obj,), live))
    yield from filter(None, found)


def shrinking(live: Object, wanted: Object) -> str:
    """What to do about a claim that is to be smaller than it is; empty where it is not.

    >>> claim = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    >>> shrinking(claim, claim)
    ''
    """
    if _bytes(size := _size_of(live)) > _bytes(_size_of(wanted)):
        return f"a volume does not shrink: put storage back to {size!r}"
    return ""


def _obstacles(
    app_name: str, obj: Object, live: Object, snapshot: Snapshot, policy: Policy
) -> Iterator[str]:
    """What keeps a StatefulSet from another size of its volumes, and what to do."""
    templates = {it["metadata"]["name"]: it for it in _templates(live)}
    for template in _templates(obj):
        for key in _claims_of_template(obj, template):
            # Where there is none yet, its controller may be about to make one of the old size.
            there = snapshot.live.get(key) or templates[template["metadata"]["name"]]
            if why := shrinking(there, template):
                yield why
    for grown in growing_claims((obj,), snapshot.live):
        key = key_of(grown)
        if obstacle := _claim_obstacle(app_name, key, snapshot, policy):
            yield f"{key}: {obstacle}"
    retention = live["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    if retention.get("whenDeleted", "Retain") != "Retain":
        yield "put its persistentVolumeClaimRetentionPolicy back to whenDeleted: Retain first"


def _claim_obstacle(app_name: str, key: ObjectKey, snapshot: Snapshot, policy: Policy) -> str:
    """Why a claim cannot grow, and what to do; empty where it can."""
    claim, preview = snapshot.live[key], snapshot.previews.get(key)
    back = f"put storage back to {_size_of(claim)!r}"
    owner = owner_of(claim, app_name)
    if owner != "us" and not (policy.adopt and owner == "nobody"):
        return f"it is not ours; make it grow by hand, or {back}"
    if preview is None or preview.answer is not None:
        return ""
    cause = preview.rejected.cause if preview.rejected else "nobody knows why"
    # The classes themselves we may not be allowed to read; the server always looks.
    if (name := claim["spec"].get("storageClassName")) and "must support resize" in cause:
        patch = f"kubectl patch storageclass {name} -p '{{\"allowVolumeExpansion\":true}}'"
        return f"its StorageClass {name} lets no volume grow; {patch} if its driver can, or {back}"
    return f"the server does not let it grow: {cause}; mend that, or {back}"


def _another_class(obj: Object, live: Object) -> str:
    for there, wanted in zip(_templates(live), _templates(obj), strict=True):
        kept = there["spec"].get("storageClassName")
        if wanted["spec"].get("storageClassName") not in {None, kept}:
            return f"a volume keeps its class: put storage_class back to {kept!r}"
    return ""


def _differs_in_size_alone(obj: Object, live: Object) -> bool:
    """Whether nothing but the size of volumes stands in the way of a change in place."""
    wanted, there = obj["spec"], live["spec"]
    pairs = [*zip(_templates(live), _templates(obj), strict=True)]
    return (
        any(_bytes(_size_of(one)) != _bytes(_size_of(two)) for one, two in pairs)
        and all(covers(_without_size(one), _without_size(two)) for one, two in pairs)
        and all(wanted[name] == there.get(name) for name in _FINAL if name in wanted)
    )


def _rolls(obj: Object, live: Object) -> bool:
    """Whether the new StatefulSet's pods are others than the old one's."""
    template = ("f:spec", "f:template")
    added = (path for _, paths in additions(live) for path in paths)
    return not covers(live["spec"].get("template"), obj["spec"].get("template")) or any(
        path[:2] == template for path in added
    )


def _used(
    desired: Iterable[Object], live: Mapping[ObjectKey, Object]
) -> Iterator[tuple[Object, Object]]:
    """Each claim that is there to stay and that a StatefulSet uses, and the template of it."""
    for obj in desired:
        if obj["kind"] != "StatefulSet":
            continue
        for template in _templates(obj):
            for key in _claims_of_template(obj, template):
                claim = live.get(key)
                if claim is not None and not claim["metadata"].get("deletionTimestamp"):
                    yield claim, template


def _template_changes(obj: Object, live: Object) -> Iterator[Change]:
    path = "spec.template"
    yield from changes_asked(path, live["spec"].get("template"), obj["spec"].get("template"))
    for _, paths in additions(live):
        for added in paths:
            if added[:2] == ("f:spec", "f:template"):
                yield Change(path=readable(added), before=value_at(live, added), after=None)


def _claims(obj: Object) -> dict[ObjectKey, str]:
    """Each claim that a StatefulSet uses, and the size it should have."""
    return {
        key: _size_of(template)
        for template in _templates(obj)
        for key in _claims_of_template(obj, template)
    }


def _claims_of_template(obj: Object, template: Object) -> Iterator[ObjectKey]:
    """No more than its pods use, whatever else has such a name."""
    name, own = template["metadata"]["name"], obj["metadata"]["name"]
    for ordinal in range(int(obj["spec"].get("replicas", 1))):
        yield ObjectKey(CLAIM, f"{name}-{own}-{ordinal}")


def _names(obj: Object) -> list[str]:
    return [template["metadata"]["name"] for template in _templates(obj)]


def _templates(obj: Object) -> list[Object]:
    templates = obj["spec"].get("volumeClaimTemplates") or ()
    return [{**it, "spec": it.get("spec") or {}} for it in templates]


def _size_of(claim: Object) -> str:
    """The size that a claim, or the template of one, asks for; empty where it asks for none."""
    resources = (claim.get("spec") or {}).get("resources") or {}
    return str((resources.get("requests") or {}).get("storage") or "")


def _bytes(size: str) -> int:
    """Bytes, or 0: whoever made it may have spelled it in any way."""
    try:
        return memory_bytes(size)
    except ValueError:
        return 0


def _without_size(template: Object) -> Object:
    spec = {key: value for key, value in template["spec"].items() if key != "resources"}
    return {**template, "spec": spec}


def _labels(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}


def _sized(claim: Object, template: Object, size: str) -> Object:
    """With the UID, so that no other claim of that name is meant.

    Each apply says size and labels: what one leaves out, the server takes away.
    """
    metadata = claim["metadata"]
    head = {"name": metadata["name"], "uid": metadata["uid"]}
    labels = _labels(template)
    return {
        "apiVersion": "v1",
        "kind": CLAIM,
        "metadata": {**head, "labels": labels} if labels else head,
        "spec": {"resources": {"requests": {"storage": size}}},
    }
