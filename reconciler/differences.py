"""Which fields differ between two descriptions of one object, by their values. Pure.

Who made the difference is `drift`'s matter. It changes when something else has to be left out of a
comparison, or is to be told another way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from jac_converge.reconciler.objects import Object

__all__ = ["Change", "changes_asked", "changes_between", "covers"]

REVISION: Final = "deployment.kubernetes.io/revision"
"""Annotation in which the controller of a Deployment counts roll-outs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One field, before and after."""

    path: str
    """Readable: `spec.template.spec.containers[web].image`."""
    before: Any
    """The live value; None when it is not there."""
    after: Any
    """The desired value; None when it should not be there."""


def changes_between(live: Object, desired: Object) -> tuple[Change, ...]:
    """Every field that differs, in order; bookkeeping and status are left out.

    Args:
        live: what the server has.
        desired: what a dry-run apply answers, so that defaults are filled in on both sides.
    """
    return tuple(_differences("", _comparable(live), _comparable(desired)))


def covers(whole: Any, part: Any) -> bool:
    """Whether everything in `part` is in `whole` too; admission only ever adds."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(key in whole and covers(whole[key], value) for key, value in part.items())
    if isinstance(whole, list) and isinstance(part, list):
        return all(any(covers(there, here) for there in whole) for here in part)
    return bool(whole == part)


def changes_asked(path: str, live: Any, desired: Any) -> Iterator[Change]:
    """Where `desired` is not covered; for what no server has filled the defaults in.

    >>> [it.path for it in changes_asked("spec", {"a": 1, "default": 2}, {"a": 3})]
    ['spec.a']
    """
    if isinstance(live, dict) and isinstance(desired, dict):
        for key in sorted(desired):
            yield from changes_asked(f"{path}.{key}", live.get(key), desired[key])
    elif isinstance(live, list) and isinstance(desired, list) and _named(live) and _named(desired):
        before = {item["name"]: item for item in live}
        for item in desired:
            yield from changes_asked(f"{path}[{item['name']}]", before.get(item["name"]), item)
    elif not covers(live, desired):
        yield Change(path=path, before=live, after=desired)


def _comparable(obj: Object) -> Object:
    metadata = {
        key: value
        for key, value in obj.get("metadata", {}).items()
        if key not in {"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid"}
    }
    # Counted by the controller of a Deployment, between our reading it and our dry run too.
    notes = {k: v for k, v in metadata.pop("annotations", {}).items() if k != REVISION}
    if notes:
        metadata["annotations"] = notes
    return {**{k: v for k, v in obj.items() if k != "status"}, "metadata": metadata}


def _differences(path: str, live: Any, desired: Any) -> Iterator[Change]:
    if isinstance(live, dict) and isinstance(desired, dict):
        for key in sorted(live.keys() | desired.keys()):
            inner = f"{path}.{key}" if path else key
            yield from _differences(inner, live.get(key), desired.get(key))
    elif isinstance(live, list) and isinstance(desired, list) and _named(live) and _named(desired):
        before = {item["name"]: item for item in live}
        after = {item["name"]: item for item in desired}
        for name in dict.fromkeys((*before, *after)):
            yield from _differences(f"{path}[{name}]", before.get(name), after.get(name))
        if list(before) != list(after) and before.keys() == after.keys():
            yield Change(path=path, before=list(before), after=list(after))
    elif live != desired:
        yield Change(path=path, before=live, after=desired)


def _named(items: list[Any]) -> bool:
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    return None not in names and len(set(names)) == len(names)
