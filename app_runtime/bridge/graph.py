"""One step of a traversal: from nodes, over edges that pass a filter, to nodes that pass another.

jaclang's own step reads every edge of a node and both its ends, whatever the direction, in two
round trips, and makes an object of each. This one goes by the entries in the list of edges: the
nodes behind those of the direction that is asked for are read in one round trip, and the edges
along with them only where somebody wants to see them. What it gives, and in which order, is the
same: whoever deletes an edge takes its entries out of both lists, and where a node was deleted and
an edge of somebody else stays, the entry leads to a node that cannot be read, and so nowhere.
It changes with the semantics of `-->`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from jaclang.jac0core.archetype import (
    NodeAnchor,
    ObjectSpatialDestination,
    ObjectSpatialPath,
)
from jaclang.jac0core.constant import EdgeDir
from jaclang.jac0core.runtime import JacRuntimeInterface as Jac

from jac_converge.app_runtime.bridge.edges import EdgeList, hex_of
from jac_converge.app_runtime.bridge.memory import RequestMemory

__all__ = [
    "edges_of",
    "edges_with_nodes",
    "is_there",
    "is_whole",
    "may_read",
    "nodes_of",
    "reach",
    "read_around",
    "refs",
]

TOGETHER: Final = 64
"""Edges of a filtered step whose nodes are read along, before the filter could say which."""

_MARKS: Final = {EdgeDir.OUT: ">-", EdgeDir.IN: "<-", EdgeDir.ANY: "<>-"}


@dataclass(slots=True)
class _Link:
    """One edge on the way, and which way it goes."""

    here: Any
    """Anchor of the node it was found at."""
    edge: Any
    """Its anchor; None where nobody wants to see it."""
    other: Any = None
    """Anchor of the node at the other end; None: to be seen when the edge was read."""


def refs(
    path: Any,
    post_filter: Callable[[Any], bool] | None = None,
    slc: slice | None = None,
) -> list[Any]:
    """Follow a path: the archetypes of nodes, or of edges, that it leads to (jaclang's `[-->]`)."""
    if not isinstance(path, ObjectSpatialPath):
        path = ObjectSpatialPath(path, [ObjectSpatialDestination(EdgeDir.OUT)])
    hops = path.destinations
    if post_filter is not None and hops:
        _narrow(hops[-1], post_filter)
    found: list[Any] = path.origin
    for hop in hops[:-1] if path.edge_only else hops:
        found = Jac.edges_to_nodes(found, hop)
    if path.edge_only:
        last = Jac.get_edges_with_node if path.from_visit else Jac.get_edges
        found = last(found, hops[-1])
    return found if slc is None else found[slc]


def nodes_of(origin: list[Any], destination: Any) -> list[Any]:
    """The nodes one step away, each once."""
    links = _step(origin, destination, edges=destination.edge is not None)
    nodes = {id(link.other): link.other.archetype for link in links}
    return list(nodes.values())


def edges_of(origin: list[Any], destination: Any) -> list[Any]:
    """The edges of one step, each once."""
    edges = {id(link.edge): link.edge.archetype for link in _step(origin, destination, edges=True)}
    return list(edges.values())


def edges_with_nodes(
    origin: list[Any],
    destination: Any,
    from_visit: bool = False,  # noqa: FBT001, FBT002 - jaclang's
) -> list[Any]:
    """The edges of one step and the nodes behind them, each once."""
    del from_visit
    found: dict[int, Any] = {}
    for link in _step(origin, destination, edges=True):
        for anchor in (link.edge, link.other):
            found.setdefault(id(anchor), anchor.archetype)
    return list(found.values())


def is_there(anchor: Any) -> bool:
    """Say whether an anchor was read, or can be."""
    return "archetype" in anchor.__dict__ or Jac.get_context().mem.get(anchor.id) is not None


def is_whole(edge: Any) -> bool:
    """Say whether an edge is there with both its ends."""
    return is_there(edge) and is_there(edge.source) and is_there(edge.target)


def read_around(anchor: Any) -> None:
    """Read the edges of a node and all its neighbours in one go: they will be needed one by one."""
    memory = Jac.get_context().mem
    edges = anchor.edges
    if isinstance(memory, RequestMemory) and isinstance(edges, EdgeList):
        entries, _ = edges.parts()
        memory.load([part for entry in entries for part in (entry[:32], entry[33:])])


def _narrow(hop: Any, post_filter: Callable[[Any], bool]) -> None:
    first = hop.nd
    hop.nd = post_filter if first is None else lambda node: first(node) and post_filter(node)


def _step(origin: list[Any], destination: Any, *, edges: bool) -> Iterator[_Link]:
    """Yield the links of one step, in the order of the nodes and their lists of edges.

    Args:
        origin: nodes.
        destination: direction and filters.
        edges: whether the edges are to be seen.
    """
    context = Jac.get_context()
    memory: RequestMemory = context.mem
    passes, fits = destination.edge, destination.nd
    chosen: list[_Link] = []
    for link in _links(origin, memory, destination, edges=edges):
        edge = link.edge
        if edge is None:
            chosen.append(link)
            continue
        if "archetype" not in edge.__dict__:
            continue  # not stored any more, or of a class that the app has lost
        if not passes or passes(edge.archetype):
            chosen.extend(_directed(link, destination.direction))
    memory.load([link.other.id.hex for link in chosen if "archetype" not in link.other.__dict__])
    caller = hex_of(context.user_root)
    for link in chosen:
        held = link.other.__dict__
        if "archetype" not in held or (fits and not fits(held["archetype"])):
            continue
        if may_read(link.other, caller):
            yield link


def may_read(anchor: Any, caller: str | None = None) -> bool:
    """Say whether the caller may read a node that was read.

    Args:
        anchor: of the node.
        caller: id of the caller's root, where it is known.
    """
    # What is stored counts, not what a walker made of it.
    stored = anchor.__dict__.get("document")
    caller = hex_of(Jac.get_context().user_root) if caller is None else caller
    own = stored is not None and stored.body.get("owner") == caller and not CHECKS_ARE_FOREIGN
    return own or bool(Jac.check_read_access(anchor))


def reach(memory: RequestMemory, id_: str) -> Any:
    """Return the anchor of a node that the caller may read; None for every other id."""
    try:
        anchor = memory.get(UUID(id_))
    except ValueError:
        return None
    readable = isinstance(anchor, NodeAnchor) and Jac.check_read_access(anchor)
    return anchor if readable else None


CHECKS_ARE_FOREIGN = False
"""Whether a plugin checks access its own way, so that no owner may pass unseen."""


def _links(
    origin: list[Any], memory: RequestMemory, destination: Any, *, edges: bool
) -> Iterator[_Link]:
    """Yield all edges of the origin that may go the right way, after reading them at once."""
    marks = _MARKS[destination.direction]
    found: list[tuple[Any, list[str], list[Any]]] = []
    for archetype in origin:
        here = archetype.__jac__
        held = here.edges
        entries, anchors = held.parts() if isinstance(held, EdgeList) else ([], list(held))
        found.append((here, [entry for entry in entries if entry[32] in marks], anchors))
    unread = [entry[:32] for _, entries, _ in found for entry in entries] if edges else []
    if destination.edge is None or len(unread) <= TOGETHER:
        unread += [entry[33:] for _, entries, _ in found for entry in entries]
    for _, _, anchors in found:
        unread += [edge.id.hex for edge in anchors if "archetype" not in edge.__dict__]
    memory.load(unread)
    for here, entries, anchors in found:
        for entry in entries:
            edge = memory.edge(entry[:32]) if edges else None
            yield _Link(here, edge, memory.node(entry[33:]))
        for edge in anchors:
            yield _Link(here, edge)


def _directed(link: _Link, direction: Any) -> Iterator[_Link]:
    """Yield the link for each way in which its edge may be gone from here."""
    if link.other is not None:
        yield link
        return
    edge, here = link.edge, link.here
    way = EdgeDir.ANY if edge.is_undirected else direction
    if way in (EdgeDir.OUT, EdgeDir.ANY) and edge.source == here:
        yield _Link(here, edge, edge.target)
    if way in (EdgeDir.IN, EdgeDir.ANY) and edge.target == here:
        yield _Link(here, edge, edge.source)
