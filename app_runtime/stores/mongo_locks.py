"""What to make of a document that a commit record has locked: for readers, and for other writers.

The record decides, see `mongo_commit`. Records of processes that died are dealt with by whoever
meets them, on the way to something else: there is no thread for it. Time is measured from when
this process has first seen a record say what it says, since clocks of other machines say nothing.
Aborting compares that once more: a writer that has just shown life keeps its record.
It changes with the rules for records that are not one's own.
"""

import logging
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from pymongo.collection import Collection as MongoCollection
from pymongo.errors import PyMongoError

from jac_converge.app_runtime.stores.document import Document
from jac_converge.app_runtime.stores.mongo_lease import lease_of
from jac_converge.app_runtime.stores.mongo_parts import Parts
from jac_converge.app_runtime.stores.mongo_rows import FIELDS, RECORD, Row, changed, unchanged
from jac_converge.app_runtime.stores.mongo_sending import Patience

__all__ = ["Locks"]

logger = logging.getLogger(__name__)


SAYS = ("state", "beat", "lease")
"""What there is to know of a record, without the ids."""


class _Seen(NamedTuple):
    says: tuple[str, int]
    since: float
    limit: float
    """For how many s it may go on to say so."""


class Locks:
    """The commit records of one collection, and the locks that lead to them."""

    def __init__(self, rows: "MongoCollection[Row]", patience: Patience, parts: Parts) -> None:
        self._rows = rows
        self._patience = patience
        self._parts = parts
        self._lock = threading.Lock()
        self._tidying = threading.Lock()
        self._look_again = 0.0  # by the clock: no call goes through all that is known before
        self._known: dict[str, _Seen] = {}

    def read(self, rows: Sequence[Row]) -> list[Document]:
        """Turn rows into documents, in the same order; locked ones as their records say."""
        if not any("lock" in row for row in rows):
            return [unchanged(row) for row in rows]
        decided: dict[str, Document | None] = {}
        unsure = list(rows)
        while unsure:
            states = self._states({row["lock"] for row in unsure if "lock" in row})
            vanished = []
            for row in unsure:
                match states.get(row["lock"]) if "lock" in row else "pending":
                    case "committed":
                        decided[row["_id"]] = changed(row)
                    case "pending":
                        decided[row["_id"]] = unchanged(row)
                    case _:
                        vanished.append(row)
            done = [row for row in unsure if states.get(row.get("lock", "")) == "committed"]
            self._help(done)
            unsure = self._read_again(vanished, decided)
        return [document for row in rows if (document := decided[row["_id"]]) is not None]

    def _read_again(self, before: Sequence[Row], decided: dict[str, Document | None]) -> list[Row]:
        """Tell an aborted record from one that was carried out since the rows were read.

        Returns the rows that have changed; decides about those that have not, or are gone.
        """
        if not before:
            return []
        now = {
            row["_id"]: row
            for ids in self._parts.of_ids([row["_id"] for row in before])
            for row in self._rows.find({"_id": {"$in": ids}}, FIELDS)
        }
        for row in before:
            fresh = now.get(row["_id"])
            if fresh is None:
                decided[row["_id"]] = None
            elif fresh.get("lock") == row["lock"]:
                decided[row["_id"]] = unchanged(now.pop(row["_id"]))
                with _left_to_the_next(row["lock"]):
                    self.release(row["lock"], [row["_id"]])
        return list(now.values())

    def _help(self, rows: Sequence[Row]) -> None:
        """Carry out what committed records say about these rows; their readers need not wait."""
        for record in {row["lock"] for row in rows}:
            mine = [row for row in rows if row["lock"] == record]
            removed = [row["_id"] for row in mine if row["next"] is None]
            kept = [row["_id"] for row in mine if row["next"] is not None]
            with _left_to_the_next(record):
                self.carry_out(record, kept, removed)

    def carry_out(self, record: str, kept: Collection[str], removed: Collection[str]) -> None:
        """Make what a committed record wants the present; again and by several is the same."""
        for ids in self._parts.of_ids(removed):
            self._rows.delete_many({"_id": {"$in": ids}, "lock": record, "next": None})
        for ids in self._parts.of_ids(kept):
            self._rows.update_many(
                {"_id": {"$in": ids}, "lock": record, "next": {"$ne": None}},
                {"$rename": {"next": "body"}, "$inc": {"version": 1}, "$unset": {"lock": ""}},
            )

    def release(self, record: str, ids: Collection[str]) -> None:
        """Unlock what a record that is no more has locked; nothing if it was carried out."""
        for some in self._parts.of_ids(ids):
            self._rows.update_many(
                {"_id": {"$in": some}, "lock": record}, {"$unset": {"lock": "", "next": ""}}
            )

    def wait(self, record: str, ids: Collection[str], until: float) -> None:
        """Wait until a record is decided, and free these documents of it.

        One that does not change for the length of its lease is aborted; one whose writer is alive
        is waited for until that time, by the clock.
        """
        for _ in self._patience.pauses():
            row = self._rows.find_one({"_id": record}, SAYS)
            if row is None:
                self.release(record, ids)
                return
            over = self.note(row)
            if row["state"] == "committed":
                self.carry_out(record, ids, ids)
                return
            if over and self._abort(row):
                return
            if self._patience.clock() >= until:
                return

    def _abort(self, seen: Row) -> bool:
        """Abort a pending record for its writer; False: it has changed since it was seen."""
        still = {"_id": seen["_id"], "state": "pending", "beat": seen.get("beat")}
        row = self._rows.find_one(still, ("ids",))
        if row is None or not self._rows.delete_one(still).deleted_count:
            return False
        waited = lease_of(seen, self._patience)
        logger.info("%s aborted: its writer let %g s pass", row["_id"], waited)
        self.release(row["_id"], row["ids"])
        self.forget(row["_id"])
        return True

    def note(self, record: Row) -> bool:
        """Remember what a record says; say whether it has said the same for too long."""
        says = record["state"], record.get("beat", 0)
        now = self._patience.clock()
        with self._lock:
            seen = self._known.get(record["_id"])
            if seen is None or seen.says != says:
                pending = record["state"] == "pending"
                limit = lease_of(record, self._patience) if pending else self._patience.keep
                seen = self._known[record["_id"]] = _Seen(says, now, limit)
        return now - seen.since >= seen.limit

    def forget(self, record: str) -> None:
        """Let go of a record that is no more."""
        with self._lock:
            self._known.pop(record, None)

    def discover(self) -> None:
        """Take note of all records, also of those whose documents nobody reads."""
        for row in self._rows.find({"few": RECORD}, SAYS):
            self.note(row)

    def tidy(self) -> None:
        """Decide, carry out and delete the records that have been the same for too long."""
        now, lease = self._patience.clock(), self._patience.lease
        if not self._known or now < self._look_again or not self._tidying.acquire(blocking=False):
            return
        try:
            self._look_again = now + lease / 4
            if due := self._due():
                self._clear(due)
        finally:
            self._tidying.release()

    def _clear(self, due: Collection[str]) -> None:
        found = {row["_id"]: row for row in self._rows.find({"_id": {"$in": list(due)}}, SAYS)}
        with _left_to_the_next("old records"):
            for record in due:
                self._clear_one(record, found.get(record))

    def _clear_one(self, record: str, row: Row | None) -> None:
        if row is None:
            self.forget(record)
        elif not self.note(row):
            return  # it has changed
        elif row["state"] == "pending":
            self._abort(row)
        elif (whole := self._rows.find_one({"_id": record}, ("ids",))) is not None:
            self.carry_out(record, whole["ids"], whole["ids"])
            self._rows.delete_one({"_id": record})
            self.forget(record)

    def _due(self) -> list[str]:
        now = self._patience.clock()
        with self._lock:
            return [
                record for record, seen in self._known.items() if now - seen.since >= seen.limit
            ]

    def _states(self, records: Iterable[str]) -> dict[str, str]:
        found = list(self._rows.find({"_id": {"$in": list(records)}}, SAYS))
        for row in found:
            self.note(row)
        return {row["_id"]: row["state"] for row in found}


@contextmanager
def _left_to_the_next(whose: str) -> Iterator[None]:
    """Let a reader have its answer even where it could not do this favour to later ones."""
    try:
        yield
    except PyMongoError as error:
        logger.warning("locks of %s are left to a later reader: %s", whose, error)
