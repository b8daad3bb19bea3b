"""Anchors of stored nodes and edges, filled from documents, and the documents of anchors.

An anchor is known by its id before it is read; reading fills it in place, so a request never has
two anchors for one id. What most requests do not look at (the list of edges, access rights) is
made when somebody does. It changes with the anchors of the runtime and the form of a document.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol
from uuid import UUID

from jaclang.jac0core.archetype import (
    Access,
    Anchor,
    EdgeAnchor,
    NodeAnchor,
    Permission,
    Root,
    access_level_cast,
)
from jaclang.runtimelib.serializer import Serializer

from jac_converge.app_runtime.bridge.bounds import check_fields
from jac_converge.app_runtime.bridge.edges import EdgeList, Pages, hex_of
from jac_converge.app_runtime.bridge.fields import ATTIC, Layout, layout_of
from jac_converge.app_runtime.bridge.values import CannotStore, ClassGone, same_by_name
from jac_converge.app_runtime.stores import Document

__all__ = [
    "Known",
    "StoredEdge",
    "StoredNode",
    "access_of",
    "as_stored",
    "body_of",
    "edges_from",
    "fill",
    "go_on_from",
    "kind_of",
    "make_new",
    "own_edges",
    "own_part",
    "stored_class",
    "unchanged",
]

STORED_HASH: Final = 1
"""jaclang takes a hash of 0 for "never stored", which grants write access to anybody."""


class Known(Protocol):
    """What gives anchors by id, and reads pages: the memory of the request."""

    def node(self, id_: str) -> Anchor:
        """The anchor of a node, read or not."""
        ...

    def edge(self, id_: str) -> Anchor:
        """The anchor of an edge, read or not."""
        ...

    def uuid(self, id_: str) -> UUID:
        """An id as jaclang writes it."""
        ...

    def pages(self, node: str, count: int) -> Pages:
        """Read the pages of a node's edges."""
        ...


class StoredNode(NodeAnchor):  # type: ignore[misc] # jaclang has no types
    """A node that is, or was, in the store."""

    def __init__(self) -> None:
        """Nobody calls this: an own `__init__` keeps the runtime from generating one."""

    def is_populated(self) -> bool:
        """Say whether it was read; its edges need not be."""
        return "archetype" in self.__dict__

    def __getattr__(self, name: str) -> Any:
        """Make what was left out when the document was read."""
        held = self.__dict__
        if name == "edges" and "document" in held:
            return held.setdefault("edges", edges_from(held["document"], held["known"]))
        return _made(self, name) if name == "access" else super().__getattr__(name)

    def __eq__(self, other: object) -> bool:
        """Equal to any anchor of the same node."""
        return self is other or (isinstance(other, NodeAnchor) and self.id == other.id)

    __hash__ = Anchor.__hash__


class StoredEdge(EdgeAnchor):  # type: ignore[misc] # jaclang has no types
    """An edge that is, or was, in the store."""

    def __init__(self) -> None:
        """Nobody calls this: an own `__init__` keeps the runtime from generating one."""

    def is_populated(self) -> bool:
        """Say whether it was read."""
        return "archetype" in self.__dict__

    def __getattr__(self, name: str) -> Any:
        """Make what was left out when the document was read."""
        return _made(self, name) if name == "access" else super().__getattr__(name)

    def __eq__(self, other: object) -> bool:
        """Equal to any anchor of the same edge."""
        return self is other or (isinstance(other, EdgeAnchor) and self.id == other.id)

    __hash__ = Anchor.__hash__


def _made(anchor: Any, name: str) -> Any:
    held = anchor.__dict__
    if "document" not in held:
        return Anchor.__getattr__(anchor, name)
    # One for all threads of the request, whoever made it.
    return held.setdefault("access", access_of(held["document"]))


def edges_from(document: Document, known: Known) -> EdgeList:
    """Return the list of a node's edges as its document has it, unread."""
    return EdgeList(*_stored_edges(document, known), known.edge)


def own_edges(anchor: Any) -> EdgeList | None:
    """Return the list of a node's edges; None if it is stored and nobody has asked for it.

    A plain list that took its place is put into one of ours.
    """
    held = anchor.__dict__
    given = held.get("edges")
    if given is None or isinstance(given, EdgeList):
        return given
    document = held.get("document")
    made = EdgeList() if document is None else edges_from(document, held["known"])
    made[:] = given
    held["edges"] = made
    return made


def go_on_from(document: Document, anchor: Any, known: Known) -> None:
    """Note what a commit has stored of an anchor; the edges of a node that it did not know stay."""
    held = anchor.__dict__
    held["document"], held["baseline"], held["known"] = document, document.body, known
    held["hash"] = STORED_HASH
    if isinstance(anchor, NodeAnchor) and (edges := own_edges(anchor)) is not None:
        edges.restart(*_stored_edges(document, known), known.edge)


def _stored_edges(document: Document, known: Known) -> tuple[list[str], Callable[[], Pages] | None]:
    count = document.body.get("pages", 0)
    read_pages = (lambda: known.pages(document.id, count)) if count else None
    return document.body.get("edges", []), read_pages


def make_new(anchor: Any) -> None:
    """Forget that an anchor was ever stored; what it is made of stays."""
    held = anchor.__dict__
    held["access"] = anchor.access
    held["persistent"], held["root"], held["hash"] = False, None, 0
    if isinstance(anchor, NodeAnchor):
        edges = own_edges(anchor)
        held.setdefault("edges", EdgeList()) if edges is None else edges.forget()
    for name in ("document", "baseline", "known", "made"):
        held.pop(name, None)


