"""Documents in MongoDB: the connection, reads, and what its errors mean to the app.

How a batch is written is in `mongo_commit`, how a row looks in `mongo_rows`.
"""

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pymongo
from pymongo import MongoClient
from pymongo.collection import Collection as MongoCollection
from pymongo.cursor import Cursor
from pymongo.errors import ConfigurationError, ConnectionFailure, InvalidURI, PyMongoError
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from jac_converge.app_runtime.stores.document import (
    Document,
    DocumentStore,
    StoreError,
    Unavailable,
    WriteBatch,
)
from jac_converge.app_runtime.stores.mongo_commit import Commit
from jac_converge.app_runtime.stores.mongo_locks import Locks
from jac_converge.app_runtime.stores.mongo_parts import Parts
from jac_converge.app_runtime.stores.mongo_rows import FIELDS, MANY, RECORD, Row
from jac_converge.app_runtime.stores.mongo_sending import Patience, Unanswered
from jac_converge.app_runtime.stores.tally import Tally

__all__ = ["Mongo", "check_uri"]

logger = logging.getLogger(__name__)

PAUSE = 1.0  # s between attempts to reach it at start
SIGN_OF_LIFE = 1.0  # s
AT_ONCE = 10_000  # documents in one answer, as far as its 16 MB go; by default, the first has 101


class Mongo:
    """A `DocumentStore` in one collection."""

    def __init__(
        self, client: "MongoClient[Row]", database: str, patience: Patience, parts: Parts
    ) -> None:
        self._client = client
        self._patience = patience
        self._parts = parts
        chosen = client.get_default_database(default=database)
        self._rows: MongoCollection[Row] = chosen["documents"]
        self._locks = Locks(self._rows, patience, parts)

    @classmethod
    def open(
        cls,
        uri: str,
        *,
        database: str,
        patience: Patience | None = None,
        parts: Parts | None = None,
        tally: Tally | None = None,
        wait: bool = True,
    ) -> "Mongo":
        """Connect, and wait for as long as there is nobody: other data would be wrong data.

        Args:
            uri: of MongoDB; what it says wins over the time limits here.
            database: used where the URI names none.
            patience: how long to wait for what.
            parts: what one command takes.
            tally: counts commands; its bytes stay 0, for the client tells none.
            wait: for as long as it takes; else it has to answer at once.

        Raises:
            StoreError: the URI makes no sense.
            Unavailable: nobody answers, and nobody is waited for.
        """
        patience = patience or Patience()
        options = _defaults(uri, patience)
        if tally is not None:
            options["event_listeners"] = [_Commands(tally)]
        client = _client(uri, options)
        store, said = cls(client, database, patience, parts or Parts()), False
        while True:
            try:
                store.ping()
                store._prepare()
            except Unavailable as error:
                if not wait:
                    store.close()
                    raise
                if not said:
                    logger.warning("waiting for MongoDB, nothing is served yet: %s", error)
                    said = True
                patience.sleep(PAUSE)
            else:
                return store

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Read documents in one round trip; in two or three where one is being changed."""
        if not ids:
            return {}
        with _errors("read"):
            return {found.id: found for found in self._read({"_id": {"$in": list(ids)}})}

    def find(self, kind: str) -> list[Document]:
        """Read all documents of a kind."""
        with _errors("read"):
            field = "kind" if kind in MANY else "few"
            return self._read({field: kind}, lambda cursor: cursor.sort("_id", 1))

    def near(self, group: str, stamp: int, limit: int) -> list[Document]:
        """Read ahead in a group."""
        with _errors("read"):
            wanted = {"g": group, "s": {"$gte": stamp}}
            return self._read(wanted, lambda cursor: cursor.sort("s", 1).limit(limit))

    def scan(self, after: str, limit: int) -> list[Document]:
        """Read documents in the order of their ids."""
        found: list[Document] = []
        with _errors("read"):
            if not after:  # who looks at everything also meets what nobody else ever would
                self._locks.discover()
            self._locks.tidy()
            while limit > len(found):
                wanted = {"_id": {"$gt": after}, "kind": {"$ne": RECORD}}
                rows = self._rows.find(wanted, FIELDS).sort("_id", 1)
                page = list(rows.limit(limit - len(found)))
                if not page:
                    break
                after = page[-1]["_id"]
                found += self._locks.read(page)  # fewer than rows, where some are being removed
        return found

    def commit(self, batch: WriteBatch) -> None:
        """Write a batch."""
        if not batch:
            return
        with _errors("write"):
            self._locks.tidy()
            Commit(self._rows, self._locks, self._patience, self._parts, batch).run()

    @contextmanager
    def exclusive(self) -> Iterator[DocumentStore]:
        """Give itself: no lock of ours could keep other processes from writing."""
        yield self

    def ping(self) -> None:
        """Ask the server for a sign of life."""
        with _errors("ping"):
            self._client.admin.command("ping")

    def answers(self) -> bool:
        """Say whether the server gives a sign of life within a second."""
        try:
            with pymongo.timeout(SIGN_OF_LIFE):
                self._client.admin.command("ping")
        except PyMongoError:
            return False
        return True

    @staticmethod
    def is_silence(error: Unavailable) -> bool:
        """Say whether an error of ours is that of a server that did not answer."""
        return isinstance(error.__cause__, ConnectionFailure | Unanswered)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _prepare(self) -> None:
        with _errors("write"):
            self._rows.create_index("few", sparse=True)
            self._rows.create_index([("g", 1), ("s", 1)], sparse=True)
            self._locks.discover()

    def _read(
        self,
        wanted: dict[str, Any],
        arrange: Callable[["Cursor[Row]"], "Cursor[Row]"] = lambda cursor: cursor,
    ) -> list[Document]:
        self._locks.tidy()
        # When we stop waiting, the server may stop working.
        limit = self._client.options.pool_options.socket_timeout
        cursor = self._rows.find(wanted, FIELDS, batch_size=AT_ONCE)
        cursor = cursor.max_time_ms(int(limit * 1000) if limit else None)
        return self._locks.read(list(arrange(cursor)))


class _Commands(CommandListener):
    """Counts what is sent."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def started(self, event: CommandStartedEvent) -> None:  # noqa: ARG002
        self._tally.add(round_trips=1)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing to count."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing to count: whoever asked does."""


