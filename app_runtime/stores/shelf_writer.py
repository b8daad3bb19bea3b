"""The one connection of a process that writes to the shelf, and the documents it has read.

What was read stays as objects for as long as the file stays as it is. SQLite says so: the
`data_version` of a connection changes with each commit of any other connection, in this process
or another, and with none of its own. So all commits of a process go through one connection, which
takes what it writes out of its objects, and drops them all when the number changes.

Threads of one process wait here for each other, in turn, instead of asking the file again and again
whether it is free. It changes with the rule that says when an object is still true.
"""

import logging
import sqlite3
import threading
from collections.abc import Collection

from jac_converge.app_runtime.stores import shelf_sql
from jac_converge.app_runtime.stores.document import Document, WriteBatch

__all__ = ["Writer"]

logger = logging.getLogger(__name__)

KEPT = 8192  # documents; a small one takes about 1 kB


class Writer:
    """Reads and writes for whoever has its turn."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._turn = threading.Lock()
        self._documents: dict[str, Document] = {}
        self._version = -1
        self._closed = self._gone = False

    def take(self, seconds: float) -> bool:
        """Take the turn; False: not within the seconds."""
        return (
            self._turn.acquire(timeout=seconds) if seconds else self._turn.acquire(blocking=False)
        )

    def give(self) -> None:
        """End the turn, and a transaction that was not committed.

        It fails for nobody: what was committed before stays so, and what was not is as good as
        undone when the next one begins.
        """
        try:
            if not self._gone:
                self._roll_back()
            if self._closed and not self._gone:
                self._gone = True
                self._connection.close()
        except sqlite3.Error:
            logger.exception("shelf: the end of a turn failed; the next one begins anew")
        finally:
            self._turn.release()

    def close(self) -> None:
        """Close the connection, now or at the end of the turn; idempotent."""
        self._closed = True
        if self.take(0):
            self.give()

    # In a turn only.

    def read(self, ids: Collection[str]) -> dict[str, Document]:
        """Return documents, all of one state of the file."""
        version = self._look()
        kept = self._documents
        found = {id_: kept[id_] for id_ in ids if id_ in kept}
        missing = [id_ for id_ in ids if id_ not in found]
        if not missing:
            return found
        fresh = shelf_sql.read(self._connection, missing)
        if self._look() != version:
            # Somebody wrote in between: two states must not be mixed.
            return shelf_sql.read(self._connection, ids)
        self._keep(fresh)
        return found | fresh

    def begin(self) -> None:
        """Take the write lock of the file, and so keep every other process from writing."""
        self._roll_back()
        self._connection.execute("BEGIN IMMEDIATE")

    def write(self, batch: WriteBatch) -> None:
        """Write a batch and commit.

        Raises:
            Conflict: nothing was written, and the write lock is gone.
        """
        if not self._connection.in_transaction:
            self.begin()  # else each statement would be a commit of its own
        try:
            shelf_sql.write(self._connection, batch)
            batch.last_word()
            self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        for document in batch.updates:
            self._documents.pop(document.id, None)
        for removal in batch.removals:
            self._documents.pop(removal.id, None)

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _look(self) -> int:
        """Ask whether others have written, and forget everything if so."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._documents.clear()
            self._version = version
        return int(version)

    def _keep(self, documents: dict[str, Document]) -> None:
        kept = self._documents
        kept |= documents
        if len(kept) > KEPT:
            for id_ in list(kept)[: len(kept) - KEPT // 2]:
                del kept[id_]
