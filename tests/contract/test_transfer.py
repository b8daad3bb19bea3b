"""Export and import between real stores of both makes."""

import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pymongo
import pytest

from jac_converge.app_runtime.stores import Document, DocumentStore, Unreadable, WriteBatch
from jac_converge.app_runtime.stores.mongo import Mongo
from jac_converge.app_runtime.stores.shelf import Shelf
from jac_converge.app_runtime.transfer import PAGE, BadFile, NotEmpty, documents, dump, load
from tests.servers.mongo_server import MongoServer

ODD: dict[str, Any] = {
    "$": "tag", "a.b": [1, 2.5, -0.0, 1e300, None, True], "big": 2**70, "": {},
    "text": "ü\u0000\u2028\ud800\U0001f600\r\n", "infinite": float("inf"),
}  # fmt: skip


@pytest.fixture
def other(tmp_path: Path, mongo_server: MongoServer, store: DocumentStore) -> Iterator[Any]:
    """Give an empty store of the make that `store` is not."""
    made = (
        Mongo.open(mongo_server.url, database="other")
        if isinstance(store, Shelf)
        else Shelf(tmp_path / "other.db")
    )
    yield made
    made.close()


def fill(store: DocumentStore, count: int = 3) -> None:
    """Write documents of two kinds, one of them twice."""
    new = [
        Document(id=f"{number:04}", kind="node", body={"n": number}, group="g", stamp=number)
        for number in range(count)
    ]
    name = Document(id="name:\u00fc\U0001f600", kind="name", body=ODD)
    store.commit(WriteBatch(creates=(name,)))
    for first in range(0, count, 100):
        store.commit(WriteBatch(creates=tuple(new[first : first + 100])))
    changed = Document(id="0000", kind="node", body={"n": "changed"}, version=1)
    store.commit(WriteBatch(updates=(changed,)))


def exported(store: DocumentStore) -> str:
    """Return the text of an export."""
    file = io.StringIO()
    dump(store, file, app="test")
    return file.getvalue()


def test_everything_arrives_in_a_store_of_the_other_make(
    store: DocumentStore, other: DocumentStore
) -> None:
    """Every value, group and stamp, over several pages; versions start anew."""
    fill(store, PAGE + 50)
    text = exported(store)
    kinds = load(other, io.StringIO(text))
    assert {"name": 1, "node": PAGE + 50} == kinds
    assert text == exported(other)
    arrived = {document.id: document for document in documents(other)}
    assert ODD == arrived["name:\u00fc\U0001f600"].body
    assert Document(
        id="0000", kind="node", body={"n": "changed"}, version=1, group="g", stamp=0
    ) == arrived["0000"]  # fmt: skip


def test_number_and_depth_of_an_earlier_version_arrive(
    store: DocumentStore, other: DocumentStore
) -> None:
    """Larger and deeper than what is stored today."""
    deep: Any = "\u00fc"
    for _ in range(400):
        deep = [deep]
    large = {"n": 10**5000 + 7, "text": '\u00fc\u2028\U0001f600"'}
    old = {"deep": {"v": deep}, "large": large}
    creates = tuple(Document(id=id_, kind="node", body=body) for id_, body in old.items())
    store.commit(WriteBatch(creates=creates))
    text = exported(store)
    assert text.isascii()
    assert {"node": 2} == load(other, io.StringIO(text))
    assert old == {document.id: document.body for document in documents(other)}