def check_uri(uri: str) -> None:
    """Look whether a URI makes sense; nobody is asked, so of `mongodb+srv://` little is known.

    Raises:
        StoreError: it does not.
    """
    if not uri.startswith("mongodb+srv://"):
        _client(uri, {"connect": False}).close()


def _client(uri: str, options: dict[str, Any]) -> "MongoClient[Row]":
    try:
        return MongoClient(uri, **options)
    except (ConfigurationError, InvalidURI, ValueError) as error:
        raise StoreError(
            f"MongoDB open failed ({type(error).__name__}): {error}; "
            "check [converge.database] mongodb_uri or MONGODB_URI"
        ) from error


def _defaults(uri: str, patience: Patience) -> dict[str, Any]:
    """Return what the URI leaves open; as keywords they would win over what it says."""
    select = patience.select * 1000
    options = {
        "appname": "jac-converge",
        "connectTimeoutMS": select,
        "serverSelectionTimeoutMS": select,
        "waitQueueTimeoutMS": select,
        "socketTimeoutMS": patience.answer * 1000,
        "readPreference": "primary",
        "w": "majority",
    }
    given = {name.lower() for name, _ in parse_qsl(urlsplit(uri).query)}
    return {name: value for name, value in options.items() if name.lower() not in given}


@contextmanager
def _errors(verb: str) -> Iterator[None]:
    try:
        yield
    except PyMongoError as error:
        # What follows is what the client knows of the whole cluster, in its own notation.
        cause = str(error).partition(", Timeout:")[0].partition(" (configured timeouts:")[0]
        # Some are of a class of its own, which tells nobody anything.
        kind = next(cls for cls in type(error).__mro__ if not cls.__name__.startswith("_"))
        raise Unavailable(
            f"MongoDB {verb} failed ({kind.__name__}): {cause}; "
            "check that it runs and that [converge.database] mongodb_uri is right"
        ) from error
