"""The memory of one request: what it read, what it changed, and one commit.

jaclang shares one memory between all requests of a process, commits twice per request, swallows
the errors of the first commit, guards edge lists but no fields, and repairs the graph while
reading it. This unit of work does none of that: it is thrown away with its request, writes every
document it changed at the version it was read at, and never takes a missing document for a reason
to write.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from jaclang.jac0core.archetype import Anchor, EdgeAnchor, NodeAnchor, Root
from jaclang.jac0core.runtime import JacRuntimeInterface as Jac

from jac_converge.app_runtime.bridge.codec import decode, encode, kind_of
from jac_converge.app_runtime.stores import Document, DocumentStore, Removal, WriteBatch

__all__ = ["RequestMemory", "TooLate"]

logger = logging.getLogger(__name__)


class TooLate(Exception):
    """Nobody waits for this request any more, so nothing of it is stored."""


class RequestMemory:
    """jaclang's memory interface over a `DocumentStore`, for one request and its `flow` threads."""

    l2 = None
    l3 = None

    def __init__(self, store: DocumentStore, *, too_late: Callable[[], bool] = bool) -> None:
        """Begin with nothing read.

        Args:
            store: where documents are.
            too_late: says whether the request has been given up; then nothing may be written.
        """
        self._store = store
        self._too_late = too_late
        self._lock = threading.Lock()
        self._anchors: dict[UUID, Anchor] = {}
        self._read: dict[UUID, Document] = {}
        self._missing: set[UUID] = set()
        self._deleted: dict[UUID, Anchor | None] = {}
        self.commits = 0
        """Commits that wrote something; after the first a replay would write it twice."""

    def get(self, id_: UUID) -> Anchor | None:
        """Return an anchor, read once; None if it is not stored, deleted, or of no known class."""
        if id_ in self._deleted:
            return None
        found = self._anchors.get(id_)
        if found is None and id_ not in self._missing:
            self._load((id_,))
            found = self._anchors.get(id_)
        return found

    def batch_get(self, ids: Collection[UUID]) -> dict[UUID, Anchor]:
        """Return anchors; those not read yet come in one round trip."""
        wanted = [id_ for id_ in dict.fromkeys(ids) if id_ not in self._deleted]
        unread = [id_ for id_ in wanted if id_ not in self._anchors and id_ not in self._missing]
        if unread:
            self._load(unread)
        return {id_: self._anchors[id_] for id_ in wanted if id_ in self._anchors}

    def put(self, anchor: Anchor) -> None:
        """Take an anchor into the unit of work; written at the commit."""
        self._deleted.pop(anchor.id, None)
        self._anchors[anchor.id] = anchor

    def delete(self, id_: UUID) -> None:
        """Forget an anchor for this request and remove its document at the commit."""
        self._deleted[id_] = self._anchors.pop(id_, None)

    def commit(self, *anchor: Anchor | None) -> None:
        """Commit, when asked from outside the kernel.

        The kernel calls this without an argument at the end of a spawn and swallows what it
        raises; `Jac.commit`, which a walker may call itself, passes one.
        """
        if anchor:
            self.flush()

    async def acommit(self, *anchor: Anchor | None) -> None:
        """Commit, when asked."""
        self.commit(*anchor)

    def flush(self) -> None:
        """Write everything that changed, as one batch.

        Raises:
            Conflict: somebody else changed one of the documents; nothing was written.
            Unavailable: the store cannot write.
            CannotStore: a field holds what no document can.
            TooLate: the request has been given up.
        """
        if self._too_late():
            raise TooLate
        batch = self._collect()
        if not batch:
            return
        self._store.commit(batch)
        self.commits += 1
        self._rebase(batch)

    def _load(self, ids: Collection[UUID]) -> None:
        documents = self._store.get([id_.hex for id_ in ids])
        with self._lock:
            self._adopt(ids, documents)

    def _adopt(self, ids: Collection[UUID], documents: Mapping[str, Document]) -> None:
        for id_ in ids:
            if id_ in self._anchors:
                continue  # another thread was faster: there is one anchor for an id
            document = documents.get(id_.hex)
            anchor = None
            if document is not None:
                anchor = decode(id_, document.kind, document.body, document.version)
            if document is None or anchor is None:
                self._missing.add(id_)
                if document is not None:
                    logger.warning(
                        "document %s skipped: the app cannot read class %s any more; "
                        "bring it back, or name its heir with archetype_alias",
                        id_.hex,
                        document.body["class"],
                    )
                continue
            self._anchors[id_] = anchor
            self._read[id_] = document

    def _collect(self) -> WriteBatch:
        creates, updates, removals = [], [], []
        now = time.time_ns() // 1000
        for id_, anchor in list(self._anchors.items()):
            if not isinstance(anchor, NodeAnchor | EdgeAnchor) or not anchor.is_populated():
                continue
            read = self._read.get(id_)
            if read is None:
                if anchor.persistent and not _unreachable(anchor):
                    new, kind = encode(anchor), kind_of(anchor)
                    creates.append(Document(id=id_.hex, kind=kind, body=new, stamp=now))
                continue
            body = _permitted(anchor, read)
            if body == read.body:
                continue
            if _unreachable(anchor) and not body["edges"]:
                removals.append(Removal(id=read.id, version=read.version))
            else:
                changed = Document(id=read.id, kind=read.kind, body=body, version=read.version)
                updates.append(changed)
        deleted = (self._read.get(id_) for id_ in self._deleted)
        removals.extend(Removal(id=read.id, version=read.version) for read in deleted if read)
        return WriteBatch(creates=tuple(creates), updates=tuple(updates), removals=tuple(removals))

    def _rebase(self, batch: WriteBatch) -> None:
        for document in batch.creates + batch.updates:
            id_ = UUID(document.id)
            self._read[id_] = Document(
                id=document.id, kind=document.kind, body=document.body, version=document.version + 1
            )
            self._anchors[id_].hash = 1
        for removal in batch.removals:
            self._read.pop(UUID(removal.id), None)
        self._deleted.clear()

    # What else jaclang asks of a memory.

    def has(self, id_: UUID) -> bool:
        """Say whether an anchor exists."""
        return self.get(id_) is not None

    def find(
        self,
        ids: UUID | Iterable[UUID],
        filter: Callable[[Anchor], bool] | None = None,  # noqa: A002
    ) -> Iterator[Anchor]:
        """Yield the anchors that exist and pass the filter."""
        found = self.batch_get([ids] if isinstance(ids, UUID) else list(ids))
        return (anchor for anchor in found.values() if filter is None or filter(anchor))

    def find_one(
        self,
        ids: UUID | Iterable[UUID],
        filter: Callable[[Anchor], bool] | None = None,  # noqa: A002
    ) -> Anchor | None:
        """Return the first that `find` yields."""
        return next(self.find(ids, filter), None)

    def query(self, filter: Callable[[Anchor], bool] | None = None) -> Iterator[Anchor]:  # noqa: A002
        """Yield what this request has in memory."""
        anchors = list(self._anchors.values())
        return (anchor for anchor in anchors if filter is None or filter(anchor))

    def get_roots(self) -> Iterator[Root]:
        """Yield every root once: those of the store, and those made by this request."""
        stored = [UUID(document.id) for document in self._store.find("root")]
        self.batch_get(stored)
        for anchor in list(self._anchors.values()):
            if anchor.is_populated() and isinstance(anchor.archetype, Root):
                yield anchor.archetype

    def get_mem(self) -> dict[UUID, Anchor]:
        """Return what this request has in memory."""
        return self._anchors

    def is_available(self) -> bool:
        """Say yes: a store that does not answer raises instead."""
        return True

    def is_recoverable_quarantine(self, id_: UUID) -> bool:  # noqa: ARG002
        """Say yes, so that jaclang skips what it cannot load instead of deleting its edges."""
        return True

    def quarantine_ref(self, referrer: Anchor | None, stub: Anchor) -> None:
        """Leave a dangling reference alone: reading does not write."""

    def capabilities(self) -> set[str]:
        """Offer no query pushdown."""
        return set()

    def execute_plan(self, plan: Any) -> Iterator[Anchor]:  # noqa: ARG002
        """Yield nothing: no plan is ever pushed down to us."""
        return iter(())

    def abort(self) -> None:
        """Forget what was changed."""
        self.close()

    def close(self) -> None:
        """Forget everything, written or not."""
        self._anchors.clear()
        self._read.clear()
        self._deleted.clear()

    async def aget(self, id_: UUID) -> Anchor | None:
        """Return an anchor."""
        return self.get(id_)

    async def aput(self, anchor: Anchor) -> None:
        """Take an anchor into the unit of work."""
        self.put(anchor)

    async def adelete(self, id_: UUID) -> None:
        """Forget an anchor and remove its document at the commit."""
        self.delete(id_)

    async def ahas(self, id_: UUID) -> bool:
        """Say whether an anchor exists."""
        return self.has(id_)


