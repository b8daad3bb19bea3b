"""What every document store promises, asked of each of them on a real server or file."""

import random
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from jac_converge.app_runtime.stores import (
    Conflict,
    Document,
    DocumentStore,
    Removal,
    Unavailable,
    WriteBatch,
)
from jac_converge.app_runtime.stores.mongo import Mongo
from jac_converge.app_runtime.stores.mongo_sending import Patience
from jac_converge.app_runtime.stores.shelf import Shelf
from tests.contract.warm_tiers import tiers, warm
from tests.servers.mongo_server import MongoServer
from tests.servers.redis_server import RedisServer


@pytest.fixture(params=["shelf", "mongo", "redis-shelf", "redis-mongo"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DocumentStore]:
    """Give an empty store of each make, with a warm cache in front or without one."""
    made: DocumentStore
    if request.param.endswith("shelf"):
        made = Shelf(tmp_path / "shelf.db")
    else:
        server: MongoServer = request.getfixturevalue("mongo_server")
        made = Mongo.open(server.url, database=f"test_{secrets.token_hex(4)}")
    if not request.param.startswith("redis"):
        yield made
        made.close()
        return
    cached: RedisServer = request.getfixturevalue("redis_server")
    store, cache = tiers(cached.url, made)
    with redis.Redis.from_url(cached.url) as raw:
        store.commit(WriteBatch(creates=(Document(id="warm", kind="warm", body={}),)))
        warm(store, cache, raw, "warm")
    yield store
    assert 0 == cache.tally.errors
    store.close()


def note(id_: str, text: str = "", version: int = 0) -> Document:
    """Make a document with one field."""
    return Document(id=id_, kind="note", body={"text": text}, version=version)


def test_document_is_read_as_it_was_created(store: DocumentStore) -> None:
    """Every JSON value comes back, with version 1."""
    body = {"$": "tag", "a.b": [1, 2.5, None, True], "big": 2**70, "text": "ü\u0000\U0001f600"}
    store.commit(WriteBatch(creates=(Document(id="a", kind="note", body=body),)))
    expected = {"a": Document(id="a", kind="note", body=body, version=1)}
    assert expected == store.get(["a", "missing"])


def test_whole_numbers_are_read_as_they_were_created(store: DocumentStore) -> None:
    """Beyond what a number of MongoDB or a float can hold, up to what a field takes."""
    body = {"n": [2**63, -(2**64), 10**400 + 1, 10**4300 - 1, 1 - 10**4300]}
    store.commit(WriteBatch(creates=(Document(id="large", kind="note", body=body),)))
    for _ in range(2):  # the second time from the cache, where there is one
        assert body == store.get(["large"])["large"].body


def test_create_conflicts_when_the_id_is_taken(store: DocumentStore) -> None:
    """The first stays, and nothing else of the batch is written."""
    store.commit(WriteBatch(creates=(note("a", "first"),)))
    with pytest.raises(Conflict) as conflict:
        store.commit(WriteBatch(creates=(note("b"), note("a", "second"))))
    assert frozenset({"a"}) == conflict.value.ids
    assert {"a": note("a", "first", 1)} == store.get(["a", "b"])


def test_update_counts_the_version_up(store: DocumentStore) -> None:
    """A second update needs the new version."""
    store.commit(WriteBatch(creates=(note("a", "one"),)))
    store.commit(WriteBatch(updates=(note("a", "two", 1),)))
    store.commit(WriteBatch(updates=(note("a", "three", 2),)))
    assert {"a": note("a", "three", 3)} == store.get(["a"])


@pytest.mark.parametrize(
    "batch",
    [
        pytest.param(WriteBatch(updates=(note("a", "x", 1),)), id="update"),
        pytest.param(WriteBatch(removals=(Removal(id="a", version=1),)), id="removal"),
        pytest.param(WriteBatch(updates=(note("gone", "x", 1),)), id="update-of-nothing"),
        pytest.param(WriteBatch(removals=(Removal(id="gone", version=1),)), id="remove-nothing"),
    ],
)
def test_commit_conflicts_when_a_document_moved_on(store: DocumentStore, batch: WriteBatch) -> None:
    """Nothing of a batch is written, whatever else is in it."""
    store.commit(WriteBatch(creates=(note("a"), note("b", "old"))))
    store.commit(WriteBatch(updates=(note("a", "newer", 1),)))
    whole = WriteBatch(
        creates=(note("c"),),
        updates=(note("b", "new", 1), *batch.updates),
        removals=batch.removals,
    )
    with pytest.raises(Conflict):
        store.commit(whole)
    found = store.get(["a", "b", "c"])
    assert {"a": "newer", "b": "old"} == {key: item.body["text"] for key, item in found.items()}


def test_removed_document_is_gone(store: DocumentStore) -> None:
    """Its id may be used again."""
    store.commit(WriteBatch(creates=(note("a"),)))
    store.commit(WriteBatch(removals=(Removal(id="a", version=1),)))
    assert {} == store.get(["a"])
    store.commit(WriteBatch(creates=(note("a", "again"),)))
    assert {"a": note("a", "again", 1)} == store.get(["a"])


def test_find_gives_one_kind_in_order(store: DocumentStore) -> None:
    """Other kinds stay out."""
    other = Document(id="0", kind="other", body={})
    store.commit(WriteBatch(creates=(note("b"), note("a"), other)))
    assert ["a", "b"] == [document.id for document in store.find("note")]
    assert [] == store.find("nothing")


def test_empty_batch_writes_nothing(store: DocumentStore) -> None:
    """It is allowed, and no conflict."""
    store.commit(WriteBatch())
    assert {} == store.get([])


def test_get_takes_many_ids_at_once(store: DocumentStore) -> None:
    """More than a statement of SQLite has variables."""
    documents = tuple(note(f"{number:05}") for number in range(1200))
    for first in range(0, len(documents), 100):
        store.commit(WriteBatch(creates=documents[first : first + 100]))
    assert len(documents) == len(store.get([document.id for document in documents]))


def test_racing_increments_are_all_counted(store: DocumentStore) -> None:
    """Whoever loses a race reads again; no increment is lost."""
    store.commit(WriteBatch(creates=(Document(id="n", kind="note", body={"n": 0}),)))

    def increment(_: int) -> int:
        for attempt in range(1000):
            with store.exclusive() as view:
                read = view.get(["n"])["n"]
                body = {"n": read.body["n"] + 1}
                new = Document(id="n", kind="note", body=body, version=read.version)
                try:
                    view.commit(WriteBatch(updates=(new,)))
                except Conflict:
                    continue
                return attempt
        raise AssertionError("1000 lost races")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(increment, range(80)))
    assert 80 == store.get(["n"])["n"].body["n"]


