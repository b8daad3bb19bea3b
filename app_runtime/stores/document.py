"""Documents, what may change in one commit, and what every store must promise.

    StoreError
    |- Conflict      somebody else changed a document first; run the work again on fresh documents
    |- TooLarge      no store of this kind can hold that; nothing was stored
    |- Unreadable    a document is stored whose body is no JSON
    `- Unavailable   the store cannot be asked now; nothing was stored
       `- UnknownOutcome   unless this says that nobody knows

It changes when the promise between the runtime and its stores changes.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

__all__ = [
    "Conflict",
    "Document",
    "DocumentStore",
    "Removal",
    "StoreError",
    "TooLarge",
    "Unavailable",
    "UnknownOutcome",
    "Unreadable",
    "WriteBatch",
]


class StoreError(Exception):
    """A store did not do what it was asked; the text says what, why, and what to do."""


class Conflict(StoreError):
    """Nothing was written: these documents are not at the version they were read at."""

    def __init__(self, ids: Collection[str]) -> None:
        super().__init__(f"commit failed (Conflict): {', '.join(sorted(ids))} changed meanwhile")
        self.ids = frozenset(ids)


class TooLarge(StoreError):
    """Nothing was written: it is more than the store can hold in one document or one commit."""


class Unreadable(StoreError):
    """What is stored under an id is no body of a document; it was damaged, or written by hand."""

    def __init__(self, kind: str, id_: str, cause: str) -> None:
        super().__init__(f"{kind} {id_} cannot be read: {cause}")
        self.id = id_


class Unavailable(StoreError):
    """The store cannot be asked, and of what was to be written nothing is stored."""


class UnknownOutcome(Unavailable):
    """The batch is stored as a whole or not at all, now or in a moment, and nobody can say which.

    It was on its way when the store went mute. Who reads may find out; who writes it once more may
    write it twice.
    """


class Document(NamedTuple):
    """One stored value under one key."""

    id: str
    """Unique over all kinds."""
    kind: str
    """What it is, for `DocumentStore.find`: "root", "node", "edge", "account", ..."""
    body: Mapping[str, Any]
    """JSON."""
    version: int = 0
    """Counts the commits that wrote it. 0: not stored yet."""
    group: str = ""
    """Documents of one group are likely to be read together; given once, when it is created."""
    stamp: int = 0
    """Its place among those of its group: µs since the epoch when it was created."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """The removal of a document that was read at this version."""

    id: str
    version: int


def _go_on() -> None:
    """Have nothing against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBatch:
    """Everything one unit of work changes; it happens as a whole or not at all."""

    creates: tuple[Document, ...] = ()
    """New documents; an id that is taken is a conflict. What leads to the others comes last: where
    there is no more than creates, some stores show it last."""
    updates: tuple[Document, ...] = ()
    """New bodies; `version` is the one they were read at, and the store counts it up."""
    removals: tuple[Removal, ...] = ()
    go_on: Callable[[], None] = field(default=_go_on, compare=False, repr=False)
    """Called now and then by a store that takes long. What it raises ends the commit, and nothing
    is written."""
    last_word: Callable[[], None] = field(default=_go_on, compare=False, repr=False)
    """The same, right before the write that makes it happen."""

    def __bool__(self) -> bool:
        return bool(self.creates or self.updates or self.removals)


class DocumentStore(Protocol):
    """A store of documents with optimistic concurrency, safe to call from many threads."""

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Read documents in one round trip; a document that is not there is not in the answer.

        What it gives was committed, as a whole.

        Raises:
            Unavailable: never an empty answer in its stead.
        """
        ...

    def find(self, kind: str) -> list[Document]:
        """Read all documents of a kind, in the order of their ids.

        Raises:
            Unavailable: as for `get`.
        """
        ...

    def near(self, group: str, stamp: int, limit: int) -> list[Document]:
        """Read ahead: documents of a group from a stamp on, in the order of their stamps.

        A hint, not a query: what is being written at this moment may be missing.

        Raises:
            Unavailable: as for `get`.
        """
        ...

    def scan(self, after: str, limit: int) -> list[Document]:
        """Read documents of every kind whose ids are greater, in the order of their ids.

        Raises:
            Unavailable: as for `get`.
        """
        ...

    def commit(self, batch: WriteBatch) -> None:
        """Write a batch; when this returns, it outlives a `kill -9` of this process.

        Raises:
            Conflict: a document of the batch is not at its version; nothing was written.
            TooLarge: it is more than this store can hold; nothing was written.
            UnknownOutcome: it may have been written.
            Unavailable: the store cannot write now; nothing was written.
        """
        ...

    def exclusive(self) -> AbstractContextManager["DocumentStore"]:
        """Give a view of the store whose first commit meets no conflict, where the store can.

        Others cannot commit meanwhile, so it is for short work that has lost a race before.
        A store that has no such lock gives itself: then work just runs again.
        """
        ...

    def ping(self) -> None:
        """Ask whether the store answers.

        Raises:
            Unavailable: it does not.
        """
        ...

    def close(self) -> None:
        """Let go of connections; idempotent."""
        ...
