"""The shelf: documents in one SQLite file, for an app without a database server.

Several worker processes may use one shelf. The journal is a write-ahead log: readers never wait
for a writer. `synchronous = NORMAL` hands each commit to the operating system before it is
acknowledged, which outlives any death of the process; a power cut may lose the last commits, but
never half of one. An fsync for each commit costs several times the rest of a request, and whoever
needs it has a MongoDB.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from jac_converge.app_runtime.stores import shelf_sql
from jac_converge.app_runtime.stores.document import (
    Conflict,
    Document,
    DocumentStore,
    Unavailable,
    WriteBatch,
)
from jac_converge.app_runtime.stores.shelf_sql import WAIT_FOR_WRITER
from jac_converge.app_runtime.stores.shelf_writer import Writer

__all__ = ["Shelf"]

LOOK = 1.0  # s between two looks whether the file is there, while nobody writes


class Shelf:
    """A `DocumentStore` in one file.

    Reads of known ids go through the writer if nobody else has its turn, else, and for everything
    else, through connections that are made when needed and kept for reuse.
    """

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
            self._opened, self._looked = _identity(file), time.monotonic()
            with self._connection() as connection:
                connection.executescript(shelf_sql.SCHEMA)
            self._writer = Writer(shelf_sql.connect(file))

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Read documents in one statement at most."""
        if time.monotonic() > self._looked + LOOK:
            self._look("read")
        with self.errors("read"):
            if self._writer.take(0):
                try:
                    return self._writer.read(ids)
                finally:
                    self._writer.give()
            with self._connection() as connection:
                return shelf_sql.read(connection, ids)

    def find(self, kind: str) -> list[Document]:
        """Read all documents of a kind."""
        with self.errors("read"), self._connection() as connection:
            return shelf_sql.find(connection, kind)

    def near(self, group: str, stamp: int, limit: int) -> list[Document]:
        """Read ahead in a group."""
        with self.errors("read"), self._connection() as connection:
            return shelf_sql.near(connection, group, stamp, limit)

    def scan(self, after: str, limit: int) -> list[Document]:
        """Read documents in the order of their ids."""
        with self.errors("read"), self._connection() as connection:
            return shelf_sql.scan(connection, after, limit)

    def commit(self, batch: WriteBatch) -> None:
        """Write a batch in one transaction."""
        if not batch:
            return
        writer = self._begin()
        try:
            with self.errors("write"):
                writer.write(batch)
        finally:
            writer.give()

    @contextmanager
    def exclusive(self) -> Iterator[DocumentStore]:
        """Hold the write lock of the file; the first commit lets it go.

        Raises:
            Unavailable: others have written all the time.
        """
        held = _Held(self, self._begin())
        try:
            yield held
        finally:
            held.release()

    def _begin(self) -> Writer:
        if not self._writer.take(WAIT_FOR_WRITER):
            raise self.unavailable("write", "others have written all the time")
        try:
            self._look("write")
            with self.errors("write"):
                self._writer.begin()
        except BaseException:
            self._writer.give()
            raise
        return self._writer

    def ping(self) -> None:
        """Read one page."""
        self._look("read")
        with self.errors("read"), self._connection() as connection:
            connection.execute("SELECT 1 FROM documents LIMIT 1").fetchone()

    def close(self) -> None:
        """Close idle connections; those in use close when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        self._writer.close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            self._look("open")
            with self.errors("open"):
                connection = shelf_sql.connect(self._file)
        try:
            yield connection
        finally:
            with self._lock:
                keep = not self._closed
                if keep:
                    self._idle.append(connection)
            if not keep:
                connection.close()

    def _look(self, verb: str) -> None:
        """See whether the file is the one that was opened.

        We could go on in one that was removed, but what is written there nobody finds again.

        Raises:
            Unavailable: it is not.
        """
        try:
            found = _identity(self._file)
        except OSError:
            found = None
        if found != self._opened:
            raise Unavailable(
                f"shelf {self._file} {verb} failed: the file was moved, removed or replaced while "
                "it was in use; put it back, or start again with what is there now"
            )
        self._looked = time.monotonic()

    @contextmanager
    def errors(self, verb: str) -> Iterator[None]:
        """Turn what SQLite and the disk raise inside into `Unavailable`."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self.unavailable(verb, f"{type(error).__name__}: {error}") from error

    def unavailable(self, verb: str, cause: str) -> Unavailable:
        """Say what could not be done, and what to look at."""
        return Unavailable(
            f"shelf {self._file} {verb} failed ({cause}); "
            "check the file, its folder and the disk, or [converge.database] shelf_db_path"
        )


def _identity(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_dev, found.st_ino


class _Held:
    """The shelf while this thread of work alone may write; after one commit the plain shelf.

    The lock is for the threads of one call: none may read by a turn that another is ending.
    """

    def __init__(self, shelf: Shelf, writer: Writer) -> None:
        self._shelf = shelf
        self._writer: Writer | None = writer
        self._lock = threading.Lock()
        self.find, self.near, self.scan = shelf.find, shelf.near, shelf.scan
        self.ping, self.close = shelf.ping, shelf.close

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        with self._lock:
            if self._writer is not None:
                with self._shelf.errors("read"):
                    return self._writer.read(ids)
        return self._shelf.get(ids)

    def commit(self, batch: WriteBatch) -> None:
        with self._lock:
            if self._writer is not None:
                with self._shelf.errors("write"):
                    try:
                        self._writer.write(batch)
                    except Conflict:
                        self._writer.begin()  # the turn is not over
                        raise
                self._release()
                return
        self._shelf.commit(batch)

    @contextmanager
    def exclusive(self) -> Iterator[DocumentStore]:
        yield self

    def release(self) -> None:
        with self._lock:
            if self._writer is not None:
                self._release()

    def _release(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.give()
