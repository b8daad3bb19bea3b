"""What one request changed, as one batch for the store.

Every document that was read is compared with what its anchor says now, so a change inside a list
is seen too. What the caller's root may not change is left out, and told as a warning. It changes
with the rules of who may write what, and with what is worth keeping.
"""

import time
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from jaclang.jac0core.archetype import Anchor, EdgeAnchor, NodeAnchor, Root
from jaclang.jac0core.runtime import JacRuntimeInterface as Jac

from jac_converge.app_runtime.bridge.anchors import body_of, kind_of, own_edges, unchanged
from jac_converge.app_runtime.bridge.bounds import check_fields
from jac_converge.app_runtime.bridge.edges import (
    INLINE,
    EdgeList,
    Pages,
    hex_of,
    page_id,
    page_ids,
)
from jac_converge.app_runtime.bridge.reading import Reader
from jac_converge.app_runtime.bridge.rights import is_system, may_write, owns
from jac_converge.app_runtime.stores import Document, Removal, WriteBatch

__all__ = ["Changes", "collect"]


@dataclass(slots=True)
class Changes:
    """A batch in the making, and which anchor each of its documents is of."""

    creates: list[Document] = field(default_factory=list)
    updates: list[Document] = field(default_factory=list)
    removals: list[Removal] = field(default_factory=list)
    written: list[tuple[Anchor, Document]] = field(default_factory=list)
    """Anchors and their documents as they are in the store after the commit."""

    unlinked: AbstractSet[str] = frozenset()
    """Stored edges that the request deleted, as it was allowed to."""

    blind: dict[str, list[str]] = field(default_factory=dict)
    """Entries added to nodes of which nothing else changed, and of whose edges none was looked at:
    they fit whatever others add meanwhile."""

    followed: set[str] = field(default_factory=set)
    """Nodes of which others made something before this was added."""

    @property
    def batch(self) -> WriteBatch:
        """Everything, as the store takes it."""
        return WriteBatch(
            creates=tuple(self.creates),
            updates=tuple(self.updates),
            removals=tuple(self.removals),
        )

    def create(self, anchor: Anchor, document: Document) -> None:
        """Add a new document."""
        self.creates.append(document)
        self.written.append((anchor, document._replace(version=1)))

    def update(self, anchor: Anchor, document: Document) -> None:
        """Add a new body of a document, at the version it was read at."""
        self.updates.append(document)
        self.written.append((anchor, document._replace(version=document.version + 1)))

    def follow(self, fresh: Mapping[str, Document]) -> None:
        """Add the blind entries to documents that others have changed, read anew."""
        self.followed |= fresh.keys()
        anchors = {it.id: anchor for anchor, it in self.written if it.id in fresh}
        self.written = [(anchor, it) for anchor, it in self.written if it.id not in fresh]
        self.updates = [it for it in self.updates if it.id not in fresh]
        self.creates = [it for it in self.creates if it.id.partition(".")[0] not in fresh]
        for id_, document in fresh.items():
            body = dict(document.body)
            inline = [*body.get("edges", ()), *self.blind[id_]]
            pages = _fold(body, inline, body.get("pages", 0), {})
            self.creates += [_page(document, number, kept) for number, kept in pages.items()]
            self.update(anchors[id_], document._replace(body=body))


def collect(anchors: Iterable[Anchor], deleted: Iterable[Anchor | None], reader: Reader) -> Changes:
    """Compare anchors with what was read.

    Args:
        anchors: all that the request knows, read or not.
        deleted: those that it deleted; None for what it did not know.
        reader: what was read.

    Raises:
        CannotStore: a field holds what no document can.
        ValueError: a root was deleted.
    """
    removed = [gone.__dict__["document"] for gone in deleted if gone is not None and _may_go(gone)]
    unlinked = frozenset(document.id for document in removed if document.kind == "edge")
    changes, new = Changes(unlinked=unlinked), []
    for anchor in list(anchors):
        held = anchor.__dict__
        if "archetype" not in held or not isinstance(anchor, NodeAnchor | EdgeAnchor):
            continue
        if "document" in held:
            _compare(anchor, held["document"], changes, reader)
        elif held["persistent"] and not _unreachable(anchor):
            new.append(anchor)
    if new:
        _create(new, changes)
    for document in removed:
        _remove(document, changes, reader)
    return changes


def _may_go(gone: Anchor) -> bool:
    """Whether a stored node or edge may be deleted; not every way here asks before."""
    document = gone.__dict__.get("document")
    if document is None:
        return False  # never stored, or gone again
    if document.kind == "root" and not is_system():
        # Its account would be lost; where that is gone already, the system clears up.
        raise ValueError("a root cannot be deleted")
    return bool(Jac.check_write_access(gone, op_hint="delete"))


def _create(new: list[Anchor], changes: Changes) -> None:
    """Add documents of new anchors, in one group: that of the node they were connected to."""
    group = next((document.group for document in changes.updates if document.kind == "node"), "")
    group = group or new[0].id.hex
    stamp = time.time_ns() // 1000
    for number, anchor in enumerate(new):
        id_ = hex_of(anchor)
        body = _checked_body(anchor)
        pages: Pages = {}
        if isinstance(anchor, NodeAnchor):
            edges = own_edges(anchor)
            entries = [] if edges is None else edges.of_new_node(id_)
            pages = _fold(body, entries, 0, {})
        document = Document(
            id=id_, kind=kind_of(anchor), body=body, group=group, stamp=stamp + number
        )
        changes.create(anchor, document)
        for page, kept in pages.items():
            changes.creates.append(_page(document, page, kept))


