"""What the ignore rules leave to others, object by object. Pure.

A field that a rule covers, and that we no longer own, is taken out of what we apply: the server
then leaves it to whoever has it, and its dry runs and ownership tell of no difference. As long as
we own it, it is applied as always.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from jac_converge.config.ignore import IgnoreRule
from jac_converge.reconciler.drift import (
    FieldPath,
    entries_of,
    key_matches,
    readable,
    spelled_key,
    value_at,
)
from jac_converge.reconciler.objects import Object, ObjectKey, key_of
from jac_converge.reconciler.ownership import FIELD_MANAGER, INSTANCE_LABEL, MANAGED_BY_LABEL

__all__ = ["Rules", "is_left", "left_out", "remaining", "spellings", "unmatched"]

type Rules = tuple[IgnoreRule, ...]
type _Tree = Mapping[str, Any] | None
"""FieldsV1 below one field; None where nothing is owned, empty where it is owned whole."""

_KEPT: Final = frozenset(
    (
        "metadata.name",
        "metadata.namespace",
        *(f"metadata.labels.{name}" for name in (INSTANCE_LABEL, MANAGED_BY_LABEL)),
    )
)
"""What no rule gives away: without it the object is not found again."""

_ITEM_KEYS: Final = frozenset({"name", "port", "containerPort", "protocol", "mountPath"})
"""What tells the items of a list apart; an item goes as a whole, or keeps these."""


def unmatched(rules: Rules, desired: Iterable[Object]) -> Rules:
    """The rules that speak of no object of the app."""
    keys = tuple(map(key_of, desired))
    return tuple(
        rule for rule in rules if not any(rule.is_about(key.kind, key.name) for key in keys)
    )


def is_left(rules: Rules, live: Object, manager: str, path: FieldPath) -> bool:
    """Whether a field may stay as this manager made it."""
    about = _about(rules, key_of(live))
    if not about:
        return False
    spelled = spellings(live, path)
    return any(rule.is_left_to(manager) and any(map(rule.covers, spelled)) for rule in about)


def left_out(desired: Object, live: Object | None, rules: Rules) -> Object:
    """Take out of a desired object what the rules leave to others.

    Args:
        desired: what we would apply.
        live: as the server has it; an object that is not there is created whole.
        rules: any; those about other objects do nothing.
    """
    if live is None:
        return desired
    for rule in _about(rules, key_of(desired)):
        ours, theirs = _trees(live, rule)
        desired = _Removal(rule).of(desired, ours, theirs, ("",))
    return desired


def remaining(fields: frozenset[FieldPath], before: Object, after: Object) -> frozenset[FieldPath]:
    """Of the fields that our last apply owned, those that we still claim.

    Args:
        fields: what that apply owned.
        before: what it sent.
        after: the same without what is left to others now.
    """
    if before == after:
        return fields
    return frozenset(
        path
        for path in fields
        if value_at(before, path) is None or value_at(after, path) is not None
    )


def spellings(obj: Object, path: FieldPath) -> tuple[str, ...]:
    """The ways in which output spells a path: list items by merge key, and by name."""
    by_name = ""
    for at, step in enumerate(path):
        item = value_at(obj, path[: at + 1]) if step.startswith("k:") else None
        if isinstance(item, dict) and "name" in item:
            by_name += f"[{item['name']}]"
        elif step.startswith("f:"):
            by_name += f".{step[2:]}" if by_name else step[2:]
        else:
            by_name += readable((step,))
    return tuple(dict.fromkeys((readable(path), by_name)))


def _about(rules: Rules, key: ObjectKey) -> Rules:
    return tuple(rule for rule in rules if rule.is_about(key.kind, key.name))


def _trees(live: Object, rule: IgnoreRule) -> tuple[_Tree, _Tree]:
    """What we own by apply, and what those own whom the rule allows."""
    ours: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    for entry in entries_of(live):
        manager = str(entry.get("manager", ""))
        if manager == FIELD_MANAGER:
            if entry.get("operation") == "Apply" and not entry.get("subresource"):
                ours = _merged(ours, entry.get("fieldsV1") or {})
        elif entry.get("subresource") != "status" and rule.is_left_to(manager):
            theirs = _merged(theirs, entry.get("fieldsV1") or {})
    return ours, theirs


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {
        step: _merged(one[step], other[step])
        if step in one and step in other
        else one.get(step, other.get(step))
        for step in one.keys() | other.keys()
    }


class _Removal:
    """Walks a desired object beside who owns what of it, for one rule."""

    def __init__(self, rule: IgnoreRule) -> None:
        self._rule = rule

    def of(self, value: Any, ours: _Tree, theirs: _Tree, paths: tuple[str, ...]) -> Any:
        """The value without what is left to others; None when nothing remains.

        Args:
            value: part of the desired object.
            ours: our fields below it.
            theirs: the fields of others below it.
            paths: how it may be spelled.
        """
        whole = ours == {} or theirs == {}
        if isinstance(value, dict) and value and (not whole or paths == ("",)):
            return self._of_map(value, ours, theirs, paths)
        if _is_keyed(value) and not whole:
            return self._of_list(value, ours, theirs, paths)
        return None if self._goes(ours, theirs, paths) else value

    def _goes(self, ours: _Tree, theirs: _Tree, paths: tuple[str, ...]) -> bool:
        covered = any(map(self._rule.covers, paths)) and not _KEPT.intersection(paths)
        allowed = self._rule.manager is None or theirs is not None
        return covered and ours is None and allowed

    def _of_map(
        self, value: dict[str, Any], ours: _Tree, theirs: _Tree, paths: tuple[str, ...]
    ) -> Any:
        kept = {}
        for name, inner in value.items():
            below = tuple(f"{path}.{name}".lstrip(".") for path in paths)
            step = f"f:{name}"
            left = self.of(inner, _below(ours, step), _below(theirs, step), below)
            if left is not None or inner is None:
                kept[name] = left
        return kept or None

    def _of_list(
        self, items: list[dict[str, Any]], ours: _Tree, theirs: _Tree, paths: tuple[str, ...]
    ) -> Any:
        kept = [item for one in items if (item := self._of_item(one, ours, theirs, paths))]
        return kept or None

    def _of_item(
        self, item: dict[str, Any], ours: _Tree, theirs: _Tree, paths: tuple[str, ...]
    ) -> Any:
        step = _step_of(item, ours) or _step_of(item, theirs)
        ends = [f"[{item['name']}]"] if "name" in item else []
        ends += [spelled_key(step)] if step else []
        # A port whose number somebody changed is in nobody's list under its old one.
        ends += [f"[{item['port']},{item.get('protocol', 'TCP')}]"] if "port" in item else []
        below = tuple(dict.fromkeys(f"{path}{end}" for path in paths for end in ends))
        own, foreign = _below(ours, step), _below(theirs, step)
        # Who changed the key of an item owns another item now: what counts is the list.
        if self._goes(own, theirs, below):
            return None
        rest = self._of_map(item, own, foreign, below) or {}
        return {name: item[name] for name in item if name in rest or name in _ITEM_KEYS} | rest


def _is_keyed(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and "name" in item for item in value)
    )


def _below(tree: _Tree, step: str) -> _Tree:
    return tree.get(step) if tree else None


def _step_of(item: Mapping[str, Any], tree: _Tree) -> str:
    for step in tree or ():
        if step.startswith("k:"):
            keys = json.loads(step[2:])
            if all(key_matches(item, key, value) for key, value in keys.items()):
                return step
    return ""