def test_damaged_documents_are_skipped_and_told(mongo_server: MongoServer, tmp_path: Path) -> None:
    """Of both stores; the others around them are there."""
    mongo = Mongo.open(mongo_server.url, database="damaged")
    shelf = Shelf(tmp_path / "damaged.db")
    for store in (mongo, shelf):
        fill(store, 20)
    with pymongo.MongoClient[dict[str, Any]](mongo_server.url) as client:
        rows = client["damaged"]["documents"]
        rows.update_many({"_id": {"$in": ["0003", "0019"]}}, {"$set": {"body": "{"}})
    with closing(sqlite3.connect(tmp_path / "damaged.db")) as file, file:
        file.execute("UPDATE documents SET body = '{' WHERE id IN ('0003', '0019')")
    for store in (mongo, shelf):
        lost: list[Unreadable] = []
        kinds = dump(store, io.StringIO(), app="test", skip=lost.append)
        assert ({"node": 18, "name": 1}, ["0003", "0019"]) == (kinds, [one.id for one in lost])
        with pytest.raises(Unreadable, match="node 0003 cannot be read"):
            exported(store)
        store.close()


def test_what_a_store_keeps_for_itself_stays_there(store: DocumentStore) -> None:
    """What a cache writes down means nothing elsewhere, and makes no store full."""
    internal = [Document(id=kind, kind=kind, body={}) for kind in ("cache",)]
    store.commit(WriteBatch(creates=tuple(internal)))
    header, end = map(json.loads, exported(store).splitlines())
    assert ("export", 1, "test") == (header["jac-converge"], header["format"], header["app"])
    assert {"documents": 0, "kinds": {}} == end
    load(store, io.StringIO(exported(store)))


def test_import_refuses_a_store_with_documents(store: DocumentStore, other: DocumentStore) -> None:
    """It says what is there and writes nothing."""
    fill(store)
    fill(other, 1)
    before = exported(other)
    with pytest.raises(NotEmpty, match=r"2 documents already \(name 1, node 1\)"):
        load(other, io.StringIO(exported(store)))
    assert before == exported(other)


def test_root_that_a_server_made_at_its_start_gives_way(
    store: DocumentStore, other: DocumentStore
) -> None:
    """A store that nobody has used is empty to its user; one whose root has changed is not."""
    root = Document(id="00aa", kind="root", body={"edges": []})
    store.commit(WriteBatch(creates=(root,)))
    other.commit(WriteBatch(creates=(root,)))
    used = Document(id="00aa", kind="root", body={"edges": ["e"]}, version=1)
    store.commit(WriteBatch(updates=(used,)))
    load(other, io.StringIO(exported(store)))
    assert {"edges": ["e"]} == other.get(["00aa"])["00aa"].body
    with pytest.raises(NotEmpty):
        load(other, io.StringIO(exported(store)))


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        pytest.param(lambda lines: lines[:-1], "cut off", id="no-end"),
        pytest.param(lambda lines: lines[:0], "cut off", id="empty"),
        pytest.param(lambda lines: [*lines[:-1], lines[-1][:9]], "line 6", id="cut-in-a-line"),
        pytest.param(lambda lines: [*lines[:2], *lines[3:]], "line 5: lines are", id="line-lost"),
        pytest.param(lambda lines: [*lines, lines[1]], "line 7: there is more", id="more"),
        pytest.param(lambda lines: lines[1:], "line 1: this is no export", id="no-header"),
        pytest.param(
            lambda lines: [lines[0].replace('"format":1', '"format":2'), *lines[1:]],
            "no export of format 1",
            id="newer",
        ),
        pytest.param(lambda lines: [lines[0], "[]", *lines[2:]], "line 2: .* object", id="list"),
        pytest.param(
            lambda lines: [lines[0], '{"id": "a"}', *lines[2:]], "line 2: .* document", id="fields"
        ),
    ],
)
def test_file_that_is_not_whole_is_refused(store: DocumentStore, edit: Any, why: str) -> None:
    """Before anything is written."""
    lines = [json.dumps({"jac-converge": "export", "format": 1, "app": "a"}, separators=(",", ":"))]
    for id_ in "abcd":
        value = {"id": id_, "kind": "note", "group": "", "stamp": 0, "body": {}}
        lines.append(json.dumps(value))
    lines.append(json.dumps({"documents": 4, "kinds": {"note": 4}}))
    with pytest.raises(BadFile, match=why):
        load(store, io.StringIO("\n".join(edit(lines))))
    assert [] == list(documents(store))
