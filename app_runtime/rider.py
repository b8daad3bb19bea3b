"""A store whose first commit carries one document more: work and the note of it are one.

It changes with what is to be true of both together.
"""

from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from jac_converge.app_runtime.stores import Document, DocumentStore, WriteBatch

__all__ = ["Rider", "WithRider"]


@dataclass(slots=True, kw_only=True)
class Rider:
    """What is to be written with the work."""

    document: Document
    """At the version it was read at, 0: a new one. If somebody has written it since, nothing is
    written."""
    stored: bool = False


class WithRider:
    """A `DocumentStore` for one piece of work."""

    def __init__(self, store: DocumentStore, rider: Rider) -> None:
        """Add a rider to a store."""
        self._store, self._rider = store, rider

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Read documents."""
        return self._store.get(ids)

    def find(self, kind: str) -> list[Document]:
        """Read all documents of a kind."""
        return self._store.find(kind)

    def near(self, group: str, stamp: int, limit: int) -> list[Document]:
        """Read ahead in a group."""
        return self._store.near(group, stamp, limit)

    def scan(self, after: str, limit: int) -> list[Document]:
        """Read documents in the order of their ids."""
        return self._store.scan(after, limit)

    def commit(self, batch: WriteBatch) -> None:
        """Write a batch, the first one with the rider."""
        if not batch or self._rider.stored:
            self._store.commit(batch)
        else:
            self._commit(batch)

    def _commit(self, batch: WriteBatch) -> None:
        document = self._rider.document
        if document.version:
            together = replace(batch, updates=(*batch.updates, document))
        else:
            together = replace(batch, creates=(*batch.creates, document))
        self._store.commit(together)
        self._rider.stored = True

    def arrive(self) -> None:
        """Write the rider, also where no work took it along.

        Raises:
            Conflict: somebody has written it since it was read.
        """
        if not self._rider.stored:
            self._commit(WriteBatch())

    def exclusive(self) -> AbstractContextManager[DocumentStore]:
        """Give itself: whoever added a rider has taken the lock before."""
        return nullcontext(self)

    def ping(self) -> None:
        """Ask whether the store answers."""
        self._store.ping()

    def close(self) -> None:
        """Leave the store to its owner."""
