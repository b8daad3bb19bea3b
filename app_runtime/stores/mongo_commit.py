"""Commits that are all or nothing, without transactions: a standalone MongoDB has none.

New documents are written first: nothing leads to them yet. A batch that changes one existing
document then happens with the one update of it, which compares and sets its version. One of new
documents alone happens with the last of them, such as the name of an account. Any other batch
has a commit record, and happens with the one update of that:

    step                          killed after it              what others make of it
    ----------------------------  ---------------------------  ---------------------------------
    a  insert the record,         pending record, no locks     nothing, until its lease is over
       pending, and new documents
    b  lock each old document:    pending record, locks        readers: the body, as before;
       set `lock` and `next`                                   writers: wait, then abort
    c  record := committed        committed record, locks      `next` is the body; who meets it
                                                               does d
    d  body := next, version + 1, committed record, no locks   deleted by who has known it for
       unlock; delete the removed                              `Patience.keep`
    e  delete the record          done

To abort a record is to delete it while it is pending, so one that is missing was aborted, unless it
was carried out and nothing carries its lock any more. Any process may abort it: its writer then
fails in c. Who loses in b aborts its own record before it waits for that of the winner, so nobody
waits for anybody who waits.

What is too much for one command takes several (`mongo_parts`), in a, in b and in d. A writer that
takes long for it renews its record between them (`mongo_lease`): it counts up `beat`, and aborting
compares that, so nobody aborts a record that has changed since it was last seen.

Every command may arrive twice or late (`mongo_sending`):

    a  each attempt has a record of its own, and a mark of its own that new documents carry: one
       that is there already with it is not a conflict, and one with that of an attempt that was
       lost is taken over. So what undoes a lost attempt finds nothing of the next, however late
    b  matches what is unlocked at its version, or locked by this record already; a renewal matches
       pending only, and one that is late makes others wait once more
    c  matches pending and committed; afterwards the record says how it ended
    d  matches its own lock only, and so does the undoing of b
    the one update of a simple batch leaves the writer's mark beside the version; it stays for seven
    versions more, so the row can tell whether a version was written by us

What a killed writer may leave for ever: new documents, where it did not get to the decision.
Nothing leads to them but their ids. So where others may choose the same id, such as a name, it
takes a look at the rest of the batch to tell whether it happened (`auth.accounts`).
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from pymongo import UpdateMany, UpdateOne
from pymongo.collection import Collection as MongoCollection
from pymongo.errors import PyMongoError

from jac_converge.app_runtime.stores.document import Conflict, Document, WriteBatch
from jac_converge.app_runtime.stores.mongo_creates import Creates
from jac_converge.app_runtime.stores.mongo_lease import Lease
from jac_converge.app_runtime.stores.mongo_locks import Locks
from jac_converge.app_runtime.stores.mongo_parts import Parts, check_body, check_record, locking
from jac_converge.app_runtime.stores.mongo_rows import (
    SLOTS,
    Row,
    body_text,
    mark_field,
    new_record,
)
from jac_converge.app_runtime.stores.mongo_sending import Patience, Sent, decisive, send, unknown

__all__ = ["Commit"]

logger = logging.getLogger(__name__)


class Commit:
    """One commit of one batch."""

    def __init__(
        self,
        rows: "MongoCollection[Row]",
        locks: Locks,
        patience: Patience,
        parts: Parts,
        batch: WriteBatch,
    ) -> None:
        """Look at a batch; nothing is sent yet.

        Raises:
            TooLarge: MongoDB cannot hold it.
        """
        self._rows = rows
        self._locks = locks
        self._patience = patience
        self._parts = parts
        self._batch = batch
        self._lease = Lease(patience)
        self._until = patience.clock() + patience.whole
        self._creates = Creates(rows, batch.creates, parts)
        wanted: dict[str, tuple[int, str | None]] = {
            document.id: (document.version, body_text(document)) for document in batch.updates
        }
        for id_, (_, body) in wanted.items():
            check_body(id_, body or "")
        wanted |= {removal.id: (removal.version, None) for removal in batch.removals}
        check_record(wanted)
        # In one order for all: of two batches with documents in common, one gets the first.
        self._wanted = dict(sorted(wanted.items()))

    def run(self) -> None:
        """Write the batch.

        Raises:
            Conflict: nothing was written.
            UnknownOutcome: it may have been written, for MongoDB did not answer.
            PyMongoError: it was not written.
        """
        if self._batch.removals or len(self._batch.updates) > 1:
            while not self._by_record():
                self._patience.pause()
                self._creates.begin_again()
        elif self._batch.updates:
            self._create(self._creates.parts())
            self._ask(self._batch.last_word, self._creates.undo)
            try:
                self._change(self._batch.updates[0])
            except Conflict:
                self._send(self._creates.undo)
                raise
        else:
            self._create(self._creates.parts(but_last=True))
            self._ask(self._batch.last_word, self._creates.undo)
            with decisive():
                self._create([self._creates.last()])

    # A simple batch: new documents, then at most one update.

    def _create(self, parts: Iterable[list[Row]]) -> None:
        for part in self._steps(parts, self._creates.undo):
            self._send(partial(self._creates.write, part))

    def _change(self, document: Document) -> None:
        """Make the one update that counts, and find out whether it was ours where it is not clear.

        Raises:
            Conflict: it was not made.
            UnknownOutcome: it may have been.
        """
        version = document.version
        free = {"_id": document.id, "version": version, "lock": None}
        new = {"body": body_text(document), "version": version + 1}
        new[mark_field(version + 1)] = self._creates.mark
        with decisive() as doubt:
            while True:
                sent = self._send(lambda: self._rows.update_one(free, {"$set": new}).matched_count)
                doubt.sent_again |= sent.again
                if sent.answer:
                    return
                row = self._rows.find_one({"_id": document.id})
                if row is not None and self._wrote(row, version + 1):
                    return
                if row is None or not self._may_be_won(row, version):
                    break
                if "lock" in row:
                    self._locks.wait(row["lock"], [document.id], self._until)
        known = row is not None and version < row["version"] <= version + SLOTS
        if doubt.sent_again and not known:
            raise unknown(f"{document.id} has changed too often since to tell")
        raise Conflict([document.id])

    def _wrote(self, row: Row, version: int) -> bool:
        """Say whether a version of a row is ours, as far back as its marks go."""
        return version <= row["version"] < version + SLOTS and (
            row.get(mark_field(version)) == self._creates.mark
        )

    def _may_be_won(self, row: Row, version: int) -> bool:
        """Say whether the version we have read is still there, or there once a lock is gone."""
        there = row["version"] == version or (row["version"] == version - 1 and "lock" in row)
        return there and self._patience.clock() < self._until

    # Any other batch, by a record.

    def _by_record(self) -> bool:
        """Try once; False: others were in the way, and are no more.

        Raises:
            Conflict: documents have moved on; nothing was written.
        """
        record = self._begin()
        undo = partial(self._undo, record)
        if self._lock_all(record) and self._renew(record):
            self._ask(self._batch.last_word, undo)
            if self._decide(record):
                self._finish(record)
                return True
        self._lease.due()
        if self._lease.grow():
            # Perhaps we were taken for dead, which we are not: the next try says so.
            self._until = self._patience.clock() + self._patience.whole
        self._send(undo)
        rows = self._look()
        if locked := [row for row in rows.values() if "lock" in row]:
            for record, ids in _by_lock(locked).items():
                self._locks.wait(record, ids, self._until)
            rows = self._look()
        moved = {
            id_
            for id_, (version, _) in self._wanted.items()
            if id_ not in rows or not self._may_be_won(rows[id_], version)
        }
        if moved:
            raise Conflict(moved)
        return False

    def _look(self) -> dict[str, Row]:
        return {
            row["_id"]: row
            for ids in self._parts.of_ids(self._wanted)
            for row in self._rows.find({"_id": {"$in": ids}}, ("version", "lock"))
        }

    def _begin(self) -> str:
        """Insert a record, and the new documents."""
        record, parts = "", self._creates.parts()
        first = next(parts, [])

        def insert() -> None:
            nonlocal record
            row = new_record(self._wanted, self._creates.mark) | self._lease.begin()
            # One whose answer never came may turn up later: then nobody else looks after it.
            record = row["_id"]
            self._locks.note(row)
            self._creates.write([row, *first])

        try:
            self._send(insert)
            undo = partial(self._undo, record)
            for part in self._steps(parts, undo, begun=True):
                self._renew(record)
                self._send(partial(self._creates.write, part))
        except Conflict:
            self._send(lambda: self._undo(record))
            raise
        return record

    def _lock_all(self, record: str) -> bool:
        """Lock every document at its version; False as soon as one of them is not to be had."""
        parts = self._parts.of_changes(self._wanted)
        for number, part in enumerate(self._steps(parts, partial(self._undo, record))):
            if number and not self._renew(record):
                return False
            if self._send(partial(self._matched, locking(part, record))).answer < len(part):
                return False
        return True

    def _matched(self, updates: Sequence[UpdateOne | UpdateMany]) -> int:
        return self._rows.bulk_write(updates, ordered=False).matched_count

    def _renew(self, record: str) -> bool:
        """Tell those who wait that we are alive, where it is time to; False: they gave us up."""
        if not self._lease.due():
            return True
        pending = {"_id": record, "state": "pending"}
        says = {"$set": self._lease.renewal()}
        sent = self._send(lambda: self._rows.update_one(pending, says).matched_count)
        self._lease.due()
        return bool(sent.answer)

    def _decide(self, record: str) -> bool:
        """Commit what is locked; False: somebody has aborted it.

        Raises:
            UnknownOutcome: it is or will be committed, or neither.
        """
        began = self._patience.clock()
        state = {"$in": ["pending", "committed"]}
        with decisive():
            sent = self._send(
                lambda: (
                    self._rows.update_one(
                        {"_id": record, "state": state}, {"$set": {"state": "committed"}}
                    ).matched_count
                )
            )
        if sent.answer:
            return True
        if sent.again and self._patience.clock() - began >= self._patience.keep / 2:
            # Long enough for others to have carried it out and deleted it.
            raise unknown("this process stood still")
        return False

    def _finish(self, record: str) -> None:
        """Carry out what is committed; where that fails, it is so all the same."""
        removed = [removal.id for removal in self._batch.removals]
        try:
            self._locks.carry_out(record, [doc.id for doc in self._batch.updates], removed)
            self._rows.delete_one({"_id": record})
        except PyMongoError as error:
            logger.warning("%s is committed, its locks are left to readers: %s", record, error)
            self._locks.note({"_id": record, "state": "committed"})
        else:
            self._locks.forget(record)

    def _undo(self, record: str) -> None:
        self._rows.delete_one({"_id": record})
        self._locks.release(record, self._wanted)
        self._creates.undo()
        self._locks.forget(record)

    # What both ways have in common.

    def _steps[T](
        self, parts: Iterable[T], undo: Callable[[], None], *, begun: bool = False
    ) -> Iterator[T]:
        """Go through parts, each with time of its own, while somebody waits for it."""
        for part in parts:
            if begun:
                self._ask(self._batch.go_on, undo)
                self._until = self._patience.clock() + self._patience.whole
            begun = True
            yield part

    def _ask(self, question: Callable[[], None], undo: Callable[[], None]) -> None:
        """Go on where nobody has anything against it; else undo what is written."""
        try:
            question()
        except BaseException:
            self._send(undo)
            raise

    def _send[T](self, write: Callable[[], T]) -> Sent[T]:
        return send(write, patience=self._patience, until=self._until)


def _by_lock(rows: Iterable[Row]) -> dict[str, list[str]]:
    """Return the ids of locked rows, by the record that has them."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["lock"], []).append(row["_id"])
    return found
