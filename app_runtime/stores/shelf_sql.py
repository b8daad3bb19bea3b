"""The statements of the shelf: its tables, and how documents go in and come out.

It changes with the layout of the file.
"""

import json
import sqlite3
from collections.abc import Collection
from pathlib import Path

from jac_converge.app_runtime.stores.document import Conflict, Document, Unreadable, WriteBatch
from jac_converge.app_runtime.stores.text import body_from, text_of

__all__ = ["SCHEMA", "WAIT_FOR_WRITER", "connect", "find", "near", "read", "scan", "write"]

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
# Bytes are what the codec of bodies wants; SQLite would turn them into a string first.
COLUMNS = 'id, kind, version, CAST(body AS BLOB), "group", stamp'
SLOTS = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of ids that have a statement of their own, which SQLite keeps prepared."""


def connect(file: Path) -> sqlite3.Connection:
    """Open the file; transactions begin and end when we say so.

    Raises:
        sqlite3.Error: it cannot be opened, or is no shelf.
    """
    connection = sqlite3.connect(
        file, timeout=WAIT_FOR_WRITER, isolation_level=None, check_same_thread=False
    )
    try:
        _log_ahead(connection)
    except sqlite3.OperationalError as error:
        if not _is_busy(error):
            raise
        # SQLite does not wait by itself where two processes are the first to open a file.
        from tenacity import (  # noqa: PLC0415 - few need it
            Retrying,
            retry_if_exception,
            stop_after_delay,
            wait_random,
        )

        Retrying(
            retry=retry_if_exception(_is_busy),
            wait=wait_random(max=0.05),
            stop=stop_after_delay(WAIT_FOR_WRITER),
            reraise=True,
        )(_log_ahead, connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _log_ahead(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        connection.execute("PRAGMA journal_mode = WAL")


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorname == "SQLITE_BUSY"


def read(connection: sqlite3.Connection, ids: Collection[str]) -> dict[str, Document]:
    """Read documents by id in one statement, and so in one state of the file."""
    values: list[str] = list(ids)
    if not values:
        return {}
    slots = next((size for size in SLOTS if size >= len(values)), 0)
    if slots:
        values += values[-1:] * (slots - len(values))
        wanted = ",".join("?" * slots)
    else:
        values = [json.dumps(values)]
        wanted = "SELECT value FROM json_each(?)"
    rows = connection.execute(f"SELECT {COLUMNS} FROM documents WHERE id IN ({wanted})", values)
    return {row[0]: _document(row) for row in rows}


def find(connection: sqlite3.Connection, kind: str) -> list[Document]:
    """Read all documents of a kind, in the order of their ids."""
    few = f" AND {FEW}" if f"'{kind}'" not in FEW else ""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM documents WHERE kind = ?{few} ORDER BY id", (kind,)
    )
    return [_document(row) for row in rows]


def near(connection: sqlite3.Connection, group: str, stamp: int, limit: int) -> list[Document]:
    """Read documents of a group from a stamp on."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM documents"
        """ WHERE "group" = ? AND "group" != '' AND stamp >= ? ORDER BY stamp LIMIT ?""",
        (group, stamp, limit),
    )
    return [_document(row) for row in rows]


def scan(connection: sqlite3.Connection, after: str, limit: int) -> list[Document]:
    """Read documents in the order of their ids."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM documents WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
    )
    return [_document(row) for row in rows]


def _document(row: tuple[str, str, int, bytes, str, int]) -> Document:
    id_, kind, version, body, group, stamp = row
    try:
        return Document(id_, kind, body_from(body), version, group, stamp)
    except (ValueError, RecursionError) as error:
        raise Unreadable(kind, id_, str(error)) from error


def write(connection: sqlite3.Connection, batch: WriteBatch) -> None:
    """Write each document where it is at its version; all that are not make one conflict.

    Raises:
        Conflict: the transaction around it is to be rolled back.
    """
    lost = []
    for new in batch.creates:
        insert = "INSERT OR IGNORE INTO documents VALUES (?, ?, 1, ?, ?, ?)"
        row = (new.id, new.kind, text_of(new.body), new.group, new.stamp)
        if not connection.execute(insert, row).rowcount:
            lost.append(new.id)
    for changed in batch.updates:
        update = "UPDATE documents SET body = ?, version = version + 1 WHERE id = ? AND version = ?"
        values = (text_of(changed.body), changed.id, changed.version)
        if not connection.execute(update, values).rowcount:
            lost.append(changed.id)
    for gone in batch.removals:
        delete = "DELETE FROM documents WHERE id = ? AND version = ?"
        if not connection.execute(delete, (gone.id, gone.version)).rowcount:
            lost.append(gone.id)
    if lost:
        raise Conflict(lost)