def _unreachable(anchor: Anchor) -> bool:
    """Say whether nobody can ever find this anchor: jaclang's rule is not to keep it."""
    return (
        isinstance(anchor, NodeAnchor)
        and not isinstance(anchor.archetype, Root)
        and not anchor.edges
    )


def _permitted(anchor: Anchor, read: Document) -> Mapping[str, Any]:
    """Return the new body with every change undone that the caller's root may not make.

    Fields and access rights need WRITE, the list of edges CONNECT. A refusal becomes a warning of
    the response, by jaclang's own checks.
    """
    body, before = encode(anchor), read.body
    if _own(body) != _own(before):
        before = _as_classes_are_now(read)
        changed = _own(body) != _own(before)
        if changed and not Jac.check_write_access(anchor, op_hint="field_write"):
            body = {**before, "edges": body["edges"]} if "edges" in body else dict(before)
    if body.get("edges") != before.get("edges") and not Jac.check_connect_access(anchor):
        body["edges"] = before["edges"]
    return read.body if body == before else body


def _own(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != "edges"}


def _as_classes_are_now(read: Document) -> Mapping[str, Any]:
    """Return the body that an untouched anchor of this document has.

    Where a class has changed since, it is another one than was read, and no change of the caller's.
    """
    bare = {**read.body, "edges": []} if "edges" in read.body else read.body
    anchor = decode(UUID(read.id), read.kind, bare, read.version)
    if anchor is None:
        return read.body
    own = encode(anchor)
    return {**own, "edges": read.body["edges"]} if "edges" in read.body else own