def own_part(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a body says of the node or edge itself, without the edges of a node."""
    return {key: value for key, value in body.items() if key not in ("edges", "pages")}


def kind_of(anchor: Anchor) -> str:
    """Return the document kind of an anchor."""
    if isinstance(anchor, EdgeAnchor):
        return "edge"
    return "root" if isinstance(anchor.archetype, Root) else "node"


def fill(anchor: Any, document: Document, known: Known) -> bool:
    """Fill a known anchor from its document; False where the app lacks a class it is made of.

    Raises:
        CannotStore: it was stored before there was a limit, and is too deep to be read.
    """
    body = document.body
    layout = _layout(body["class"])
    if layout is None:
        return False
    try:
        archetype, exact = layout.build(body.get("fields", _NOTHING), body.get("attic"))
    except ClassGone:
        return False
    except RecursionError:
        _check_read(document, layout)  # the walker itself may be what goes too deep
        raise
    held = anchor.__dict__
    owner = body.get("owner")
    held["root"] = known.uuid(owner) if owner else None
    held["persistent"] = True
    held["hash"] = STORED_HASH
    held["document"] = document
    held["known"] = known
    if document.kind == "edge":
        held["source"] = known.node(body["source"])
        held["target"] = known.node(body["target"])
        held["is_undirected"] = "undirected" in body
    else:
        held["version"] = document.version
        # One blob for a whole root, rewritten by each writer: it loses concurrent additions and
        # answers typed queries without looking at access rights. So there never is one.
        held["topology_index_data"] = None
    archetype.__dict__["__jac__"] = anchor
    held["archetype"] = archetype  # last: another thread may wait for it
    # What a newer class made of an older document is no change of this request's: reading does
    # not write. It is stored with the first change that is one.
    same = exact and layout.label == body["class"]
    held["baseline"] = body if same else body_of(anchor)
    return True


def _check_read(document: Document, layout: Layout) -> None:
    try:
        check_fields(document.body.get("fields", _NOTHING), layout.cls.__name__)
    except CannotStore as error:
        text = f"{document.kind} {document.id}, stored by an earlier version, cannot be read"
        raise CannotStore(f"{text}: {error}") from error


def as_stored(anchor: Any) -> Any:
    """Return the archetype of a stored anchor as its document has it, whatever became of it."""
    held = anchor.__dict__
    document = held["document"]
    made = held.get("made")
    if made is None or made[0] is not document:
        body = document.body
        layout = _layout(body["class"])
        assert layout is not None  # noqa: S101 - it was read
        archetype, _ = layout.build(body.get("fields", _NOTHING), body.get("attic"))
        archetype.__dict__["__jac__"] = anchor
        made = held["made"] = document, archetype
    return made[1]


def stored_class(document: Document) -> Any:
    """Return the class that a document is of, for one that was read."""
    layout = _layout(document.body["class"])
    assert layout is not None  # noqa: S101
    return layout.cls


def unchanged(anchor: Any) -> bool:
    """Say whether an anchor that was read says what its document says, but for its edges.

    Raises:
        CannotStore: a field holds what cannot be stored.
    """
    held = anchor.__dict__
    baseline, archetype = held["baseline"], held["archetype"]
    if "access" in held and _access_of(held["access"]) != baseline.get("access", _NOTHING):
        return False
    owner = held["root"]
    if (owner.hex if owner else None) != baseline.get("owner"):
        return False
    layout = layout_of(type(archetype))
    if ATTIC in archetype.__dict__ or "attic" in baseline or layout.label != baseline["class"]:
        return same_by_name(body_of(anchor), own_part(baseline))
    return layout.unchanged(archetype, baseline.get("fields", _NOTHING))


def body_of(anchor: Any) -> dict[str, Any]:
    """Return the body of an anchor's document, without the edges of a node.

    Raises:
        CannotStore: a field holds what cannot be stored.
    """
    archetype = anchor.archetype
    layout = layout_of(type(archetype))
    if not layout.lasting:
        raise CannotStore(f"{layout.label} cannot be stored: it is defined inside a function")
    body: dict[str, Any] = {"class": layout.label}
    if anchor.root:
        body["owner"] = anchor.root.hex
    held = anchor.__dict__
    if "access" in held:
        if access := _access_of(held["access"]):
            body["access"] = access
    elif (document := held.get("document")) and "access" in document.body:
        body["access"] = document.body["access"]
    if fields := layout.stored(archetype):
        body["fields"] = fields
    if attic := archetype.__dict__.get(ATTIC):
        body["attic"] = layout.attic(attic)
    if isinstance(anchor, EdgeAnchor):
        body["source"] = hex_of(anchor.source)
        body["target"] = hex_of(anchor.target)
        if anchor.is_undirected:
            body["undirected"] = True
    return body


def _layout(label: str) -> Layout | None:
    layout = _by_label.get(label)
    if layout is None:
        module, _, name = label.rpartition(".")
        # Through the serializer, which knows the classes that were renamed.
        cls = Serializer._get_class(module, name)  # noqa: SLF001
        if cls is None:
            return None
        layout = _by_label[label] = layout_of(cls)
    return layout


_by_label: dict[str, Layout] = {}
_NOTHING: Mapping[str, Any] = {}


def _access_of(access: Permission) -> dict[str, Any]:
    """JSON of access rights; empty for none, which most documents have."""
    roots = {root: level.value for root, level in access.roots.anchors.items()}
    if access.all.value < 0 and not roots:
        return {}
    return {"all": access.all.value, "roots": roots}


def access_of(document: Document) -> Permission:
    """Return the access rights that a document grants."""
    body = document.body.get("access")
    if body is None:
        return Permission()
    roots = {root: access_level_cast(level) for root, level in body["roots"].items()}
    return Permission(all=access_level_cast(body["all"]), roots=Access(anchors=roots))