def test_racing_transfers_keep_the_sum(store: DocumentStore) -> None:
    """A batch of several changes is as atomic as one, and batches of both sizes respect each other.

    Every third one is a deposit of 1 on one account; a refused batch leaves nothing.
    """
    accounts = [f"a{number}" for number in range(4)]
    store.commit(
        WriteBatch(creates=tuple(Document(id=a, kind="node", body={"n": 100}) for a in accounts))
    )

    def transfer(seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311 - not secrets
        for _ in range(1000):
            source, target = rng.sample(accounts, 2)
            amounts = {target: 1} if seed % 3 == 0 else {source: -1, target: 1}
            with store.exclusive() as view:
                read = view.get(list(amounts))
                moved = tuple(
                    read[id_]._replace(body={"n": read[id_].body["n"] + amount})
                    for id_, amount in amounts.items()
                )
                receipt = Document(id=f"receipt-{seed}", kind="note", body={})
                try:
                    view.commit(WriteBatch(creates=(receipt,), updates=moved))
                except Conflict:
                    continue
                return
        raise AssertionError("1000 lost races")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(transfer, range(24)))
    found = store.get(accounts)
    assert 400 + 8 == sum(document.body["n"] for document in found.values())
    assert 2 * 16 + 8 == sum(document.version - 1 for document in found.values())
    assert 24 == len(store.find("note"))


