"""The memory of one request: what it read, what it changed, and one commit.

jaclang shares one memory between all requests of a process, commits twice per request, swallows
the errors of the first commit, guards edge lists but no fields, and repairs the graph while
reading it. This unit of work does none of that: it is thrown away with its request, writes every
document it changed at the version it was read at, and never takes a missing document for a reason
to write.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Final
from uuid import UUID, SafeUUID

from jaclang.jac0core.archetype import Anchor, Root

from jac_converge.app_runtime.bridge.anchors import (
    StoredEdge,
    StoredNode,
    fill,
    go_on_from,
    make_new,
    own_part,
)
from jac_converge.app_runtime.bridge.changes import Changes, collect
from jac_converge.app_runtime.bridge.edges import Pages, page_ids
from jac_converge.app_runtime.bridge.effects import Effects
from jac_converge.app_runtime.bridge.memory_interface import MemoryInterface
from jac_converge.app_runtime.bridge.reading import Reader
from jac_converge.app_runtime.bridge.too_late import TooLate
from jac_converge.app_runtime.bridge.undoing import take_back
from jac_converge.app_runtime.stores import Conflict, Document, DocumentStore, UnknownOutcome
from jac_converge.app_runtime.stores.turns import Turns

__all__ = ["RequestMemory"]

logger = logging.getLogger(__name__)


ADDITIONS: Final = 8
"""Tries to add edges to nodes that others add to at the same time; then the walker runs again."""

ADDING: Final = Turns()
"""Of this process: who adds edges to the same node at once would mostly do so in vain."""

_set = object.__setattr__


def _uuid(id_: str) -> UUID:
    """Do as UUID(hex) does, in a third of its time."""
    made = object.__new__(UUID)
    _set(made, "int", int(id_, 16))
    _set(made, "is_safe", SafeUUID.unknown)
    return made


class RequestMemory(MemoryInterface):
    """jaclang's memory over a `DocumentStore`, for one request and its `flow` threads."""

    def __init__(
        self,
        store: DocumentStore,
        *,
        name: str = "",
        too_late: Callable[[], bool] = bool,
        given_up: Callable[[], bool] = bool,
    ) -> None:
        """Begin with nothing read.

        Args:
            store: where documents are.
            name: of what is called, to know what it reads.
            too_late: asked right before a commit happens; says whether it may not any more.
            given_up: asked whenever this memory is; says whether the request is to end.
        """
        self._store = store
        self._reader = Reader(store, name)
        self.read = self._reader.read
        """Reads documents of any kind, each once."""
        self._too_late = too_late
        self._given_up = given_up
        self.effects = Effects()
        """What waits for a commit."""
        self.tying = threading.RLock()
        """Held to tie or cut an edge, which is one step, and to see what has changed."""
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._anchors: dict[int, Anchor] = {}
        self._missing: set[int] = set()
        self._deleted: dict[int, Anchor | None] = {}
        self._uuids: dict[str, UUID] = {}
        self._settled = False
        self._mixed = False
        self.flows: list[Future[Any]] = []
        """Threads of the request, at work or done."""
        self.commits = 0
        """Commits that wrote something; after the first a replay would write it twice."""

    def go_on(self) -> None:
        """Let a request go on for which somebody waits.

        Raises:
            TooLate: nobody does.
        """
        if self._given_up():
            raise TooLate

    def settle(self) -> None:
        """Note that the call has committed: its effects are due, and they take their time."""
        self._settled = True
        self._too_late = self._given_up = bool
        self.effects.release(self.effects.waiting())
        self._reader.learn()

    def end(self) -> None:
        """Write nothing any more, whatever threads of the call go on."""
        self._too_late = lambda: True

    def abandon(self) -> None:
        """End with a run that failed: threads of it that go on find that nobody waits for them."""
        self._too_late = self._given_up = lambda: True

    def get(self, id_: UUID) -> Anchor | None:
        """Return an anchor, read once; None if it is not stored, deleted, or of no known class."""
        self.go_on()
        key = id_.int
        found = self._anchors.get(key)
        if found is not None and "archetype" in found.__dict__:
            return found
        if key in self._deleted or key in self._missing:
            return None
        self.load((id_.hex,))
        found = self._anchors.get(key)
        return found if found is not None and "archetype" in found.__dict__ else None

    def batch_get(self, ids: Collection[UUID]) -> dict[UUID, Anchor]:
        """Return anchors; those not read yet come in one round trip."""
        self.load([id_.hex for id_ in ids])
        found = {}
        for id_ in ids:
            anchor = self._anchors.get(id_.int)
            if anchor is not None and "archetype" in anchor.__dict__:
                found[id_] = anchor
        return found

    def load(self, ids: Iterable[str]) -> None:
        """Read the documents of these ids that were not read yet, in one round trip."""
        self.go_on()
        anchors, missing, deleted = self._anchors, self._missing, self._deleted
        unread = []
        for id_ in ids:
            key = int(id_, 16)
            found = anchors.get(key)
            read = found is not None and "archetype" in found.__dict__
            if not read and key not in missing and key not in deleted:
                unread.append(id_)
        if unread:
            documents = self._reader.read(unread)
            with self._lock:
                for id_ in unread:
                    self._adopt(id_, documents.get(id_))

    def _adopt(self, id_: str, document: Document | None) -> None:
        key = int(id_, 16)
        anchor = self._anchors.get(key)
        if anchor is not None and "archetype" in anchor.__dict__:
            return  # another thread was faster
        if key in self._deleted:
            return  # another thread read it as well, and deleted it
        if document is not None:
            if anchor is None:
                anchor = self.edge(id_) if document.kind == "edge" else self.node(id_)
            if fill(anchor, document, self):
                return
            logger.warning(
                "document %s skipped: the app cannot read class %s any more; "
                "bring it back, or name its heir with archetype_alias",
                id_,
                document.body["class"],
            )
        self._missing.add(key)

    # What the anchors of this request know each other by.

    def node(self, id_: str) -> Anchor:
        """Return the anchor of a node, read or not."""
        return self._known(id_, StoredNode)

    def edge(self, id_: str) -> Anchor:
        """Return the anchor of an edge, read or not."""
        return self._known(id_, StoredEdge)

    def _known(self, id_: str, cls: type) -> Anchor:
        key = int(id_, 16)
        anchor = self._anchors.get(key)
        if anchor is None:
            made: Any = object.__new__(cls)
            made.__dict__["id"], made.__dict__["hex"] = self.uuid(id_), id_
            anchor = self._anchors.setdefault(key, made)
        return anchor

    def uuid(self, id_: str) -> UUID:
        """Return an id as jaclang writes it."""
        found = self._uuids.get(id_)
        if found is None:
            found = self._uuids.setdefault(id_, _uuid(id_))
        return found

    def pages(self, node: str, count: int) -> Pages:
        """Read all pages of a node's edges in one round trip; an empty page has no document."""
        ids = page_ids(node, count)
        found = self._reader.read(list(ids))
        return {ids[id_]: page.body["edges"] for id_, page in found.items()}

    # The unit of work.

    def put(self, anchor: Anchor) -> None:
        """Take an anchor into the unit of work; written at the commit."""
        self.go_on()
        key = anchor.id.int
        with self._lock:
            self._deleted.pop(key, None)
            self._anchors[key] = anchor

    def delete(self, id_: UUID) -> None:
        """Forget an anchor for this request and remove its document at the commit."""
        self.go_on()
        key = id_.int
        with self._lock:
            gone = self._anchors.pop(key, None)
            if gone is not None or key not in self._deleted:  # an edge to itself goes twice
                self._deleted[key] = gone

    def commit(self, *anchor: Anchor | None) -> None:
        """Commit, when asked from outside the kernel.

        The kernel calls this without an argument at the end of a spawn and swallows what it
        raises; `Jac.commit`, which a walker may call itself, passes one.
        """
        if anchor:
            self.flush()
            self._reader.look_anew()

    def flush(self, answer: Callable[[], Any] = bool) -> Any:
        """Write everything that changed, as one batch.

        Args:
            answer: asked once it is known what may be written, and before it is.

        Returns:
            What it gave.

        Raises:
            Conflict: somebody else changed one of the documents; nothing was written.
            UnknownOutcome: it may have been written.
            Unavailable: the store cannot write.
            TooLarge: the store cannot hold it.
            CannotStore: a field holds what no document can.
            TooLate: the request has been given up.
        """
        self.go_on()
        with self._flushing:  # two threads would store the same
            if self._mixed:
                raise UnknownOutcome(
                    "an on_commit effect failed while other threads of its call were at work, and "
                    "what it changed cannot be told from what they did"
                )
            waiting = self.effects.waiting()
            with self.tying:
                deleted = dict(self._deleted)
                changes = collect(self._anchors.values(), deleted.values(), self._reader)
            answered = answer()
            if not changes.batch:
                self._last_word()
            else:
                try:
                    self._commit(changes)
                except UnknownOutcome:
                    self.commits += 1  # as far as anybody knows: to run again may write it twice
                    raise
                self.commits += 1
                with self.tying:
                    self._rebase(changes, deleted)
            if self.commits or self._settled:  # else the call may still run again
                self.effects.release(waiting)
            return answered

    def _commit(self, changes: Changes) -> None:
        """Commit; what was only added to lists of edges is added again to what others made of them.

        A walker that looked at none of the edges would do the same when it runs again, unless it
        looked at a field that is another one now.
        """
        contested = frozenset[str]()
        for attempt in range(ADDITIONS):
            with ADDING.of(contested):
                if contested:
                    self._follow(changes, contested)
                try:
                    return self._store.commit(
                        replace(changes.batch, go_on=self.go_on, last_word=self._last_word)
                    )
                except Conflict as conflict:
                    # A page that others made first is a change of its node.
                    contested = frozenset(id_.partition(".")[0] for id_ in conflict.ids)
                    if attempt == ADDITIONS - 1 or not contested <= changes.blind.keys():
                        raise
        return None

    def _last_word(self) -> None:
        if self._too_late():
            raise TooLate

    def _follow(self, changes: Changes, nodes: frozenset[str]) -> None:
        """Add to what others made of nodes.

        Raises:
            Conflict: they made more of them than edges.
        """
        fresh = self._store.get(nodes)
        if fresh.keys() != nodes or not all(map(self._same_but_edges, fresh.values())):
            raise Conflict(nodes)
        changes.follow(fresh)

    def _same_but_edges(self, fresh: Document) -> bool:
        read = self._reader.document(fresh.id)
        return read is not None and own_part(fresh.body) == own_part(read.body)

    def _rebase(self, changes: Changes, deleted: Mapping[int, Anchor | None]) -> None:
        """Begin anew from what is stored now, after a commit that a walker asked for.

        Other threads of the request may go on meanwhile: what they change is for the next commit.
        """
        self._reader.took(changes.batch)
        for anchor, document in changes.written:
            if document.id in changes.followed and anchor.edges.looked:
                continue  # another thread has seen the list without what others added: a conflict
            go_on_from(document, anchor, self)
        for removal in changes.batch.removals:
            if "." not in removal.id:  # a page is no anchor
                key = int(removal.id, 16)
                anchor = self._anchors.pop(key, None) or deleted.get(key)
                if anchor is not None:
                    make_new(anchor)  # a walker that has it may connect it again
                self._missing.add(key)
        self._missing.update(deleted)
        for key in deleted:
            self._deleted.pop(key, None)

    def take_back(self) -> None:
        """Forget what was changed since the last commit: whatever was read is as it is stored.

        Other threads of the request may have changed a part of it. That must not be lost without
        a word, so where there are any, nothing of the request is stored any more.
        """
        with self._flushing, self.tying:
            self._mixed |= not all(thread.done() for thread in self.flows)
            undeleted = {key: it for key, it in self._deleted.items() if it is not None}
            self._deleted.clear()
            self._anchors |= undeleted
            for key, anchor in list(self._anchors.items()):
                if not take_back(anchor):
                    del self._anchors[key]

    def get_roots(self) -> Iterator[Root]:
        """Yield every root once: those of the store, and those made by this request."""
        self.go_on()
        found = self._store.find("root")
        self._reader.keep(found)
        self.load([document.id for document in found])
        for anchor in list(self.get_mem().values()):
            if isinstance(anchor.archetype, Root):
                yield anchor.archetype

    def get_mem(self) -> dict[UUID, Anchor]:
        """Return what this request has in memory."""
        known = list(self._anchors.values())
        return {anchor.id: anchor for anchor in known if "archetype" in anchor.__dict__}

    def close(self) -> None:
        """Forget everything, written or not."""
        self._anchors.clear()
        self._deleted.clear()
        self._missing.clear()
        self._reader = Reader(self._store)
        self.read = self._reader.read
