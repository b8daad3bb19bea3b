"""How a document lies in MongoDB: the fields of its row, and the way from one to the other.

    _id, kind, version   as in `Document`
    body                 JSON text: exact for every key and number, as on the shelf
    few                  the kind once more, where documents of it are few: for a sparse index
    g, s                 group and stamp, where there is a group: for a sparse index
    t                    stamp, where there is none
    w0 ... w7            writer marks: who wrote version n is in field n modulo 8
    lock, next           the commit record that wants to change it, and the body it would give it;
                         null: it would remove it

A commit record is a row too, of the kind "commit": it has a state, the ids of the documents it
locks, and, of a writer that takes long, the number of its last sign of life (`beat`) and for how
many s to wait for the next one (`lease`).

No index by `partialFilterExpression`: it took until MongoDB 6 to understand `$in`, and a sparse
index does the same on every one.
"""

import secrets
from collections.abc import Iterable
from typing import Any

from jac_converge.app_runtime.stores.document import Document, Unreadable
from jac_converge.app_runtime.stores.text import body_from, text_of

__all__ = [
    "FIELDS",
    "MANY",
    "RECORD",
    "SLOTS",
    "Row",
    "body_text",
    "changed",
    "mark_field",
    "new_mark",
    "new_record",
    "new_row",
    "unchanged",
]

Row = dict[str, Any]
MANY = frozenset({"node", "edge", "page"})
RECORD = "commit"
SLOTS = 8
FIELDS = ("kind", "version", "body", "g", "s", "t", "lock", "next")


def new_mark() -> str:
    """Make what tells one writer from all others."""
    return secrets.token_hex(8)


def mark_field(version: int) -> str:
    """Name the field that says who wrote a version; it does so for the next seven as well."""
    return f"w{version % SLOTS}"


def body_text(document: Document) -> str:
    """Return the body as it is stored."""
    return text_of(document.body)


def new_row(document: Document, mark: str) -> Row:
    """Make the first version of a document."""
    row: Row = {"_id": document.id, "kind": document.kind, "version": 1}
    row |= {"body": body_text(document), mark_field(1): mark}
    if document.kind not in MANY:
        row["few"] = document.kind
    if document.group:
        row |= {"g": document.group, "s": document.stamp}
    elif document.stamp:
        row["t"] = document.stamp
    return row


def new_record(ids: Iterable[str], mark: str) -> Row:
    """Make a commit record, pending, with an id that was never used."""
    row: Row = {"_id": f"{RECORD}:{secrets.token_hex(16)}", "kind": RECORD, "few": RECORD}
    return row | {"state": "pending", "ids": list(ids), mark_field(1): mark}


def unchanged(row: Row) -> Document:
    """Read a row as if no lock were on it."""
    return _document(row, row["version"], row["body"])


def changed(row: Row) -> Document | None:
    """Read a locked row as its record will leave it; None: removed."""
    return None if row["next"] is None else _document(row, row["version"] + 1, row["next"])


def _document(row: Row, version: int, body: str) -> Document:
    try:
        read = body_from(body)
    except (ValueError, RecursionError) as error:
        raise Unreadable(row["kind"], row["_id"], str(error)) from error
    return Document(
        id=row["_id"],
        kind=row["kind"],
        version=version,
        body=read,
        group=row.get("g", ""),
        stamp=row["s"] if "s" in row else row.get("t", 0),
    )