def member(id_: str, group: str, stamp: int) -> Document:
    """Make a document of a group."""
    return Document(id=id_, kind="node", body={}, group=group, stamp=stamp)


def test_document_keeps_its_group_and_stamp(store: DocumentStore) -> None:
    """They are given once; an update leaves them as they are."""
    store.commit(WriteBatch(creates=(member("a", "g", 1_700_000_000_000_000),)))
    store.commit(WriteBatch(updates=(Document(id="a", kind="node", body={"n": 1}, version=1),)))
    found = store.get(["a"])["a"]
    assert ("g", 1_700_000_000_000_000, 2) == (found.group, found.stamp, found.version)


def test_near_reads_a_group_from_a_stamp_on(store: DocumentStore) -> None:
    """In the order of the stamps, and no more than asked for."""
    members = (member("d", "g", 5), member("c", "g", 20), member("b", "g", 10), member("a", "h", 9))
    store.commit(WriteBatch(creates=(*members, note("x"))))
    assert ["b", "c"] == [document.id for document in store.near("g", 6, 10)]
    assert ["d", "b"] == [document.id for document in store.near("g", 5, 2)]
    assert [] == store.near("", 0, 10)


def test_scan_pages_through_everything(store: DocumentStore) -> None:
    """Every kind, each document once, in the order of the ids."""
    creates = (note("c"), member("a", "g", 1), member("e", "", 0), note("b"), note("commit:d"))
    store.commit(WriteBatch(creates=creates))
    found, after = [], ""
    while page := store.scan(after, 2):
        assert len(page) <= 2
        found += page
        after = page[-1].id
    ours = [document.id for document in found if document.kind not in {"warm", "cache"}]
    assert ["a", "b", "c", "commit:d", "e"] == ours


def test_find_gives_kinds_with_many_documents(store: DocumentStore) -> None:
    """Those without an index, too."""
    store.commit(WriteBatch(creates=(member("b", "", 0), member("a", "g", 1), note("c"))))
    assert ["a", "b"] == [document.id for document in store.find("node")]


def test_batch_of_removals_and_updates_happens(store: DocumentStore) -> None:
    """Hundreds of each, more than one command takes."""
    ids = [f"{number:03}" for number in range(250)]
    store.commit(WriteBatch(creates=tuple(note(id_) for id_ in ids)))
    batch = WriteBatch(
        creates=(note("new"),),
        updates=tuple(note(id_, "changed", 1) for id_ in ids[:130]),
        removals=tuple(Removal(id=id_, version=1) for id_ in ids[130:]),
    )
    store.commit(batch)
    expected = {id_: note(id_, "changed", 2) for id_ in ids[:130]} | {"new": note("new", "", 1)}
    assert expected == store.get([*ids, "new"])
    with pytest.raises(Conflict):
        store.commit(batch)
    assert expected == store.get([*ids, "new"])


def test_conflict_names_what_moved_on(store: DocumentStore) -> None:
    """And not what could have been written."""
    store.commit(WriteBatch(creates=(note("a"), note("b"))))
    store.commit(WriteBatch(updates=(note("a", "newer", 1),)))
    gone = Removal(id="gone", version=1)
    with pytest.raises(Conflict) as conflict:
        store.commit(WriteBatch(updates=(note("a", "", 1), note("b", "", 1)), removals=(gone,)))
    assert frozenset({"a", "gone"}) == conflict.value.ids


def test_exclusive_view_writes_nothing_when_its_work_fails(store: DocumentStore) -> None:
    """Neither on an error nor without a commit, and the store goes on."""
    with pytest.raises(KeyError), store.exclusive() as view:
        view.get(["a"])["a"]
    with store.exclusive():
        pass
    store.commit(WriteBatch(creates=(note("a"),)))
    assert ["a"] == list(store.get(["a"]))


