"""The list of a node's edges, as it is stored and as jaclang sees it.

A node may have 100,000 edges, and most requests look at none of them. So the list is stored in
parts: the newest `INLINE` with the node, the older ones in pages, each a document of its own; and
it is read only when somebody looks at it. To add an edge touches the node's own document alone.

An entry names the edge, the direction, and the node at the other end, so that a step of a
traversal reads edges and nodes in one round trip: `<edge id><direction><node id>`, where the
direction is `>` (to that node), `<` (from it) or `-` (either way). It changes with that form.
"""

import threading
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any, Final

from jaclang.jac0core.archetype import EdgeAnchor

__all__ = [
    "INLINE",
    "EdgeList",
    "Pages",
    "entry_of",
    "hex_of",
    "page_id",
    "page_ids",
]

INLINE: Final = 128
"""Entries kept in the node's own document, about 8 kB; also the size of a page."""

type Pages = dict[int, list[str]]


def entry_of(edge: Any, node: str) -> str:
    """Return the entry of an edge in the list of one of its nodes.

    Both entries are made once and stay with the edge: a commit asks for each several times.
    """
    try:
        return edge.__dict__["entries"][node]  # type: ignore[no-any-return]
    except KeyError:
        entries = edge.__dict__["entries"] = _entries_of(edge)
        return entries[node]


def _entries_of(edge: Any) -> dict[str, str]:
    id_, source, target = hex_of(edge), hex_of(edge.source), hex_of(edge.target)
    if edge.is_undirected or source == target:
        return {source: f"{id_}-{target}", target: f"{id_}-{source}"}
    return {source: f"{id_}>{target}", target: f"{id_}<{source}"}


def hex_of(anchor: Any) -> str:
    """Return the id of an anchor as documents have it; UUID makes that text anew each time."""
    held = anchor.__dict__
    text: str | None = held.get("hex")
    if text is None:
        text = held["hex"] = anchor.id.int.to_bytes(16).hex()  # half the time of `UUID.hex`
    return text


def page_id(node: str, number: int) -> str:
    """Return the id of a page's document; pages count from 1."""
    return f"{node}.{number}"


def page_ids(node: str, count: int) -> dict[str, int]:
    """Return the number of each page of a node by the id of its document."""
    return {page_id(node, number): number for number in range(1, count + 1)}


def _nobody(id_: str) -> Any:
    raise KeyError(id_)  # of a new node no edge is stored


