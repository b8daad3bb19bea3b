"""The caller's graph in parts, for a picture of it: what is around some nodes, and where a text is.

Both run as a call does, in a context and a memory of its own, and show what a walker could reach:
edges that lead to nodes which the caller may read, with the fields that leave the server. No answer
has a whole graph. It changes with what such a picture shows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any, Final

from jaclang.jac0core.archetype import Archetype
from jaclang.jac0core.runtime import JacRuntimeInterface as Jac

from jac_converge.app_runtime.bridge.edges import hex_of
from jac_converge.app_runtime.bridge.graph import may_read, reach
from jac_converge.app_runtime.bridge.introspect import FunctionSpec
from jac_converge.app_runtime.bridge.memory import RequestMemory
from jac_converge.app_runtime.bridge.program import NodeNotFound
from jac_converge.app_runtime.bridge.wire import CannotSend, shown_fields, to_text, to_wire

__all__ = ["AROUND", "SEARCH"]

BRIEF: Final = 200
"""Characters of a field that are shown of a node somebody else leads to."""
LONG: Final = 5000
"""The same of a node that was asked for, and the last that a search looks at."""
AT_ONCE: Final = 500
"""Nodes that a search reads in one round trip."""
MOST: Final = 20_000
"""Nodes that one search looks at."""


@dataclass(frozen=True, slots=True)
class _Way:
    """An edge as seen from one of its nodes: the anchors of that, of itself, of what is behind."""

    here: Any
    edge: Any
    other: Any


def _around(places: Sequence[str], limit: int) -> dict[str, Any]:
    """Show nodes, and their edges with what is behind them.

    Args:
        places: `ID`, or `ID:EDGE` to go on after an edge; none: the caller's root.
        limit: edges to look at, for all of them together.

    Returns:
        `start` (the root), `nodes`, `edges`, and in `more` the places to ask for next.

    Raises:
        NodeNotFound: none of them is there for this caller.
    """
    context = Jac.get_context()
    memory: RequestMemory = context.mem
    root = hex_of(context.user_root)
    places = places or [root]
    memory.load([place[:32] for place in places])
    nodes, edges, more = dict[str, Any](), dict[str, Any](), []
    asked = {}
    for place in places:
        id_, _, after = place.partition(":")
        here = reach(memory, id_)
        if here is None:
            continue
        asked[id_] = _node(here, LONG)
        entries = _entries(here, after)
        part, limit = entries[:limit], max(0, limit - len(entries))
        for way in _ways([(here, entry) for entry in part], memory, root):
            nodes[hex_of(way.other)] = _node(way.other, BRIEF)
            edges[hex_of(way.edge)] = _edge(way.edge)
        if len(part) < len(entries):
            more.append(f"{id_}:{part[-1][:32]}" if part else place)
    if not asked:
        raise NodeNotFound(f"node {places[0][:32]} not found")
    shown = {**nodes, **asked}
    return {
        "start": root,
        "nodes": list(shown.values()),
        "edges": list(edges.values()),
        "more": more,
    }


def _search(text: str, limit: int) -> dict[str, Any]:
    """Find nodes with a text in their class or a field, nearest to the caller's root first.

    Args:
        text: in any case.
        limit: nodes to find.

    Returns:
        `found` (ids), the `nodes` and `edges` on the way from the root to each, how many were
        `looked_at`, and whether that was `all` of them.
    """
    context = Jac.get_context()
    memory: RequestMemory = context.mem
    root = context.user_root
    wanted, caller = text.casefold(), hex_of(root)
    # Of each node, how it was reached first.
    ways: dict[str, tuple[Any, str]] = {}
    found: list[str] = []
    known, level = {caller: root}, [root]
    whole = True
    while level and len(found) < limit:
        following: list[Any] = []
        for way in _steps(level, memory, caller):
            id_ = hex_of(way.other)
            if id_ in known:
                continue
            if len(known) >= MOST or len(found) >= limit:
                whole, following = False, []
                break
            known[id_] = way.other
            ways[id_] = way.edge, hex_of(way.here)
            following.append(way.other)
            if _has(way.other, wanted):
                found.append(id_)
        level = following
    nodes, edges = _paths(found, ways)
    return {
        "found": found,
        "nodes": [_node(known[id_], BRIEF) for id_ in nodes],
        "edges": [_edge(edge) for edge in edges],
        "looked_at": len(known),
        "all": whole and not level,
    }


def _steps(level: Sequence[Any], memory: RequestMemory, caller: str) -> Iterator[_Way]:
    """Yield the ways on from some nodes, a round trip for `AT_ONCE` of them."""
    waiting = ((here, entry) for here in level for entry in _entries(here, ""))
    for together in batched(waiting, AT_ONCE):
        yield from _ways(together, memory, caller)


def _paths(
    found: Sequence[str], ways: Mapping[str, tuple[Any, str]]
) -> tuple[list[str], list[Any]]:
    """Return the ids of the nodes from the root to what was found, and the edges between them."""
    nodes, edges = dict[str, None](), dict[str, Any]()
    for id_ in found:
        here = id_
        while here not in nodes:
            nodes[here] = None
            if here in ways:
                edge, here = ways[here]
                edges[hex_of(edge)] = edge
    return list(nodes), list(edges.values())


def _entries(node: Any, after: str) -> list[str]:
    """Return the entries in a node's list of edges, oldest first, from behind an edge on."""
    entries: list[str] = node.edges.parts()[0]
    if not after:
        return entries
    # The last of them, since an edge to the node itself stands there twice. If it is gone, all.
    places = range(len(entries) - 1, -1, -1)
    return entries[next((at + 1 for at in places if entries[at].startswith(after)), 0) :]


