"""How one request reads: each document once, and ahead of itself where it can tell what follows.

What calls like this one have read before comes along with what is read first. And reads that follow
one another, each for what the one before named, cost a round trip per hop: after a few such hops
the documents near the last one come along, those that were created with it or after it, in order.
All of them wait here until somebody asks, though not for long: who waits for somebody else means to
see what they did. It changes with the policy of reading ahead.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from jac_converge.app_runtime.bridge.footprints import Footprints, Key
from jac_converge.app_runtime.stores import Document, DocumentStore, WriteBatch

__all__ = ["Reader"]

PATIENCE: Final = 3
"""Reads of a few documents in a row before the next one reads ahead."""

FEW: Final = 8
"""Documents that a read along a chain asks for at most."""

AHEAD: Final = 256
"""Documents to read ahead at a time."""

MOST: Final = 2048
"""The same where all that was read ahead before was wanted: twice as many each time, up to this."""

FRESH: Final = 0.05
"""s that a document waits which was read ahead; to read it again is cheap."""

FOOTPRINTS: Final = Footprints()
"""Of this process."""


class Reader:
    """The documents that one request has read, by id."""

    __slots__ = ("_ahead", "_ahead_at", "_hops", "_key", "_name", "_read", "_store", "_width")

    def __init__(self, store: DocumentStore, name: str = "") -> None:
        """Begin with nothing read.

        Args:
            store: where documents are.
            name: of the call, whose footprint this is; empty: of nothing that comes again.
        """
        self._store = store
        self._name = name
        self._key: Key = ()
        self._read: dict[str, Document] = {}
        self._ahead: dict[str, Document] = {}
        self._ahead_at = 0.0
        self._hops = 0
        self._width = 0

    def read(self, ids: Collection[str]) -> Mapping[str, Document]:
        """Return documents; those not read before come in one round trip, or two to read ahead.

        Raises:
            Unavailable: the store does not answer.
        """
        # Several threads of one request may be here. What one of them has read first counts for
        # all, and a document that was read ahead is never in neither place.
        read, ahead = self._read, self._fresh()
        unread = [id_ for id_ in ids if id_ not in read and id_ not in ahead]
        if unread:
            for id_, document in self._fetch(unread).items():
                read.setdefault(id_, document)
        found = {}
        for id_ in ids:
            if (waiting := ahead.get(id_)) is not None:
                read.setdefault(id_, waiting)
                ahead.pop(id_, None)
            if (known := read.get(id_)) is not None:
                found[id_] = known
        return found

    def keep(self, found: Iterable[Document]) -> None:
        """Note documents that were found without their ids; what was read before stays as it is."""
        for document in found:
            self._read.setdefault(document.id, document)

    def document(self, id_: str) -> Document | None:
        """A document as it was read, or written since."""
        return self._read.get(id_)

    def took(self, batch: WriteBatch) -> None:
        """Note what a commit of this request wrote."""
        for document in batch.creates + batch.updates:
            self._read[document.id] = document._replace(version=document.version + 1)
        for removal in batch.removals:
            self._read.pop(removal.id, None)

    def learn(self) -> None:
        """Note, of a call that ended well, what it has read."""
        if self._key:
            first = self._key[1:]
            # A copy: threads of the call may read on.
            FOOTPRINTS.note(self._key, tuple(id_ for id_ in list(self._read) if id_ not in first))

    def look_anew(self) -> None:
        """Read what nobody has asked for yet as it is from now on."""
        self._ahead = {}

    def _fresh(self) -> dict[str, Document]:
        """Return what was read ahead, begun anew where that is too long ago."""
        if self._ahead and time.monotonic() - self._ahead_at > FRESH:
            self._ahead = {}
        return self._ahead

    def _fetch(self, ids: Collection[str]) -> dict[str, Document]:
        if self._name and not self._key:
            return self._fetch_first(ids)
        found = self._store.get(ids)
        self._hops = self._hops + 1 if len(ids) <= FEW else 0
        if self._hops > PATIENCE:
            last = max(found.values(), key=lambda document: document.stamp, default=None)
            if last is not None and last.group:
                more = min(2 * self._width, MOST) if not self._ahead else 0
                self._width = max(more, AHEAD)
                # What is left of before is older, and goes; other threads have it in hand.
                at, ahead = time.monotonic(), dict[str, Document]()
                for document in self._store.near(last.group, last.stamp, self._width):
                    if document.id not in self._read and document.id not in found:
                        ahead[document.id] = document
                self._ahead, self._ahead_at = ahead, at
        return found

    def _fetch_first(self, ids: Collection[str]) -> dict[str, Document]:
        self._key = (self._name, *ids)
        expected = FOOTPRINTS.expected(self._key)
        if not expected:
            return self._store.get(ids)
        self._ahead_at = time.monotonic()
        found = self._store.get([*ids, *expected])
        for id_ in expected:
            if (document := found.pop(id_, None)) is not None:
                self._ahead[id_] = document
        return found