def test_mongo_raises_when_the_server_dies() -> None:
    """Never an empty answer, which would look like a document that is not there."""
    with MongoServer() as server:
        store = Mongo.open(f"{server.url}?serverSelectionTimeoutMS=300", database="test")
        server.kill9()
        with pytest.raises(Unavailable, match="MongoDB read failed"):
            store.get(["a"])
        with pytest.raises(Unavailable, match="MongoDB write failed"):
            store.commit(WriteBatch(creates=(note("a"),)))
        server.start()
        store.commit(WriteBatch(creates=(note("a"),)))
        assert ["a"] == list(store.get(["a"]))
        store.close()


def test_mongo_waits_for_its_server() -> None:
    """At start it says so and goes on once the server is there."""
    with MongoServer() as server:
        server.kill9()
        waits: list[float] = []

        def start_server(seconds: float) -> None:
            waits.append(seconds)
            server.start()

        uri = f"{server.url}?serverSelectionTimeoutMS=200"
        store = Mongo.open(uri, database="test", patience=Patience(sleep=start_server))
        assert 1 == len(waits)
        store.ping()
        store.close()


def test_shelf_names_its_file_when_that_is_no_shelf(tmp_path: Path) -> None:
    """A file of something else is left alone."""
    file = tmp_path / "shelf.db"
    file.write_text("no database " * 100)
    with pytest.raises(Unavailable, match=r"shelf\.db .*; check the file"):
        Shelf(file)
    assert file.read_text().startswith("no database")


def test_shelf_gives_what_others_wrote_just_now(tmp_path: Path) -> None:
    """What it keeps as objects is true, whichever process or thread wrote."""
    ours, theirs = Shelf(tmp_path / "shelf.db"), Shelf(tmp_path / "shelf.db")
    ours.commit(WriteBatch(creates=(note("a", "0"), note("b", "0"))))
    for number in range(1, 20):
        assert {"a", "b"} == ours.get(["a", "b"]).keys()
        writer = (ours, theirs)[number % 2]
        writer.commit(WriteBatch(updates=(note("a", str(number), number),)))
        assert str(number) == ours.get(["a", "b"])["a"].body["text"]
        assert str(number) == theirs.get(["b", "a"])["a"].body["text"]
    theirs.commit(WriteBatch(removals=(Removal(id="b", version=1),)))
    assert {"a"} == ours.get(["a", "b"]).keys()
    for shelf in (ours, theirs):
        shelf.close()


def test_shelf_never_mixes_two_states_of_the_file(tmp_path: Path) -> None:
    """Two documents that are only written together are always read together."""
    ours, theirs = Shelf(tmp_path / "shelf.db"), Shelf(tmp_path / "shelf.db")
    others = tuple(note(f"other{number}") for number in range(50))
    ours.commit(WriteBatch(creates=(note("a", "1"), note("b", "1"), *others)))
    done = threading.Event()

    def write() -> None:
        for version in range(1, 300):
            text = str(version + 1)
            batch = WriteBatch(updates=(note("a", text, version), note("b", text, version)))
            theirs.commit(batch)
        done.set()

    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(write)
        for number in range(100_000):
            if done.is_set():
                break
            ours.get(["a", f"other{number % 50}"])  # so that one of them is kept, the other not
            found = ours.get(["a", "b"])
            assert found["a"].body == found["b"].body
        written.result()
    assert "300" == ours.get(["a"])["a"].body["text"]
    for shelf in (ours, theirs):
        shelf.close()


def test_shelf_commits_twice_while_it_is_held(tmp_path: Path) -> None:
    """The first commit lets the lock go, so the second waits for nobody."""
    shelf = Shelf(tmp_path / "shelf.db")
    with shelf.exclusive() as view:
        view.commit(WriteBatch(creates=(note("a"),)))
        view.commit(WriteBatch(updates=(note("a", "two", 1),)))
        assert {"a": note("a", "two", 2)} == view.get(["a"])
    shelf.close()
