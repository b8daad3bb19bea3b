"""Commits of thousands of documents, those that nobody waits for, and what nobody can store."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jac_converge.app_runtime.stores import (
    Conflict,
    Document,
    DocumentStore,
    Removal,
    TooLarge,
    WriteBatch,
)
from jac_converge.app_runtime.stores.mongo_parts import LARGEST_BODY
from jac_converge.app_runtime.stores.shelf import Shelf
from tests.contract.mongo_points import (
    OLD,
    SHAPES,
    Shape,
    check_clean,
    doc,
    happened,
    opened,
)
from tests.servers.mongo_proxy import WRITES, MongoProxy
from tests.servers.mongo_server import MongoServer


class Left(Exception):
    """Raised where nobody waits for a commit any more."""


def leave() -> None:
    """Do not wait any more."""
    raise Left


def many(count: int, text: str = "old", version: int = 0) -> tuple[Document, ...]:
    """Make documents."""
    return tuple(doc(f"{number:04}", text, version) for number in range(count))


def removals(documents: tuple[Document, ...]) -> tuple[Removal, ...]:
    """Remove documents at their first version."""
    return tuple(Removal(id=document.id, version=1) for document in documents)


def test_thousands_of_documents_in_one_commit(store: DocumentStore) -> None:
    """Created, changed and removed, at versions that differ."""
    documents = many(2500)
    store.commit(WriteBatch(creates=documents))
    store.commit(WriteBatch(updates=many(1200, "new", 1)))
    found = store.get([document.id for document in documents])
    assert {"new": 1200, "old": 1300} == {
        text: sum(one.body["text"] == text for one in found.values()) for text in ("new", "old")
    }
    gone = tuple(Removal(id=one.id, version=one.version) for one in found.values())
    with pytest.raises(Conflict) as conflict:
        store.commit(WriteBatch(removals=(*gone[:-1], replace(gone[-1], version=7))))
    assert {gone[-1].id} == conflict.value.ids
    assert found == store.get([document.id for document in documents])
    store.commit(WriteBatch(removals=gone))
    assert {} == store.get([document.id for document in documents])


def writes(proxy: MongoProxy) -> dict[str, int]:
    """Count the writes that were sent; the client also says hello now and then."""
    return {name: times for name, times in proxy.commands.items() if name in WRITES}


def test_removals_of_one_version_take_few_commands(proxy: MongoProxy) -> None:
    """Two hundred in each: a hub with its edges and leaves is a matter of seconds."""
    documents = many(500)
    with opened(proxy.url) as store:
        store.commit(WriteBatch(creates=documents))
        proxy.reset()
        store.commit(WriteBatch(removals=removals(documents)))
        # The record, three times locks, the decision, three times carried out, the record again.
        assert {"insert": 1, "update": 4, "delete": 4} == writes(proxy)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_commit_that_nobody_waits_for_leaves_nothing(
    mongo_server: MongoServer, proxy: MongoProxy, rows: Any, shape: Shape
) -> None:
    """Up to the write that would make it happen, it can still be called off."""
    before = list(rows.find().sort("_id", 1))
    with shape.opened(proxy.url) as store:
        proxy.reset()
        with pytest.raises(Left):
            store.commit(replace(shape.batch, last_word=leave))
        assert before == list(rows.find().sort("_id", 1))
        check_clean(mongo_server, store)
        store.commit(shape.batch)
        assert happened(store, shape)


def test_large_commit_ends_early_when_nobody_waits(proxy: MongoProxy, rows: Any) -> None:
    """It does not go on to lock what is left."""
    before = list(rows.find().sort("_id", 1))
    shape = SHAPES["parts"]
    with shape.opened(proxy.url) as store:
        proxy.reset()
        with pytest.raises(Left):
            store.commit(replace(shape.batch, creates=(), go_on=leave))
        # The record, one lock; undone: the record, four locks.
        assert {"insert": 1, "update": 5, "delete": 1} == writes(proxy)
    assert before == list(rows.find().sort("_id", 1))


def test_shelf_leaves_nothing_of_a_commit_that_nobody_waits_for(tmp_path: Path) -> None:
    """Nor is it locked afterwards."""
    shelf = Shelf(tmp_path / "shelf.db")
    batch = WriteBatch(creates=(doc("a"),))
    with pytest.raises(Left):
        shelf.commit(replace(batch, last_word=leave))
    with pytest.raises(Left), shelf.exclusive() as view:
        view.commit(replace(batch, last_word=leave))
    assert {} == shelf.get(["a"])
    shelf.commit(batch)
    assert ["a"] == list(shelf.get(["a"]))
    shelf.close()


def too_many() -> WriteBatch:
    """Remove more than a record can name."""
    return WriteBatch(removals=tuple(Removal(id=f"{n:032x}", version=1) for n in range(400_000)))


LARGE = "ü" * (LARGEST_BODY // 2)


@pytest.mark.parametrize(
    ("batch", "match"),
    [
        (lambda: WriteBatch(creates=(doc("new"), doc("large", LARGE))), "large .* 8355840 of one"),
        (lambda: WriteBatch(updates=(doc("a", LARGE, 1),)), "document a .* spread its fields"),
        (lambda: WriteBatch(updates=(doc("a", LARGE, 1), doc("b", "", 1))), "document a"),
        (too_many, r"400000 stored .* about 3\d{5} at once; change fewer"),
    ],
    ids=["create", "update", "updates", "record"],
)
def test_what_mongo_cannot_hold_is_refused(
    proxy: MongoProxy, batch: Callable[[], WriteBatch], match: str
) -> None:
    """The error names the limit and what to do, and nothing was sent."""
    with opened(proxy.url) as store:
        proxy.reset()
        with pytest.raises(TooLarge, match=match):
            store.commit(batch())
        assert 0 == proxy.writes
        assert {*OLD} == store.get([*OLD, "new", "large"]).keys()


def test_largest_document_can_be_changed_with_others(mongo_server: MongoServer) -> None:
    """Its row holds the old and the new body for a moment, and still is none too many."""
    text = "x" * (LARGEST_BODY - 100)
    with opened(mongo_server.url) as store:
        store.commit(WriteBatch(creates=(doc("a", text), doc("b"))))
        store.commit(WriteBatch(updates=(doc("a", text[1:], 1), doc("b", "new", 1))))
        assert {"a": len(text) - 1, "b": 3} == {
            id_: len(found.body["text"]) for id_, found in store.get(["a", "b"]).items()
        }
