"""What somebody put beside our fields, as one patch that takes out just that. Pure.

The patch goes by place and value, not by version: it is right whatever else is written to the
object at the same time, as statuses are during a roll-out. And it leaves nothing in `managedFields`
to clean up, because what is removed belongs to nobody. It changes when JSON patch does.

Source: RFC 6902.
"""

import json
from typing import Any

from jac_converge.reconciler.drift import FieldPath, additions, key_matches, leaves_of
from jac_converge.reconciler.objects import Object

__all__ = ["removal_of"]

type Operations = list[dict[str, Any]]
type _Place = tuple[str | int, ...]


def removal_of(live: Object) -> Operations | None:
    """Describe how to take out of an object all that was put beside our fields.

    Args:
        live: as read, with managedFields.

    Returns:
        JSON patch; None where something is not found under the path that it is owned by.
    """
    foreign = {id(entry): frozenset(paths) for entry, paths in additions(live)}
    added = frozenset().union(*foreign.values())
    kept = frozenset(
        path
        for entry in live["metadata"].get("managedFields") or ()
        for path in leaves_of(entry)
        # The marker of an item is its adder's, and goes with it.
        if path not in added and not (id(entry) in foreign and path[-1] == ".")
    )
    places = [_place(live, root) for root in {_root(path, kept) for path in added}]
    found = [place for place in places if place is not None]
    if not found or len(found) != len(places):
        return None
    patch: Operations = [{"op": "test", "path": "/metadata/uid", "value": live["metadata"]["uid"]}]
    # From behind, so that no removal moves what a later operation names.
    for place in sorted(found, reverse=True):
        pointer = "/" + "/".join(_escaped(step) for step in place)
        if isinstance(place[-1], int):
            patch.append({"op": "test", "path": pointer, "value": _at(live, place)})
        patch.append({"op": "remove", "path": pointer})
    return patch


def _root(path: FieldPath, kept: frozenset[FieldPath]) -> FieldPath:
    """The outermost thing around a field in which nothing is to be kept."""
    for length in range(1, len(path)):
        if not any(other[:length] == path[:length] for other in kept):
            return path[:length]
    return path


def _place(live: Object, path: FieldPath) -> _Place | None:
    here: Any = live
    place: list[str | int] = []
    for step in path:
        kind, _, name = step.partition(":")
        found: str | int | None = None
        if kind == "f" and isinstance(here, dict) and name in here:
            found = name
        elif kind in {"k", "v"} and isinstance(here, list):
            found = _index(here, json.loads(name), by_key=kind == "k")
        if found is None:
            return None
        place.append(found)
        here = here[found]
    return tuple(place)


def _index(items: list[Any], wanted: Any, *, by_key: bool) -> int | None:
    for index, item in enumerate(items):
        if by_key:
            same = isinstance(item, dict) and all(key_matches(item, *w) for w in wanted.items())
        else:
            same = item == wanted
        if same:
            return index
    return None


def _at(live: Object, place: _Place) -> Any:
    here: Any = live
    for step in place:
        here = here[step]
    return here


def _escaped(step: str | int) -> str:
    return str(step).replace("~", "~0").replace("/", "~1")
