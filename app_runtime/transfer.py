"""All documents of a store as lines of JSON, and back into an empty one, of whatever make.

The first line says what the file is, the last how much is in it, so that one that was cut off is
recognised. Versions are not kept: each document starts anew at 1, as any document that is created
does, so that whoever caches commits sees these as well. It changes with the form of the file.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import IO, Any

from jac_converge.app_runtime.stores import Document, DocumentStore, Unreadable, WriteBatch
from jac_converge.app_runtime.stores.text import body_from, text_of

__all__ = ["BadFile", "NotEmpty", "documents", "dump", "load", "told"]

FORMAT = 1
PAGE = 200  # documents that are in memory at once
PAGE_BYTES = 4 << 20  # and the size of their lines: a message to MongoDB has 48 MB at most
INTERNAL = frozenset({"cache"})
"""Kinds that mean something to the store that made them alone."""
FIELDS = {"id": str, "kind": str, "group": str, "stamp": int, "body": dict}
_NOT_ASCII = re.compile("[^\x00-\x7f]+")
LOOK_AT = 1000  # documents of a store that is not empty; enough to tell whose it is


class BadFile(Exception):
    """The file is not a whole export; the text says where and why."""


class NotEmpty(Exception):
    """The store has documents already; the text says which."""


def documents(
    store: DocumentStore, skip: Callable[[Unreadable], None] | None = None
) -> Iterator[Document]:
    """Read every document that is not a store's own business, in the order of their ids.

    Args:
        store: of any make.
        skip: called for each document that cannot be read, which is left out.

    Raises:
        Unreadable: there is one, and no `skip`.
    """
    after, limit = "", PAGE
    while True:
        try:
            page = store.scan(after, limit)
        except Unreadable as error:
            if skip is None:
                raise
            if limit == 1:
                skip(error)
                after, limit = error.id, PAGE
            else:  # one by one, up to the one that it is
                limit = 1
            continue
        if not page:
            return
        yield from (document for document in page if document.kind not in INTERNAL)
        after = page[-1].id


def told(kinds: Counter[str]) -> str:
    """Put counts by kind into words."""
    return ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())) or "nothing"


def dump(
    store: DocumentStore,
    file: IO[str],
    *,
    app: str,
    skip: Callable[[Unreadable], None] | None = None,
) -> Counter[str]:
    """Write every document of a store; returns how many of each kind.

    Args:
        store: each document is as some commit left it; what is committed meanwhile may be in the
            file in part.
        file: for lines of ASCII.
        app: its name, for whoever finds the file.
        skip: called for each document that cannot be read, which is left out.

    Raises:
        StoreError: the store does not answer; the file is not whole.
    """
    kinds: Counter[str] = Counter()
    _write(file, {"jac-converge": "export", "format": FORMAT, "app": app})
    for document in documents(store, skip):
        _write(file, {name: getattr(document, name) for name in FIELDS})
        kinds[document.kind] += 1
    _write(file, {"documents": kinds.total(), "kinds": dict(sorted(kinds.items()))})
    return kinds


def load(store: DocumentStore, file: IO[str]) -> Counter[str]:
    """Write every document of a file into an empty store; returns how many of each kind.

    Nothing is written unless the file is whole and the store is empty, but for what a server makes
    when it starts.

    Args:
        store: where to; nobody else should write to it.
        file: can be read twice.

    Raises:
        BadFile: it is not a whole export.
        NotEmpty: somebody's documents are there.
        Conflict: somebody wrote meanwhile, or the file has a document twice; some are written.
        StoreError: the store does not answer.
    """
    for _ in _read(file):
        pass
    made_at_start = _made_at_start(store)
    file.seek(0)
    kinds: Counter[str] = Counter()
    for page in _pages(_read(file)):
        creates = [document for document in page if document.id not in made_at_start]
        updates = [
            Document(
                id=document.id,
                kind=document.kind,
                body=document.body,
                version=made_at_start[document.id],
            )
            for document in page
            if document.id in made_at_start
        ]
        store.commit(WriteBatch(creates=tuple(creates), updates=tuple(updates)))
        kinds.update(document.kind for document in page)
    return kinds


def _made_at_start(store: DocumentStore) -> dict[str, int]:
    """Give ids and versions of the documents that an empty store may have.

    Those are roots of the server's own, as they were made, and what it knows of its jobs.

    Raises:
        NotEmpty: there are others.
    """
    found = list(islice(documents(store), LOOK_AT))
    if all(one.kind == "job" or (one.kind == "root" and one.version == 1) for one in found):
        return {one.id: one.version for one in found}  # accounts have more than a root
    at_least = "at least " if len(found) == LOOK_AT else ""
    kinds = told(Counter(document.kind for document in found))
    raise NotEmpty(f"there are {at_least}{len(found)} documents already ({kinds})")


def _write(file: IO[str], line: dict[str, Any]) -> None:
    try:
        text = json.dumps(line, separators=(",", ":"))
    except ValueError:  # a number of more digits than Python turns into text
        text = _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text_of(line))
    file.write(text + "\n")


def _read(file: Iterable[str]) -> Iterator[tuple[Document, int]]:
    """Read documents and the sizes of their lines; the file is whole if this comes to its end.

    Raises:
        BadFile: it is not.
    """
    kinds: Counter[str] = Counter()
    ended = False
    for number, line in enumerate(file, 1):
        value = _parse(line, number)
        if number == 1:
            if value.get("jac-converge") != "export" or value.get("format") != FORMAT:
                raise BadFile(f"line 1: this is no export of format {FORMAT}")
        elif ended:
            raise BadFile(f"line {number}: there is more after the end")
        elif "documents" in value:
            ended = True
            if value != {"documents": kinds.total(), "kinds": dict(kinds)}:
                raise BadFile(f"line {number}: lines are missing, or too many are there")
        else:
            document = _document(value, number)
            kinds[document.kind] += 1
            yield document, len(line)
    if not ended:
        raise BadFile("it is cut off: the last line is missing")


def _parse(line: str, number: int) -> dict[str, Any]:
    try:
        value = body_from(line)
    except ValueError as error:
        raise BadFile(f"line {number}: {error}") from error
    if not isinstance(value, dict):
        raise BadFile(f"line {number}: this is no JSON object")
    return value


def _document(value: dict[str, Any], number: int) -> Document:
    if value.keys() != FIELDS.keys() or any(
        type(value[name]) is not kind for name, kind in FIELDS.items()
    ):
        raise BadFile(f"line {number}: this is no document")
    return Document(**value)


def _pages(read: Iterator[tuple[Document, int]]) -> Iterator[list[Document]]:
    page: list[Document] = []
    size = 0
    for document, length in read:
        page.append(document)
        size += length
        if len(page) == PAGE or size >= PAGE_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page
