"""Counts of one tier of memory, and a store that keeps them.

It changes when there is something else to count.
"""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from jac_converge.app_runtime.stores.document import (
    Conflict,
    Document,
    DocumentStore,
    StoreError,
    WriteBatch,
)

__all__ = ["COUNTS", "Counted", "Tally"]

COUNTS = (
    "hits", "misses", "reads", "commits", "conflicts", "errors", "round_trips", "bytes_in",
    "bytes_out",
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Tally:
    """What one tier of this process has done since the process began."""

    tier: str
    hits: int = 0
    """Documents that were asked for by id, and there."""
    misses: int = 0
    reads: int = 0
    """Questions, whatever their size. A call of `get` without ids is none."""
    commits: int = 0
    """Batches that were to be written, conflicts and errors among them."""
    conflicts: int = 0
    """Batches that lost a race."""
    errors: int = 0
    """Questions and batches that got no answer."""
    round_trips: int = 0
    """Commands that a server was sent, or pipelines of them; none where there is no server."""
    bytes_in: int = 0
    """Received from a server, without the framing of its protocol."""
    bytes_out: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, **counts: int) -> None:
        """Count up, from any thread; names as in `COUNTS`."""
        with self._lock:
            for name, count in counts.items():
                if count:
                    setattr(self, name, getattr(self, name) + count)


class Counted:
    """A `DocumentStore` that counts, and leaves the rest to another."""

    def __init__(self, store: DocumentStore, tally: Tally) -> None:
        self._store = store
        self._tally = tally
        self.ping, self.close = store.ping, store.close

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Read documents, and count those that are there."""
        if not ids:
            return {}
        found = self._read(lambda: self._store.get(ids))
        self._tally.add(hits=len(found), misses=len(set(ids)) - len(found))
        return found

    def find(self, kind: str) -> list[Document]:
        """Read all documents of a kind."""
        return self._read(lambda: self._store.find(kind))

    def near(self, group: str, stamp: int, limit: int) -> list[Document]:
        """Read ahead in a group."""
        return self._read(lambda: self._store.near(group, stamp, limit))

    def scan(self, after: str, limit: int) -> list[Document]:
        """Read documents in the order of their ids."""
        return self._read(lambda: self._store.scan(after, limit))

    def commit(self, batch: WriteBatch) -> None:
        """Write a batch, and count how that went."""
        if not batch:
            return
        conflicts = errors = 0
        try:
            self._store.commit(batch)
        except Conflict:
            conflicts = 1
            raise
        except StoreError:
            errors = 1
            raise
        finally:
            self._tally.add(commits=1, conflicts=conflicts, errors=errors)

    @contextmanager
    def exclusive(self) -> Iterator[DocumentStore]:
        """Give a view that counts as well."""
        with self._store.exclusive() as view:
            yield Counted(view, self._tally)

    def _read[T](self, read: Callable[[], T]) -> T:
        errors = 0
        try:
            return read()
        except StoreError:
            errors = 1
            raise
        finally:
            self._tally.add(reads=1, errors=errors)
