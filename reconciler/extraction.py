"""Whether an object is what our last apply made of it, by its own record. Pure.

What our entry in `managedFields` owns, with the values that are there, is what we applied last. If
that is to the letter what we would apply now, the apply changes nothing, and nobody has to be
asked. Where values are spelled in another way ("1000m", "1"), only the server can tell.

Source: client-go's ExtractDeployment and its like; KEP-555 on FieldsV1.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from jac_converge.reconciler.drift import entries_of, key_matches
from jac_converge.reconciler.objects import Object
from jac_converge.reconciler.ownership import FIELD_MANAGER

__all__ = ["is_as_applied"]

_ABSENT: Final = object()


def is_as_applied(live: Object, desired: Object) -> bool:
    """Whether an apply of the desired object would surely change nothing.

    Args:
        live: as the server has it, with managedFields.
        desired: what would be applied.

    >>> entry = {"manager": "jac-converge", "operation": "Apply", "apiVersion": "v1",
    ...          "fieldsV1": {"f:data": {"f:color": {}}}}
    >>> metadata = {"name": "a", "uid": "1", "managedFields": [entry]}
    >>> live = {"apiVersion": "v1", "data": {"color": "red", "size": "L"}, "metadata": metadata}
    >>> is_as_applied(live, {"apiVersion": "v1", "data": {"color": "red"}})
    True
    >>> is_as_applied(live, {"apiVersion": "v1", "data": {"color": "blue"}})
    False
    """
    if live["metadata"].get("deletionTimestamp"):
        return False
    ours = [entry for entry in entries_of(live) if entry.get("manager") == FIELD_MANAGER]
    if len(ours) != 1:
        return False
    (entry,) = ours
    if entry.get("operation") != "Apply" or entry.get("subresource"):
        return False
    if entry.get("apiVersion") != desired["apiVersion"]:
        return False
    return bool(_extracted(live, entry.get("fieldsV1") or {}) == _fields_of(desired))


def _fields_of(desired: Object) -> dict[str, Any]:
    """Leave out what names an object: nobody owns that."""
    metadata = desired.get("metadata", {})
    rest = {key: value for key, value in metadata.items() if key not in {"name", "namespace"}}
    named = {key: value for key, value in desired.items() if key not in {"apiVersion", "kind"}}
    named.pop("metadata", None)
    return {**named, "metadata": rest} if rest else named


def _extracted(here: Any, fields: Mapping[str, Any]) -> Any:
    """The part of a value that these fields own; something unequal to all where it is not there."""
    inner = {step: deeper for step, deeper in fields.items() if step != "."}
    if not fields:
        return here
    if isinstance(here, dict):
        return {
            step.removeprefix("f:"): _extracted(here.get(step.removeprefix("f:"), _ABSENT), deeper)
            for step, deeper in inner.items()
        }
    if isinstance(here, list):
        # In their own order: to put them into another one is a change too.
        found = [(item, step) for item in here for step in inner if _selects(step, item)]
        if len(found) == len(inner):
            return [_extracted(item, inner[step]) for item, step in found]
    return _ABSENT


def _selects(step: str, item: Any) -> bool:
    kind, _, name = step.partition(":")
    if kind == "k" and isinstance(item, dict):
        return all(key_matches(item, key, value) for key, value in json.loads(name).items())
    return kind == "v" and bool(item == json.loads(name))
