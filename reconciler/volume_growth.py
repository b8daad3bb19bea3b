"""Why the volumes of a StatefulSet do not follow jac.toml, and what to do. Pure.

The server takes no change of `volumeClaimTemplates`, and what it says of that names no way out. It
changes when volumes are grown by us.
"""

from typing import Any

from jac_converge.config.quantity import memory_bytes
from jac_converge.reconciler.objects import Object

__all__ = ["volume_advice"]


def volume_advice(desired: Object, live: Object) -> str:
    """What a person can do about each claim that differs; empty where none does."""
    before = {claim["metadata"]["name"]: claim.get("spec") or {} for claim in _claims(live)}
    found = (
        _advice(live["metadata"], claim["metadata"]["name"], before[name], claim.get("spec") or {})
        for claim in _claims(desired)
        if (name := claim["metadata"]["name"]) in before
    )
    return "; ".join(advice for advice in found if advice)


def _claims(obj: Object) -> list[dict[str, Any]]:
    return obj["spec"].get("volumeClaimTemplates") or []


def _advice(owner: dict[str, Any], name: str, before: Object, after: Object) -> str:
    kept = before.get("storageClassName")
    if after.get("storageClassName") not in {None, kept}:
        return f"a volume keeps its class: put storage_class back to {kept!r}"
    try:
        wanted = after["resources"]["requests"]["storage"]
        was = before["resources"]["requests"]["storage"]
        more = memory_bytes(wanted) - memory_bytes(was)
    except (KeyError, ValueError):
        # Not ours to begin with: whoever made it may have spelled it in any way.
        return ""
    if more < 0:
        return f"a volume does not shrink: put storage back to {was!r}"
    if more == 0:
        return ""
    kubectl, own = f"kubectl -n {owner['namespace']}", owner["name"]
    patch = f'{{"spec":{{"resources":{{"requests":{{"storage":"{wanted}"}}}}}}}}'
    return (
        f"a volume grows by hand, if its StorageClass lets it: {kubectl} patch pvc {name}-{own}-0 "
        f"-p '{patch}' && {kubectl} delete statefulset {own} --cascade=orphan; then it is created "
        "again around its pod, which does not restart"
    )
