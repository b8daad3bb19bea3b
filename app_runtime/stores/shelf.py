"""The shelf: documents in one SQLite file, for an app without a database server.

Several worker processes may use one shelf. The journal is a write-ahead log: readers never wait
for a writer. `synchronous = NORMAL` hands each commit to the operating system before it is
acknowledged, which outlives any death of the process; a power cut may lose the last commits, but
never half of one. An fsync for each commit costs several times the rest of a request, and whoever
needs it has a MongoDB.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from jac_converge.app_runtime.stores.document import (
    Conflict,
    Document,
    DocumentStore,
    Unavailable,
    WriteBatch,
)

__all__ = ["Shelf"]

WAIT_FOR_WRITER = 10.0  # s that a commit waits for those before it
# Nobody looks for these by kind, so they need not pay for an index; SQLite uses a partial index
# where the query repeats its condition word by word.
FEW = "kind NOT IN ('node', 'edge', 'page')"
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS documents (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    "group" TEXT NOT NULL,
    stamp INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS documents_by_kind ON documents (kind, id) WHERE {FEW};
CREATE INDEX IF NOT EXISTS documents_by_group ON documents ("group", stamp) WHERE "group" != '';
"""
COLUMNS = 'id, kind, version, body, "group", stamp'


class Shelf:
    """A `DocumentStore` in one file. Connections are made when needed and kept for reuse."""

    def __init__(self, file: Path) -> None:
        """Open the file, and make it, its folder and its tables where they are missing.

        Raises:
            Unavailable: it cannot be opened, or is no shelf.
        """
        self._file = file
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        with self.errors("open"):
            file.parent.mkdir(parents=True, exist_ok=True)
            # Before SQLite makes it readable for everybody; its journals take the same mode.
            os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
            with self._connection() as connection:
                connection.executescript(SCHEMA)

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Read documents in one statement."""
        with self.errors("read"), self._connection() as connection:
            return _get(connection, ids)

    def find(self, kind: str) -> list[Document]:
        """Read all documents of a kind."""
        with self.errors("read"), self._connection() as connection:
            return _find(connection, kind)

    def near(self, group: str, stamp: int, limit: int) -> list[Document]:
        """Read ahead in a group."""
        with self.errors("read"), self._connection() as connection:
            return _near(connection, group, stamp, limit)

    def scan(self, after: str, limit: int) -> list[Document]:
        """Read documents in the order of their ids."""
        with self.errors("read"), self._connection() as connection:
            return _scan(connection, after, limit)

    def commit(self, batch: WriteBatch) -> None:
        """Write a batch in one transaction."""
        if not batch:
            return
        with self.errors("write"), self._connection() as connection, _transaction(connection):
            _write(connection, batch)

    @contextmanager
    def exclusive(self) -> Iterator[DocumentStore]:
        """Hold the write lock of the file; the first commit lets it go."""
        with self._connection() as connection:
            with self.errors("write"):  # and not the work inside: its errors are its own
                connection.execute("BEGIN IMMEDIATE")
            held = _Held(self, connection)
            try:
                yield held
            finally:
                held.release()

    def ping(self) -> None:
        """Read one page."""
        with self.errors("read"), self._connection() as connection:
            connection.execute("SELECT 1 FROM documents LIMIT 1").fetchone()

    def close(self) -> None:
        """Close idle connections; those in use close when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            with self.errors("open"):
                connection = self._connect()
        try:
            yield connection
        finally:
            with self._lock:
                keep = not self._closed
                if keep:
                    self._idle.append(connection)
            if not keep:
                connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file, timeout=WAIT_FOR_WRITER, isolation_level=None, check_same_thread=False
        )
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    @contextmanager
    def errors(self, verb: str) -> Iterator[None]:
        """Turn what SQLite and the disk raise inside into `Unavailable`."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(
                f"shelf {self._file} {verb} failed ({type(error).__name__}): {error}; "
                "check the file, its folder and the disk, or [converge.database] shelf_db_path"
            ) from error


class _Held:
    """The shelf while this thread of work alone may write; after one commit the plain shelf."""

    def __init__(self, shelf: Shelf, connection: sqlite3.Connection) -> None:
        self._shelf = shelf
        self._connection: sqlite3.Connection | None = connection

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        if self._connection is None:
            return self._shelf.get(ids)
        with self._shelf.errors("read"):
            return _get(self._connection, ids)

    def find(self, kind: str) -> list[Document]:
        if self._connection is None:
            return self._shelf.find(kind)
        with self._shelf.errors("read"):
            return _find(self._connection, kind)

    def near(self, group: str, stamp: int, limit: int) -> list[Document]:
        if self._connection is None:
            return self._shelf.near(group, stamp, limit)
        with self._shelf.errors("read"):
            return _near(self._connection, group, stamp, limit)

    def scan(self, after: str, limit: int) -> list[Document]:
        return self._shelf.scan(after, limit)

    def commit(self, batch: WriteBatch) -> None:
        if self._connection is None:
            self._shelf.commit(batch)
            return
        with self._shelf.errors("write"):
            _write(self._connection, batch)
            self._connection.execute("COMMIT")
        self._connection = None

    @contextmanager
    def exclusive(self) -> Iterator[DocumentStore]:
        yield self

    def ping(self) -> None:
        self._shelf.ping()

    def close(self) -> None:
        self._shelf.close()

    def release(self) -> None:
        if self._connection is not None:
            self._connection.execute("ROLLBACK")
            self._connection = None


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _get(connection: sqlite3.Connection, ids: Collection[str]) -> dict[str, Document]:
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM documents WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(ids)),),
    )
    return {row[0]: _document(row) for row in rows}


def _find(connection: sqlite3.Connection, kind: str) -> list[Document]:
    few = f" AND {FEW}" if f"'{kind}'" not in FEW else ""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM documents WHERE kind = ?{few} ORDER BY id", (kind,)
    )
    return [_document(row) for row in rows]


def _near(connection: sqlite3.Connection, group: str, stamp: int, limit: int) -> list[Document]:
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM documents"
        """ WHERE "group" = ? AND "group" != '' AND stamp >= ? ORDER BY stamp LIMIT ?""",
        (group, stamp, limit),
    )
    return [_document(row) for row in rows]


def _scan(connection: sqlite3.Connection, after: str, limit: int) -> list[Document]:
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM documents WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
    )
    return [_document(row) for row in rows]


def _document(row: tuple[str, str, int, str, str, int]) -> Document:
    id_, kind, version, body, group, stamp = row
    return Document(
        id=id_, kind=kind, version=version, body=json.loads(body), group=group, stamp=stamp
    )


def _write(connection: sqlite3.Connection, batch: WriteBatch) -> None:
    """Write each document where it is at its version; all that are not make one conflict."""
    lost = []
    for new in batch.creates:
        insert = "INSERT OR IGNORE INTO documents VALUES (?, ?, 1, ?, ?, ?)"
        values = (new.id, new.kind, json.dumps(new.body), new.group, new.stamp)
        if not connection.execute(insert, values).rowcount:
            lost.append(new.id)
    for changed in batch.updates:
        update = "UPDATE documents SET body = ?, version = version + 1 WHERE id = ? AND version = ?"
        values = (json.dumps(changed.body), changed.id, changed.version)
        if not connection.execute(update, values).rowcount:
            lost.append(changed.id)
    for gone in batch.removals:
        delete = "DELETE FROM documents WHERE id = ? AND version = ?"
        if not connection.execute(delete, (gone.id, gone.version)).rowcount:
            lost.append(gone.id)
    if lost:
        raise Conflict(lost)