def _ways(entries: Sequence[tuple[Any, str]], memory: RequestMemory, caller: str) -> Iterator[_Way]:
    """Yield the edges, read in one round trip, that lead to nodes which the caller may read."""
    memory.load([part for _, entry in entries for part in (entry[:32], entry[33:])])
    for here, entry in entries:
        edge, other = memory.edge(entry[:32]), memory.node(entry[33:])
        there = "archetype" in edge.__dict__ and "archetype" in other.__dict__
        if there and may_read(other, caller):
            yield _Way(here, edge, other)


def _node(anchor: Any, longest: int) -> dict[str, Any]:
    archetype = anchor.archetype
    fields = {name: _cut(text, longest) for name, text in _fields(archetype)}
    return {"id": hex_of(anchor), "class": type(archetype).__name__, "fields": fields}


def _edge(anchor: Any) -> dict[str, Any]:
    archetype = anchor.archetype
    return {
        "id": hex_of(anchor),
        "class": type(archetype).__name__,
        "source": hex_of(anchor.source),
        "target": hex_of(anchor.target),
        "directed": not anchor.is_undirected,
        "fields": {name: _cut(text, BRIEF) for name, text in _fields(archetype)},
    }


def _has(anchor: Any, wanted: str) -> bool:
    archetype = anchor.archetype
    if wanted in type(archetype).__name__.casefold():
        return True
    return any(wanted in text[:LONG].casefold() for _, text in _fields(archetype))


def _fields(archetype: Any) -> Iterator[tuple[str, str]]:
    """Yield the fields that leave the server as text; one that has no form says what it is."""
    cls: Any = type(archetype)
    for name in shown_fields(cls):
        value = getattr(archetype, name, None)
        if callable(value) and not isinstance(value, Archetype):
            continue
        if not isinstance(value, str):
            try:
                value = to_text(to_wire(value)).decode()
            except CannotSend:
                value = f"({type(value).__name__})"
        yield name, value.encode("utf-8", "replace").decode()


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


AROUND: Final = FunctionSpec.of_ours("graph", _around)
SEARCH: Final = FunctionSpec.of_ours("search", _search)
