"""Documents in MongoDB, without transactions: a standalone server has none.

Each document is compared and set by its version. New documents go first, since nothing leads to
them yet; then changed ones; removed ones last. So a commit that changes one existing document
happens as a whole, whatever dies in between. One that changes several is undone when a later
document turns out to have moved on; only the death of this process between two of its writes can
leave the earlier ones in place.

Bodies are JSON text: exact for every key and number, as on the shelf.
"""

import json
import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient
from pymongo.collection import Collection as MongoCollection
from pymongo.errors import BulkWriteError, ConfigurationError, InvalidURI, PyMongoError

from jac_converge.app_runtime.stores.document import (
    Conflict,
    Document,
    DocumentStore,
    StoreError,
    Unavailable,
    WriteBatch,
)

__all__ = ["Mongo"]

logger = logging.getLogger(__name__)

SELECT = 3000  # ms to find a server that can be asked
ANSWER = 10_000  # ms for one answer
PAUSE = 1.0  # s between attempts to reach it at start
DUPLICATE = 11000  # server error: the _id is taken
Row = dict[str, Any]


class Mongo:
    """A `DocumentStore` in one collection."""

    def __init__(self, client: "MongoClient[Row]", database: str) -> None:
        self._client = client
        chosen = client.get_default_database(default=database)
        self._rows: MongoCollection[Row] = chosen["documents"]

    @classmethod
    def open(
        cls, uri: str, *, database: str, sleep: Callable[[float], None] = time.sleep
    ) -> "Mongo":
        """Connect, and wait for as long as there is nobody: other data would be wrong data.

        Args:
            uri: of MongoDB; what it says wins over the time limits here.
            database: used where the URI names none.
            sleep: called with s between attempts.

        Raises:
            StoreError: the URI makes no sense.
        """
        try:
            client: MongoClient[Row] = MongoClient(
                uri,
                appname="jac-converge",
                connectTimeoutMS=SELECT,
                serverSelectionTimeoutMS=SELECT,
                socketTimeoutMS=ANSWER,
                w="majority",
            )
        except (ConfigurationError, InvalidURI, ValueError) as error:
            raise StoreError(
                f"MongoDB open failed ({type(error).__name__}): {error}; "
                "check [converge.database] mongodb_uri or MONGODB_URI"
            ) from error
        store, said = cls(client, database), False
        while True:
            try:
                store.ping()
                store._rows.create_index("kind")
                store._rows.create_index([("group", 1), ("stamp", 1)])
            except (Unavailable, PyMongoError) as error:
                if not said:
                    logger.warning("waiting for MongoDB, nothing is served yet: %s", error)
                    said = True
                sleep(PAUSE)
            else:
                return store

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Read documents in one round trip."""
        with _errors("read"):
            rows = list(self._rows.find({"_id": {"$in": list(ids)}})) if ids else []
        return {row["_id"]: _document(row) for row in rows}

    def find(self, kind: str) -> list[Document]:
        """Read all documents of a kind."""
        with _errors("read"):
            return [_document(row) for row in self._rows.find({"kind": kind}).sort("_id", 1)]

    def near(self, group: str, stamp: int, limit: int) -> list[Document]:
        """Read ahead in a group."""
        if not group:
            return []
        with _errors("read"):
            rows = self._rows.find({"group": group, "stamp": {"$gte": stamp}})
            return [_document(row) for row in rows.sort("stamp", 1).limit(limit)]

    def scan(self, after: str, limit: int) -> list[Document]:
        """Read documents in the order of their ids."""
        with _errors("read"):
            rows = self._rows.find({"_id": {"$gt": after}}).sort("_id", 1).limit(limit)
            return [_document(row) for row in rows]

    def commit(self, batch: WriteBatch) -> None:
        """Write a batch, document by document; undo it if one has moved on."""
        if not batch:
            return
        undo: list[Callable[[], object]] = []
        with _errors("write"):
            before = self._check(batch)
            try:
                self._create(batch, undo)
                for changed in batch.updates:
                    self._update(changed, before[changed.id], undo)
                for gone in batch.removals:
                    self._remove(gone.id, before[gone.id], undo)
            except BaseException:
                for step in reversed(undo):
                    step()
                raise

    @contextmanager
    def exclusive(self) -> Iterator[DocumentStore]:
        """Give itself: no lock of ours could keep other processes from writing."""
        yield self

    def ping(self) -> None:
        """Ask the server for a sign of life."""
        with _errors("ping"):
            self._client.admin.command("ping")

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _check(self, batch: WriteBatch) -> dict[str, Row]:
        """Read what will change; most conflicts end here, before anything is written."""
        expected = {changed.id: changed.version for changed in batch.updates}
        expected |= {gone.id: gone.version for gone in batch.removals}
        if not expected:
            return {}
        rows = {row["_id"]: row for row in self._rows.find({"_id": {"$in": list(expected)}})}
        lost = [
            id_ for id_, version in expected.items()
            if id_ not in rows or rows[id_]["version"] != version
        ]  # fmt: skip
        if lost:
            raise Conflict(lost)
        return rows

    def _create(self, batch: WriteBatch, undo: list[Callable[[], object]]) -> None:
        if not batch.creates:
            return
        rows = [_row(document, version=1) for document in batch.creates]
        taken: set[str] = set()
        try:
            self._rows.insert_many(rows, ordered=False)
        except BulkWriteError as error:
            failures = error.details["writeErrors"]
            if any(failure["code"] != DUPLICATE for failure in failures):
                raise
            taken = {rows[failure["index"]]["_id"] for failure in failures}
        made = [row["_id"] for row in rows if row["_id"] not in taken]
        undo.append(lambda: self._rows.delete_many({"_id": {"$in": made}, "version": 1}))
        if taken:
            raise Conflict(taken)

    def _update(self, changed: Document, before: Row, undo: list[Callable[[], object]]) -> None:
        version = changed.version
        new = {**before, "version": version + 1, "body": json.dumps(changed.body)}
        if not self._rows.replace_one({"_id": changed.id, "version": version}, new).matched_count:
            raise Conflict([changed.id])
        # A version of its own: whoever has read the one in between must not take it for this.
        old = {**before, "version": version + 2}
        undo.append(
            lambda: self._rows.replace_one({"_id": changed.id, "version": version + 1}, old)
        )

    def _remove(self, id_: str, before: Row, undo: list[Callable[[], object]]) -> None:
        if not self._rows.delete_one({"_id": id_, "version": before["version"]}).deleted_count:
            raise Conflict([id_])
        undo.append(lambda: self._rows.insert_one(before))


def _row(document: Document, *, version: int) -> Row:
    return {
        "_id": document.id,
        "kind": document.kind,
        "version": version,
        "body": json.dumps(document.body),
        "group": document.group,
        "stamp": document.stamp,
    }


def _document(row: Row) -> Document:
    return Document(
        id=row["_id"],
        kind=row["kind"],
        version=row["version"],
        body=json.loads(row["body"]),
        group=row.get("group", ""),
        stamp=row.get("stamp", 0),
    )


@contextmanager
def _errors(verb: str) -> Iterator[None]:
    try:
        yield
    except PyMongoError as error:
        raise Unavailable(
            f"MongoDB {verb} failed ({type(error).__name__}): {error}; "
            "check that it runs and that [converge.database] mongodb_uri is right"
        ) from error
