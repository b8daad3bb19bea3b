"""New documents of a batch in MongoDB: they are written before what leads to them.

Each row has the mark of the try that wrote it. One that is there already with it is not a conflict:
a command arrived twice. One with that of a try that was lost is taken over, and what undoes a lost
try finds nothing of the next. It changes with what becomes of rows that nothing leads to.
"""

from collections.abc import Iterator, Sequence

from pymongo.collection import Collection as MongoCollection
from pymongo.errors import BulkWriteError

from jac_converge.app_runtime.stores.document import Conflict, Document
from jac_converge.app_runtime.stores.mongo_parts import Parts, check_body
from jac_converge.app_runtime.stores.mongo_rows import Row, mark_field, new_mark, new_row
from jac_converge.app_runtime.stores.mongo_sending import unconfirmed

__all__ = ["Creates"]

DUPLICATE = 11000  # server error: the _id is taken
MARK = mark_field(1)


class Creates:
    """The new documents of one batch."""

    def __init__(
        self, rows: "MongoCollection[Row]", documents: Sequence[Document], parts: Parts
    ) -> None:
        """Make the rows.

        Raises:
            TooLarge: a row cannot hold one of them.
        """
        self._rows = rows
        self._parts = parts
        self.mark = new_mark()
        self._lost_marks: list[str] = []
        self._made = [new_row(document, self.mark) for document in documents]
        for row in self._made:
            check_body(row["_id"], row["body"])

    def parts(self, *, but_last: bool = False) -> Iterator[list[Row]]:
        """Cut them into what one command takes."""
        return self._parts.of_rows(self._made[:-1] if but_last else self._made)

    def last(self) -> list[Row]:
        """Return the one that leads to the others, where there is nothing else."""
        return self._made[-1:]

    def begin_again(self) -> None:
        """Have another mark: the try that has this one is lost."""
        self._lost_marks.append(self.mark)
        self.mark = new_mark()
        for row in self._made:
            row[MARK] = self.mark

    def write(self, made: Sequence[Row]) -> None:
        """Write rows; again is the same.

        Raises:
            Conflict: ids are taken, and none of ours is there any more.
        """
        try:
            self._rows.insert_many(made, ordered=False)
        except BulkWriteError as error:
            if unconfirmed(error):
                raise
            failures = error.details["writeErrors"]
            if any(failure["code"] != DUPLICATE for failure in failures):
                raise
            self._check_taken({made[failure["index"]]["_id"] for failure in failures})

    def _check_taken(self, ids: set[str]) -> None:
        """Let pass what we have created ourselves, now or before; the rest is a conflict."""
        some = {"_id": {"$in": list(ids)}}
        if self._lost_marks:
            self._rows.update_many(
                some | {MARK: {"$in": self._lost_marks}}, {"$set": {MARK: self.mark}}
            )
        ours = self._rows.find(some | {MARK: self.mark}, ("_id",))
        if taken := ids - {row["_id"] for row in ours}:
            self.undo()
            raise Conflict(taken)

    def undo(self) -> None:
        """Delete what this try has written."""
        for ids in self._parts.of_ids([row["_id"] for row in self._made]):
            self._rows.delete_many({"_id": {"$in": ids}, MARK: self.mark})
