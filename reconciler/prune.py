"""What becomes of objects of ours that are no longer desired. Pure.

It changes when another kind of object turns out to be worth keeping.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from jac_converge.reconciler.build.code import CODE, code_of
from jac_converge.reconciler.build.credentials import secret_name
from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.objects import CLAIM, Object, ObjectKey, key_of, kind_named
from jac_converge.reconciler.ownership import is_extra, order_of, owner_of
from jac_converge.reconciler.pod_trouble import condition_of, cut
from jac_converge.reconciler.releases import history_from, record_key
from jac_converge.reconciler.snapshot import Policy, Snapshot
from jac_converge.reconciler.steps import Delete, Hold, Keep, Step

__all__ = ["finalizers_of", "orphans", "prune_steps"]

_MADE: Final = "statefulset.kubernetes.io/pod-name"
"""Label of each pod that a StatefulSet made."""


def prune_steps(
    app_name: str, desired: tuple[Object, ...], snapshot: Snapshot, policy: Policy
) -> Iterator[Step]:
    """Decide about every live object of the app that is not desired."""
    wanted = {key_of(obj) for obj in desired}
    leavers = sorted(
        (
            *(obj for key, obj in snapshot.live.items() if key not in wanted),
            *orphans(app_name, desired, snapshot.pods),
        ),
        key=lambda obj: (order_of(obj), obj["metadata"]["name"]),
        reverse=True,
    )
    claimed = tuple(_claim_prefixes(desired))
    code = any(_holds_code(app_name, key_of(obj)) for obj in leavers)
    recorded = _recorded_code(app_name, snapshot) if desired and code else frozenset()
    strange = () if desired else tuple(_strange_volumes(app_name, leavers))
    for obj in leavers:
        key = key_of(obj)
        if key in strange:
            yield Keep(key=key, reason="it is not ours; it goes by hand only")
        in_use = key.kind == CLAIM and key.name.startswith(claimed)
        # Nothing describes the record of the releases; it lives as long as the app.
        in_use = in_use or (bool(desired) and key == record_key(app_name))
        in_use = in_use or (key.kind == "ConfigMap" and key.name in recorded)
        if in_use or owner_of(obj, app_name) != "us":
            continue
        if obj["metadata"].get("deletionTimestamp"):
            yield Hold(key=key, reason=f"it is being deleted{finalizers_of(obj)}")
        elif _holds_data(obj) and not policy.data:
            yield Keep(key=key, reason="it holds data; only --destroy --data deletes it")
        elif strange and key == ObjectKey("Secret", secret_name(app_name)):
            yield Keep(key=key, reason=f"{strange[0]} knows no other password, and is not ours")
        else:
            yield Delete(live=obj)


def orphans(app_name: str, desired: tuple[Object, ...], pods: Iterable[Object]) -> Iterator[Object]:
    """The app's pods that no workload has, nor will have: a run died between two of its steps.

    While the app is to stay, only those that a StatefulSet made: others a person has set free, to
    look at them.
    """
    stores = [obj["spec"].get("selector") or {} for obj in desired if obj["kind"] == "StatefulSet"]
    selecting = [selector.get("matchLabels") or {} for selector in stores]
    for pod in pods:
        metadata = pod["metadata"]
        labels: Mapping[str, str] = metadata.get("labels") or {}
        controlled = any(it.get("controller") for it in metadata.get("ownerReferences") or ())
        if controlled or owner_of(pod, app_name) != "us" or (desired and _MADE not in labels):
            continue
        if not any(selector.items() <= labels.items() for selector in selecting):
            yield pod


def finalizers_of(obj: Object) -> str:
    """What a deletion waits for, in brackets; empty where nothing is known."""
    finalizers = ", ".join(obj["metadata"].get("finalizers") or ())
    if finalizers:
        return f" (finalizers: {finalizers})"
    # A namespace waits for those of what is in it.
    inside = condition_of(obj, "NamespaceFinalizersRemaining")
    return f" ({cut(inside.get('message', ''))})" if inside.get("status") == "True" else ""


def _holds_code(app_name: str, key: ObjectKey) -> bool:
    return key.kind == "ConfigMap" and key.name.startswith(f"{app_name}-{CODE}-")


def _recorded_code(app_name: str, snapshot: Snapshot) -> frozenset[str]:
    """What pods of the version in force unpack, and those of each release that may come back."""
    deployment = snapshot.live.get(ObjectKey("Deployment", app_name))
    templates = [deployment["spec"]["template"]] if deployment else []
    if record := snapshot.live.get(record_key(app_name)):
        try:
            releases = history_from(record).releases
        except Invalid:
            # Nobody knows what it names: nothing is taken from it.
            return frozenset(key.name for key in snapshot.live if _holds_code(app_name, key))
        templates += [release.version.template for release in releases]
    return frozenset[str]().union(*map(code_of, templates))


def _holds_data(obj: Object) -> bool:
    """Whether it is lost with the object; a Secret from a manifest is still in the manifest."""
    kept = kind_named(obj["kind"]).prune == "keep-data"
    return kept and not (obj["kind"] == "Secret" and is_extra(obj))


def _strange_volumes(app_name: str, leavers: Iterable[Object]) -> Iterator[ObjectKey]:
    """The volumes that only their names connect with the app: they stay, whatever goes."""
    for obj in leavers:
        if obj["kind"] == CLAIM and owner_of(obj, app_name) != "us":
            yield key_of(obj)


def _claim_prefixes(desired: Iterable[Object]) -> Iterator[str]:
    """What the names of the volumes of desired StatefulSets begin with."""
    for obj in desired:
        if obj["kind"] == "StatefulSet":
            for template in obj["spec"].get("volumeClaimTemplates") or ():
                yield f"{template['metadata']['name']}-{obj['metadata']['name']}-"
