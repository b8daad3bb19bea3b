"""Counts of one tier of memory, and a store that keeps them.

Only in front of a store whose counts somebody reads: then it costs about a microsecond per
question, else nothing. It changes when there is something else to count.
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

__all__ = ["Counted", "Tally"]


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
    errors: int = 0
    """Questions and batches that got no answer."""
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    """For changes; whoever reads needs none."""


class Counted:
    """A `DocumentStore` that counts, and leaves the rest to another."""

    def __init__(self, store: DocumentStore, tally: Tally) -> None:
        self._store = store
        self._tally = tally

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Read documents, and count those that are there."""
        if not ids:
            return {}
        found = self._read(lambda: self._store.get(ids))
        with self._tally.lock:
            self._tally.hits += len(found)
            self._tally.misses += len(set(ids)) - len(found)
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
            with self._tally.lock:
                self._tally.commits += 1
                self._tally.conflicts += conflicts
                self._tally.errors += errors

    @contextmanager
    def exclusive(self) -> Iterator[DocumentStore]:
        """Give a view that counts as well."""
        with self._store.exclusive() as view:
            yield Counted(view, self._tally)

    def ping(self) -> None:
        """Ask for a sign of life, which counts as nothing: it is ours, not a caller's."""
        self._store.ping()

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _read[T](self, read: Callable[[], T]) -> T:
        errors = 0
        try:
            return read()
        except StoreError:
            errors = 1
            raise
        finally:
            with self._tally.lock:
                self._tally.reads += 1
                self._tally.errors += errors