def _compare(anchor: Any, document: Document, changes: Changes, reader: Reader) -> None:
    held = anchor.__dict__
    body: dict[str, Any] | None = None
    same = unchanged(anchor)
    rewritten = not same and Jac.check_write_access(anchor, op_hint="field_write")
    if rewritten:
        body = _changed_body(anchor, document)
    now = _edges_now(anchor, document, changes.unlinked)
    if now is not None:
        inline, pages = now
        if not inline and may_write(anchor) and _is_last(anchor, pages, document, reader):
            _remove(document, changes, reader)
            return
        body = dict(document.body) if body is None else body
        pages = _fold(body, inline, document.body.get("pages", 0), pages)
        for number, entries in pages.items():
            _write_page(document, number, entries, changes, reader)
    # Fields that changed may equal the stored ones all the same, as True equals 1.
    if body is None or (not rewritten and body == document.body):
        return
    if same and isinstance(edges := held.get("edges"), EdgeList):
        added = edges.only_added(document.id)
        if added:
            changes.blind[document.id] = added
    changes.update(anchor, document._replace(body=body))


def _checked_body(anchor: Any) -> dict[str, Any]:
    """Return the body of an anchor that is to be stored, without its edges.

    Raises:
        CannotStore: a field holds what no document can, or what could not be read again.
    """
    body = body_of(anchor)
    check_fields(body.get("fields", {}), type(anchor.archetype).__name__)
    return body


def _changed_body(anchor: Any, document: Document) -> dict[str, Any]:
    """Return the body of a stored anchor with its edges as they were.

    Only the owner may make somebody else the owner.
    """
    body, before = _checked_body(anchor), document.body
    kept = ["edges", "pages"]
    if body.get("owner") != before.get("owner") and not owns(document):
        body.pop("owner", None)
        kept.append("owner")
    return body | {key: before[key] for key in kept if key in before}


def _edges_now(
    anchor: Any, document: Document, unlinked: AbstractSet[str]
) -> tuple[list[str], Pages] | None:
    """Return a node's edges as they are to be stored; None if they are as they were.

    Whoever could delete an edge may take it out of the lists of both its nodes. To add one needs
    the right to connect, and to take out any other the right to write.
    """
    edges = own_edges(anchor)
    now = None if edges is None else edges.now(document.id)
    if edges is None or now is None:
        return None  # nobody looked, or nothing is changed
    if may_write(anchor):
        return now
    lost = edges.loss(unlinked, document.id)
    if now == lost or not Jac.check_connect_access(anchor):
        return lost
    if edges.gone() <= unlinked:
        return now
    Jac.check_write_access(anchor, op_hint="edge_delete")  # for the warning
    return edges.loss(unlinked, document.id, added=True)


def _fold(body: dict[str, Any], inline: list[str], count: int, pages: Pages) -> Pages:
    """Write the edges into a body; what is too much for it goes to new pages."""
    pages = dict(pages)
    while len(inline) > INLINE:
        count += 1
        pages[count], inline = inline[:INLINE], inline[INLINE:]
    body.pop("edges", None)
    if inline:
        body["edges"] = inline
    if count:
        body["pages"] = count
    return pages


def _is_last(anchor: Any, pages: Pages, document: Document, reader: Reader) -> bool:
    """Whether a node lost its last edge, so that nobody can ever find it again."""
    if isinstance(anchor.archetype, Root):
        return False
    ids = _pages_of(document, reader)
    left = (pages.get(number, _entries(reader, id_)) for id_, number in ids.items())
    return not any(left)


def _pages_of(node: Document, reader: Reader) -> dict[str, int]:
    """Return the ids of a node's pages and their numbers, each of them read."""
    ids = page_ids(node.id, node.body.get("pages", 0))
    reader.read([id_ for id_ in ids if reader.document(id_) is None])
    return ids


def _entries(reader: Reader, id_: str) -> list[str]:
    page = reader.document(id_)
    return [] if page is None else page.body["edges"]


def _page(node: Document, number: int, entries: list[str]) -> Document:
    return Document(
        id=page_id(node.id, number),
        kind="page",
        body={"edges": entries},
        group="",
        stamp=node.stamp,
    )


def _write_page(
    node: Document, number: int, entries: list[str], changes: Changes, reader: Reader
) -> None:
    read = reader.document(page_id(node.id, number))
    if read is None:
        changes.creates.append(_page(node, number, entries))
    elif entries:
        changes.updates.append(read._replace(body={"edges": entries}))
    else:
        changes.removals.append(Removal(id=read.id, version=read.version))


def _remove(document: Document, changes: Changes, reader: Reader) -> None:
    changes.removals.append(Removal(id=document.id, version=document.version))
    for id_ in _pages_of(document, reader):
        page = reader.document(id_)
        if page is not None:
            changes.removals.append(Removal(id=page.id, version=page.version))


def _unreachable(anchor: Anchor) -> bool:
    """Whether nobody can ever find this anchor: jaclang's rule is not to keep it."""
    return (
        isinstance(anchor, NodeAnchor)
        and not isinstance(anchor.archetype, Root)
        and not list.__len__(anchor.edges)  # past an EdgeList, which would take it for a look
    )
