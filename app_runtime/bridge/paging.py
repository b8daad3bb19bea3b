"""Some of the nodes behind a node, without reading the others.

The list of a node's edges names the nodes at their other ends, so the nodes of a page are read
and no others. A cursor names the last few edges that were seen: what was added or removed elsewhere
in the list moves nothing, and what was removed right there is passed over. It changes with how a
page is found again.
"""

import re
from collections.abc import Callable, Iterator
from itertools import batched
from typing import Any

from jaclang.jac0core.runtime import JacRuntimeInterface as Jac

from jac_converge.app_runtime.bridge.edges import EdgeList, hex_of
from jac_converge.app_runtime.bridge.graph import may_read
from jac_converge.app_runtime.bridge.memory import RequestMemory

__all__ = ["BadPage", "page"]

MOST = 1000  # nodes of a page
WIDER = 10  # times `limit` are read at most, where a filter leaves nodes out
KNOWN, SIGNS = 4, 16  # edges that a cursor names, and hex digits of each
CURSOR = re.compile(rf"([0-9]{{1,9}})((?:[0-9a-f]{{{SIGNS}}}){{1,{KNOWN}}})")


class BadPage(ValueError):
    """There is no such page; the text says why."""


type Entry = tuple[str, Any]
"""The id of an edge, and the anchor of the node behind it."""


def page(
    node: Any,
    classes: tuple[type, ...],
    *,
    limit: int,
    cursor: str,
    edge: type | None,
    where: Callable[[Any], bool] | None,
    newest_first: bool,
) -> dict[str, Any]:
    """Return `items` and `next`; see `jac_converge.pages`.

    Raises:
        BadPage: limit or cursor are none.
    """
    if type(limit) is not int or not 1 <= limit <= MOST:
        raise BadPage(f"limit is from 1 to {MOST}")
    entries = list(_entries(node.__jac__))
    if newest_first:
        entries.reverse()
    place = _place(entries, cursor)
    items: list[Any] = []
    end = min(len(entries), place + WIDER * limit)
    for part in batched(entries[place:end], limit):
        _read(part, edges=edge is not None)
        for id_, anchor in part:
            place += 1
            archetype = _wanted(id_, anchor, classes, edge)
            if archetype is not None and (where is None or where(archetype)):
                items.append(archetype)
            if len(items) == limit:
                return {"items": items, "next": _cursor(entries, place)}
    return {"items": items, "next": _cursor(entries, place)}


def _entries(here: Any) -> Iterator[Entry]:
    """Yield what goes out of a node, in the order of its edges."""
    memory, edges = Jac.get_context().mem, here.edges
    anchors = edges
    if isinstance(edges, EdgeList) and isinstance(memory, RequestMemory):
        stored, anchors = edges.parts()
        for entry in stored:
            if entry[32] in ">-":
                yield entry[:32], memory.node(entry[33:])
    for anchor in anchors:
        if anchor.source == here:
            yield hex_of(anchor), anchor.target
        elif anchor.is_undirected:
            yield hex_of(anchor), anchor.source


def _place(entries: list[Entry], cursor: str) -> int:
    """Return how many entries were seen before."""
    if not cursor:
        return 0
    found = CURSOR.fullmatch(cursor)
    if found is None:
        raise BadPage("the cursor is none that a page gave")
    known = [found[2][begin : begin + SIGNS] for begin in range(0, len(found[2]), SIGNS)]
    places = {id_[:SIGNS]: place for place, (id_, _) in enumerate(entries, 1)}
    last = next((places[id_] for id_ in known if id_ in places), None)
    # All of them are gone: about there.
    return min(int(found[1]), len(entries)) if last is None else last


def _cursor(entries: list[Entry], place: int) -> str | None:
    if place >= len(entries):
        return None
    seen = [id_[:SIGNS] for id_, _ in reversed(entries[max(0, place - KNOWN) : place])]
    return f"{place}{''.join(seen)}"


def _read(part: tuple[Entry, ...], *, edges: bool) -> None:
    memory = Jac.get_context().mem
    if isinstance(memory, RequestMemory):
        ids = [hex_of(anchor) for _, anchor in part]
        memory.load([*ids, *(id_ for id_, _ in part)] if edges else ids)


def _wanted(id_: str, anchor: Any, classes: tuple[type, ...], edge: type | None) -> Any:
    """Return the node behind an entry, if it is one of those that are wanted."""
    memory = Jac.get_context().mem
    if edge is not None and isinstance(memory, RequestMemory):
        known = memory.edge(id_).__dict__
        if not isinstance(known.get("archetype"), edge):
            return None
    archetype = anchor.__dict__.get("archetype")
    if archetype is None or (classes and not isinstance(archetype, classes)):
        return None
    return archetype if may_read(anchor) else None