class EdgeList(list[EdgeAnchor]):
    """The edges of a node: a list that reads what is stored when somebody looks.

    Until then the list itself holds only what this request added. `append`, `extend` and `discard`
    do not look, so to connect a node with very many edges costs nothing. What list methods of C
    read behind our back is whole, because each way in that looks comes through `_whole`.

    Threads of one request share it: what takes several steps waits for its turn, and to append is
    one step. So a node keeps the list it was born with, whatever is stored or forgotten: who took
    hold of another one before it was replaced would add to what nobody stores.
    """

    __slots__ = (
        "_adding", "_anchor_of", "_dropped", "_dropping", "_inline", "_lock", "_pages",
        "_read_pages", "looked", "whole",
    )  # fmt: skip

    def __init__(
        self,
        inline: list[str] | None = None,
        read_pages: Callable[[], Pages] | None = None,
        anchor_of: Callable[[str], Any] = _nobody,
    ) -> None:
        """Begin unread; without arguments, with the edges of a new node.

        Args:
            inline: the entries in the node's own document.
            read_pages: reads the pages, by number; None where there are none.
            anchor_of: gives the anchor of an edge id.
        """
        super().__init__()
        self._inline = inline or []
        self._read_pages = read_pages
        self._pages: Pages = {}
        self._anchor_of = anchor_of
        self._dropped: set[str] = set()
        self._adding: frozenset[str] = frozenset()
        self._dropping: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self.looked = False
        """Whether what this request does may depend on what was stored."""
        self.whole = False
        """Whether every stored edge stands in the list itself."""

    def parts(self) -> tuple[list[str], list[EdgeAnchor]]:
        """Return all edges as they are now: entries, and the anchors that have none."""
        with self._lock:
            anchors = list(list.__iter__(self))
            return ([], anchors) if self.whole else (self._left(), anchors)

    def discard(self, edge: EdgeAnchor) -> None:
        """Remove an edge, if it is there, without making anchors of the others."""
        id_ = edge.id
        with self._lock:
            for index, anchor in enumerate(list.__iter__(self)):
                if anchor.id == id_:
                    list.pop(self, index)
                    return
            if not self.whole:
                self._dropped.add(id_.hex)

    def restart(
        self,
        inline: list[str],
        read_pages: Callable[[], Pages] | None,
        anchor_of: Callable[[str], Any],
    ) -> None:
        """Go on from what a commit stored; what threads of the request changed meanwhile stays."""
        with self._lock:
            self._inline, self._read_pages, self._pages = inline, read_pages, {}
            self._anchor_of = anchor_of
            if not self.whole:
                stored = self._adding
                # What was put there and is gone again was stored all the same.
                cut = stored - {hex_of(edge) for edge in list.__iter__(self)}
                self._dropped = (self._dropped - self._dropping) | cut
                self._keep(lambda edge: hex_of(edge) not in stored)

    def take_back(self) -> None:
        """Go back to what is stored, unread; that somebody has looked at it stays."""
        with self._lock:
            self._dropped.clear()
            self.whole = False
            self._keep(lambda _: False)

    def forget(self) -> None:
        """Go on with what is new alone: the node, and with it all that was stored, is removed."""
        with self._lock:
            self._inline, self._read_pages, self._pages = [], None, {}
            self._dropped.clear()
            self.looked = self.whole = False
            self._keep(lambda edge: "document" not in edge.__dict__)

    def _keep(self, wanted: Callable[[Any], bool]) -> None:
        for index in reversed(range(list.__len__(self))):  # others may append meanwhile
            if not wanted(list.__getitem__(self, index)):
                list.__delitem__(self, index)

    def added(self) -> list[Any]:
        """Return the anchors of all edges that were added, without a look at those before.

        Where somebody has looked, those that were stored are among them.
        """
        return list(list.__iter__(self))

    def of_new_node(self, node: str) -> list[str]:
        """Return the entries of a node that is to be stored for the first time."""
        with self._lock:
            edges = self.added()
            self._adding, self._dropping = frozenset(map(hex_of, edges)), frozenset()
            return [entry_of(edge, node) for edge in edges]

    def only_added(self, node: str) -> list[str] | None:
        """Return the entries of new edges if nothing else changed and nobody looked, else None."""
        if self.looked or self._dropped:
            return None
        return [entry_of(edge, node) for edge in list.__iter__(self)]

    def now(self, node: str) -> tuple[list[str], Pages] | None:
        """Return inline entries and every changed page as they are now; None if all is as stored.

        Args:
            node: id of the node, for the entries of new edges.
        """
        with self._lock:
            self._dropping = frozenset(self._dropped)
            return self._now_whole(node) if self.whole else self._now_unread(node)

    def gone(self) -> AbstractSet[str]:
        """Return the ids of stored edges that were taken out."""
        with self._lock:
            return self._lost() if self.whole else frozenset(self._dropped)

    def loss(
        self, gone: AbstractSet[str], node: str, *, added: bool = False
    ) -> tuple[list[str], Pages] | None:
        """Return as `now` does, but of all that was taken out only these edges.

        Args:
            gone: ids; those that stand there still do so.
            node: as for `now`.
            added: whether what was added is to be there.
        """
        lost = gone & self.gone()
        with self._lock:
            inline, pages = self._without(lost, node) if lost else (self._inline, {})
            if added:
                stored = {entry[:32] for entry in self._stored()} if self.whole else ()
                new = [edge for edge in self.added() if hex_of(edge) not in stored]
                inline = inline + [entry_of(edge, node) for edge in new]
            return (inline, pages) if pages or inline != self._inline else None

    def _now_unread(self, node: str) -> tuple[list[str], Pages] | None:
        inline = self._inline
        pages: Pages = {}
        if self._dropped:
            inline, pages = self._without(self._dropped, node)
        edges = self.added()
        self._adding = frozenset(map(hex_of, edges))
        if edges:
            inline = inline + [entry_of(edge, node) for edge in edges]
        return (inline, pages) if pages or inline != self._inline else None

    def _lost(self) -> AbstractSet[str]:
        left = {edge.id.hex for edge in list.__iter__(self)}
        return {entry[:32] for entry in self._stored()} - left

    def _without(self, gone: AbstractSet[str], node: str) -> tuple[list[str], Pages]:
        """What is stored, without these edges; the pages are read only if one may be there."""
        inline, found = [], set()
        for entry in self._inline:
            if entry[:32] not in gone:
                inline.append(entry)
            elif entry[33:] != node:  # an edge to itself stands here twice, or once and in a page
                found.add(entry[:32])
        return inline, {} if found == gone else self._pages_without(gone)

    def _now_whole(self, node: str) -> tuple[list[str], Pages] | None:
        stored = {entry[:32]: entry for entry in self._stored()}
        left = {edge.id.hex: edge for edge in list.__iter__(self)}
        if left.keys() == stored.keys():
            return None
        pages = self._pages_without(stored.keys() - left.keys())
        inline = [entry for entry in self._inline if entry[:32] in left]
        inline += [entry_of(edge, node) for id_, edge in left.items() if id_ not in stored]
        return inline, pages

    def _pages_without(self, gone: AbstractSet[str]) -> Pages:
        """The pages that change when these edges go."""
        changed = {}
        for number, entries in self._loaded().items():
            left = [entry for entry in entries if entry[:32] not in gone]
            if len(left) != len(entries):
                changed[number] = left
        return changed

    def _left(self) -> list[str]:
        self.looked = True
        dropped = self._dropped
        return [entry for entry in self._stored() if entry[:32] not in dropped]

    def _stored(self) -> Iterator[str]:
        pages = self._loaded()
        for number in sorted(pages):
            yield from pages[number]
        yield from self._inline

    def _loaded(self) -> Pages:
        if self._read_pages is not None:
            self._pages = self._read_pages()
            self._read_pages = None
        return self._pages

    def _whole(self) -> None:
        if not self.whole:
            with self._lock:
                self._make_whole()

    def _make_whole(self) -> None:
        if not self.whole:  # no other thread was faster
            anchor_of = self._anchor_of
            list.__setitem__(self, slice(0, 0), [anchor_of(entry[:32]) for entry in self._left()])
            self._dropped.clear()
            self.whole = True


def _looking(name: str) -> Callable[..., Any]:
    method = getattr(list, name)

    def look(self: EdgeList, *args: Any, **options: Any) -> Any:
        self._whole()
        return method(self, *args, **options)

    look.__name__ = name
    return look


for _name in (
    "__add__", "__contains__", "__delitem__", "__eq__", "__ge__", "__getitem__", "__gt__",
    "__iadd__", "__imul__", "__iter__", "__le__", "__len__", "__lt__", "__mul__", "__ne__",
    "__repr__", "__reversed__", "__rmul__", "__setitem__", "clear", "copy", "count", "index",
    "insert", "pop", "remove", "reverse", "sort",
):  # fmt: skip
    setattr(EdgeList, _name, _looking(_name))


def _radd(self: EdgeList, other: list[Any]) -> list[Any]:
    return [*other, *self]


setattr(EdgeList, "__radd__", _radd)  # noqa: B010 - `list` declares none
