"""Many at once on MongoDB, lost answers, and a server that hangs: nothing is lost or doubled."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pymongo
import pytest

from jac_converge.app_runtime.stores import (
    Conflict,
    Removal,
    StoreError,
    Unavailable,
    UnknownOutcome,
    WriteBatch,
)
from jac_converge.app_runtime.stores.mongo import Mongo
from jac_converge.app_runtime.stores.mongo_sending import Patience
from tests.contract.mongo_points import (
    OLD,
    SHAPES,
    SHORT,
    Shape,
    check_clean,
    doc,
    happened,
    opened,
)
from tests.servers.committer import DATABASE
from tests.servers.mongo_proxy import Late, MongoProxy, cut
from tests.servers.mongo_server import MongoServer
from tests.servers.process import wait_until


def count_up(store: Mongo, ids: list[str], *, times: int) -> int:
    """Count documents up, running again on conflicts; return how often it is not known whether."""
    unknown = 0
    for _ in range(times):
        while True:
            read = store.get(ids)
            updates = tuple(
                read[id_]._replace(body={"n": read[id_].body.get("n", 0) + 1}) for id_ in ids
            )
            try:
                store.commit(WriteBatch(updates=updates))
            except Conflict:
                continue
            except Unavailable:
                unknown += 1
            break
    return unknown


def test_opposite_orders_do_not_deadlock(mongo_server: MongoServer) -> None:
    """Two processes that lock the same documents, in two commands each, both get through."""
    ids = [f"{number:03}" for number in range(60)]
    with opened(mongo_server.url) as one, opened(mongo_server.url) as other:
        one.commit(WriteBatch(creates=tuple(doc(id_) for id_ in ids)))
        with ThreadPoolExecutor(2) as threads:
            runs = [
                threads.submit(count_up, one, ids, times=3),
                threads.submit(count_up, other, ids[::-1], times=3),
            ]
            assert [0, 0] == [run.result(timeout=120) for run in runs]
        assert {6} == {document.body["n"] for document in one.get(ids).values()}


@pytest.mark.parametrize("ids", [["a"], ["a", "b"]], ids=["simple", "by-record"])
def test_racing_increments_are_counted_once_when_answers_get_lost(
    proxy: MongoProxy, direct: Mongo, ids: list[str]
) -> None:
    """A lost answer is neither a conflict, which would count twice, nor a success by guess."""
    stop = threading.Event()

    def lose_answers() -> None:
        while not stop.wait(0.5):
            proxy.after(proxy.writes + 2, cut)

    with opened(proxy.url) as store, ThreadPoolExecutor(5) as threads:
        losing = threads.submit(lose_answers)
        try:
            runs = [threads.submit(count_up, store, ids, times=4) for _ in range(4)]
            unknown = sum(run.result(timeout=120) for run in runs)
        finally:
            stop.set()
            losing.result()
    for document in direct.get(ids).values():
        assert 16 - unknown <= document.body["n"] <= 16


def hasty(shape: Shape) -> Patience:
    """Give little patience with the server to the writer of a batch."""
    patience = Patience(**shape.patience)
    return replace(patience, select=0.3, answer=0.3, whole=0.6, keep=2)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_commit_gives_up_when_the_server_hangs(mongo_server: MongoServer, shape: Shape) -> None:
    """It accepts and never answers: not acknowledged, and afterwards all of it or nothing."""
    with opened(mongo_server.url, hasty(shape), shape.parts) as store:
        store.commit(WriteBatch(creates=tuple(doc(id_) for id_ in OLD)))
        mongo_server.freeze()
        with pytest.raises(Unavailable, match="MongoDB write failed"):
            store.commit(shape.batch)
        with pytest.raises(Unavailable, match="MongoDB read failed"):
            store.get(["a"])
        mongo_server.thaw()

        def answers() -> bool:
            try:
                store.ping()
            except StoreError:
                return False
            return True

        wait_until(answers, within=20, what="an answer after the thaw")
    with opened(mongo_server.url, SHORT) as store:
        happened(store, shape)
        check_clean(mongo_server, store)


def test_reader_of_a_removed_document_finds_nothing(proxy: MongoProxy, direct: Mongo) -> None:
    """Between the commit and its being carried out, every way to read says the same."""
    stalled, release = threading.Event(), threading.Event()

    def stall() -> None:
        stalled.set()
        release.wait()

    removal = WriteBatch(removals=(Removal(id="b", version=1),))
    with opened(proxy.url) as store, ThreadPoolExecutor(1) as thread:
        proxy.reset()
        proxy.after(3, stall)
        commit = thread.submit(store.commit, removal)
        try:
            assert stalled.wait(10)
            scanned = [document.id for document in direct.scan("", 3)]
            found = [document.id for document in direct.find("node")]
        finally:
            release.set()
        commit.result(timeout=20)
    assert ["a", "c", "d"] == scanned == found


def lock_by_a_dead_writer(server: MongoServer, id_: str) -> None:
    """Leave what a writer leaves that was killed while it locked a document."""
    record = {"_id": "commit:dead", "kind": "commit", "few": "commit"}
    with pymongo.MongoClient[dict[str, Any]](server.url) as client:
        rows = client[DATABASE]["documents"]
        rows.insert_one(record | {"state": "pending", "ids": [id_]})
        rows.update_one({"_id": id_}, {"$set": {"lock": "commit:dead", "next": "{}"}})


def test_reader_has_its_answer_where_clearing_up_after_others_fails(
    mongo_server: MongoServer, proxy: MongoProxy
) -> None:
    """What it would have done for later readers is no business of its own."""
    now = 0.0
    lock_by_a_dead_writer(mongo_server, "b")
    with opened(proxy.url, Patience(lease=1, keep=60, clock=lambda: now)) as store:
        assert "old" == store.get(["b"])["b"].body["text"]
        now = 2.0
        proxy.reset()
        proxy.before(1, cut)  # the deletion of the record
        assert ["a"] == list(store.get(["a"]))
        now = 4.0
        assert ["b"] == list(store.get(["b"]))
    with pymongo.MongoClient[dict[str, Any]](mongo_server.url) as client:
        assert 0 == client[DATABASE]["documents"].count_documents({"few": "commit"})


def test_late_undoing_of_a_lost_try_leaves_the_next_one_alone(
    mongo_server: MongoServer, proxy: MongoProxy, direct: Mongo
) -> None:
    """The first try removes its new documents; a copy of that arrives when the second has won."""
    release, shape = threading.Event(), SHAPES["several"]
    lock_by_a_dead_writer(mongo_server, "b")

    def late() -> None:
        raise Late(release)

    with opened(proxy.url, SHORT) as store:
        proxy.reset()
        proxy.before(5, late)  # insert, lock in vain, delete the record, unlock; remove
        store.commit(shape.batch)
        assert happened(direct, shape)
        done = proxy.done
        release.set()
        wait_until(lambda: proxy.done > done, within=10, what="the late command")
        assert happened(direct, shape)
    check_clean(mongo_server, direct)


def test_late_insert_of_a_lost_try_is_taken_over_by_the_next_one(
    mongo_server: MongoServer, proxy: MongoProxy, direct: Mongo
) -> None:
    """What the first try was to create turns up when it has been undone: no conflict with it."""
    release, shape = threading.Event(), SHAPES["several"]
    lock_by_a_dead_writer(mongo_server, "b")

    def late() -> None:
        raise Late(release)

    def deliver() -> None:
        done = proxy.done
        release.set()
        wait_until(lambda: proxy.done > done, within=10, what="the late command")

    with opened(proxy.url, SHORT) as store:
        proxy.reset()
        proxy.before(1, late)
        proxy.after(6, deliver)  # insert, insert, lock in vain, delete the record, unlock, remove
        store.commit(shape.batch)
        assert release.is_set()
        assert happened(direct, shape)
    check_clean(mongo_server, direct)


WRITES = [
    pytest.param(shape, write, side, id=f"{name}-{side}-{write}")
    for name, shape in SHAPES.items()
    for write in range(1, shape.point + 1)
    for side in ("before", "after")
]


@pytest.mark.parametrize(("shape", "write", "side"), WRITES)
def test_commit_says_whether_its_outcome_is_known(
    mongo_server: MongoServer, proxy: MongoProxy, shape: Shape, write: int, side: str
) -> None:
    """The server hangs at one of its writes: unknown is what makes the batch happen, and no other.

    Where the answer to that one got lost, it has happened.
    """

    def hang() -> None:
        mongo_server.freeze()
        cut()

    with opened(proxy.url, hasty(shape), shape.parts) as store:
        proxy.reset()
        (proxy.before if side == "before" else proxy.after)(write, hang)
        with pytest.raises(Unavailable) as failure:
            store.commit(shape.batch)
        mongo_server.thaw()
    assert (write == shape.point) == isinstance(failure.value, UnknownOutcome)
    with opened(mongo_server.url, SHORT) as store:
        check_clean(mongo_server, store)
        if (write, side) != (shape.point, "before"):  # else it may be on its way
            assert (write == shape.point) == happened(store, shape)
