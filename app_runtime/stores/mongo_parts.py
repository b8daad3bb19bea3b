"""Cut what is too much for one command into several, and refuse what no command can hold.

One command for everything would outlast the time for an answer and leave its writer no chance to
say that it is alive. It changes with what MongoDB takes at once.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched

from pymongo import UpdateMany, UpdateOne

from jac_converge.app_runtime.stores.document import TooLarge
from jac_converge.app_runtime.stores.mongo_rows import Row

__all__ = ["Change", "Parts", "check_body", "check_record", "locking"]

LARGEST = 16 * 1024 * 1024 - 64 * 1024
"""Bytes of a row, with what is beside its texts left out."""
LARGEST_BODY = LARGEST // 2
"""While a commit is under way, a row holds its old body and its new one."""
ENTRY = 13  # bytes that an id takes in a list, beside its own
FEW = 10_000  # ids of any length that a record can hold

type Change = tuple[str, int, str | None]
"""An id, the version to be replaced, and the new body; None: removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What one command takes."""

    ids: int = 200
    """Documents to change or to remove: few enough for a slow server to answer in time."""
    new: int = 1000
    """Documents to insert."""
    updates: int = 50
    """Updates that differ. FerretDB 1.24 over SQLite hangs for ever on 100."""
    size: int = 4_000_000
    """Characters of bodies, where there is more than one."""

    def of_ids(self, ids: Collection[str]) -> Iterator[list[str]]:
        """Cut a list of ids."""
        return map(list, batched(ids, self.ids))

    def of_rows(self, rows: Sequence[Row]) -> Iterator[list[Row]]:
        """Cut new rows."""
        part, size = list[Row](), 0
        for row in rows:
            length = len(row["body"])
            if part and (len(part) == self.new or size + length > self.size):
                yield part
                part, size = [], 0
            part.append(row)
            size += length
        if part:
            yield part

    def of_changes(self, changes: Mapping[str, tuple[int, str | None]]) -> Iterator[list[Change]]:
        """Cut changes, in their order: removals of one version take one update together."""
        part, updates, versions, size = list[Change](), 0, set[int](), 0
        for id_, (version, body) in changes.items():
            length = 0 if body is None else len(body)
            different = body is not None or version not in versions
            if part and (
                len(part) == self.ids
                or updates + different > self.updates
                or size + length > self.size
            ):
                yield part
                part, updates, size = [], 0, 0
                versions.clear()
                different = True
            part.append((id_, version, body))
            updates += different
            size += length
            if body is None:
                versions.add(version)
        if part:
            yield part


def locking(part: Sequence[Change], record: str) -> list[UpdateOne | UpdateMany]:
    """Make the updates that lock documents for a record, each at its version."""
    free = {"lock": {"$in": [None, record]}}
    updates: list[UpdateOne | UpdateMany] = []
    removed: dict[int, list[str]] = {}
    for id_, version, body in part:
        if body is None:
            removed.setdefault(version, []).append(id_)
        else:
            wanted = {"_id": id_, "version": version, **free}
            updates.append(UpdateOne(wanted, {"$set": {"lock": record, "next": body}}))
    for version, ids in removed.items():
        wanted = {"_id": {"$in": ids}, "version": version, **free}
        updates.append(UpdateMany(wanted, {"$set": {"lock": record, "next": None}}))
    return updates


def check_body(id_: str, body: str) -> None:
    """Pass a body that a row can hold, beside the one that replaces it.

    Raises:
        TooLarge: it is larger.
    """
    if len(body) <= LARGEST_BODY // 4:
        return  # whatever the characters
    size = len(body.encode())
    if size > LARGEST_BODY:
        raise TooLarge(
            f"document {id_} write failed (TooLarge): it has {size} bytes, and MongoDB takes "
            f"{LARGEST_BODY} of one node or edge; spread its fields over several nodes"
        )


def check_record(ids: Collection[str]) -> None:
    """Pass the ids that a commit record can hold.

    Raises:
        TooLarge: there are too many.
    """
    if len(ids) <= FEW:
        return
    size = sum(len(id_.encode()) + ENTRY for id_ in ids)
    if size > LARGEST:
        most = LARGEST * len(ids) // size
        raise TooLarge(
            f"commit failed (TooLarge): it changes {len(ids)} stored nodes, edges and pages of "
            f"edges, and MongoDB takes about {most} at once; change fewer in one call, or call "
            "commit() in between"
        )
