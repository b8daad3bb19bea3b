"""Anchors as they are stored again, whatever a request has made of them since.

The walker goes on with the nodes that it holds, so they are put right in place: so are the lists
in their fields, as far as they are still there. It changes with what a request can change.
"""

from typing import Any

from jaclang.jac0core.archetype import EdgeAnchor, NodeAnchor

from jac_converge.app_runtime.bridge.anchors import (
    access_of,
    as_stored,
    make_new,
    own_edges,
    unchanged,
)
from jac_converge.app_runtime.bridge.values import CannotStore

__all__ = ["take_back"]


def take_back(anchor: Any) -> bool:
    """Undo what was changed since the last commit; False where the anchor is new since then."""
    held = anchor.__dict__
    if "document" in held:
        _restore(anchor)
        return True
    if "archetype" not in held or not isinstance(anchor, NodeAnchor | EdgeAnchor):
        return True  # not read, or nothing that is stored
    if isinstance(anchor, EdgeAnchor):
        _cut(anchor)
    make_new(anchor)
    return False


def _cut(edge: Any) -> None:
    """Take a new edge from the node that is stored; what hangs together and is new stays so."""
    ends = edge.source, edge.target
    if any("document" in end.__dict__ for end in ends):
        for end in ends:
            if (edges := own_edges(end)) is not None:
                edges.discard(edge)


def _restore(anchor: Any) -> None:
    held = anchor.__dict__
    body, known = held["document"].body, held["known"]
    if not _unchanged(anchor):
        archetype, stored = held["archetype"], as_stored(anchor)
        if type(archetype) is type(stored):
            _refill(archetype.__dict__, stored.__dict__)
        else:
            held["archetype"] = stored
        owner = body.get("owner")
        held["root"] = known.uuid(owner) if owner else None
        held["access"] = access_of(held["document"])
        held["persistent"] = True
        held.pop("made", None)  # its values are those of the archetype now
    if isinstance(anchor, NodeAnchor) and (edges := own_edges(anchor)) is not None:
        edges.take_back()


def _unchanged(anchor: Any) -> bool:
    try:
        return unchanged(anchor)
    except CannotStore:
        return False


def _refill(fields: dict[str, Any], stored: dict[str, Any]) -> None:
    for name, value in stored.items():
        now = fields.get(name)
        if type(now) is not type(value):
            fields[name] = value
        elif isinstance(now, list):
            now[:] = value
        elif isinstance(now, dict | set):
            now.clear()
            now |= value
        elif name != "__jac__":
            fields[name] = value
