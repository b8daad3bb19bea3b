"""What becomes of objects of ours that are no longer desired. Pure.

It changes when another kind of object turns out to be worth keeping.
"""

from collections.abc import Iterable, Iterator

from jac_converge.reconciler.objects import Object, key_of, kind_named
from jac_converge.reconciler.ownership import is_extra, order_of, owner_of
from jac_converge.reconciler.releases import record_key
from jac_converge.reconciler.snapshot import Policy, Snapshot
from jac_converge.reconciler.steps import Delete, Hold, Keep, Step

__all__ = ["finalizers_of", "prune_steps"]


def prune_steps(
    app_name: str, desired: tuple[Object, ...], snapshot: Snapshot, policy: Policy
) -> Iterator[Step]:
    """Decide about every live object of the app that is not desired."""
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
            yield Hold(key=key, reason=f"it is being deleted{finalizers_of(obj)}")
        elif _holds_data(obj) and not policy.data:
            yield Keep(key=key, reason="it holds data; only --destroy --data deletes it")
        else:
            yield Delete(live=obj)


def finalizers_of(obj: Object) -> str:
    """What a deletion waits for, in brackets; empty where nothing is known."""
    finalizers = ", ".join(obj["metadata"].get("finalizers") or ())
    return f" (finalizers: {finalizers})" if finalizers else ""


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
