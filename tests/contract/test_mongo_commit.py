"""A commit to MongoDB happens as a whole or not at all, whatever breaks at whichever write.

Every write of a commit is a point where something goes wrong, just before it reaches the server
and just after: the process is killed, its connection breaks, it stalls, its command arrives late,
or the server dies. What a killed writer may leave: new documents to which nothing leads. They are
not counted as half a commit here; a batch that happened must have all of them.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pymongo
import pytest

from jac_converge.app_runtime.stores import (
    Conflict,
    Document,
    Removal,
    StoreError,
    Unavailable,
    WriteBatch,
)
from jac_converge.app_runtime.stores.mongo import Mongo
from jac_converge.app_runtime.stores.mongo_sending import Patience
from tests.servers.committer import DATABASE, committer
from tests.servers.mongo_proxy import Late, MongoProxy, cut
from tests.servers.mongo_server import MongoServer
from tests.servers.process import wait_until

SHORT = Patience(lease=0.15, keep=0.3)
# A writer that has to win a race against the lease must not be aborted because the machine is slow.
CALM = Patience(lease=60, keep=60)


def doc(id_: str, text: str = "old", version: int = 0) -> Document:
    """Make a document with one field."""
    return Document(id=id_, kind="node", body={"text": text}, version=version)


OLD = ("a", "b", "c")
NEW = (doc("x", "new"), doc("y", "new"))
BEFORE = {id_: doc(id_, "old", 1) for id_ in OLD}


@dataclass(frozen=True, slots=True)
class Shape:
    """A batch, how many writes it takes, and which one of them makes it happen."""

    batch: WriteBatch
    writes: int
    point: int

    @property
    def after(self) -> dict[str, Document]:
        """What is there once it has happened."""
        found = BEFORE | {new.id: replace(new, version=1) for new in self.batch.creates}
        found |= {changed.id: replace(changed, version=2) for changed in self.batch.updates}
        return {id_: found[id_] for id_ in found if id_ not in {r.id for r in self.batch.removals}}


A, B = doc("a", "newer", 1), doc("b", "newer", 1)
SHAPES = {
    "several": Shape(
        WriteBatch(creates=NEW, updates=(A, B), removals=(Removal(id="c", version=1),)), 6, 3
    ),
    "updates": Shape(WriteBatch(updates=(A, B)), 5, 3),
    "removal": Shape(WriteBatch(removals=(Removal(id="c", version=1),)), 5, 3),
    "creates-and-one": Shape(WriteBatch(creates=NEW, updates=(A,)), 2, 2),
    "creates": Shape(WriteBatch(creates=NEW), 1, 1),
}


@dataclass(frozen=True, slots=True)
class Point:
    """A moment in a commit: just before or just after one of its writes reaches the server."""

    shape: Shape
    side: str
    write: int

    @property
    def won(self) -> bool:
        """Whether the batch has happened by then."""
        return self.write + (self.side == "after") > self.shape.point

    def arm(self, proxy: MongoProxy, action: Callable[[], object]) -> None:
        """Count writes from now on, and do something at this one."""
        proxy.reset()
        (proxy.before if self.side == "before" else proxy.after)(self.write, action)


def points(*sides: str) -> pytest.MarkDecorator:
    """Parametrize over every write of batches that have every kind of it."""
    return pytest.mark.parametrize(
        "point",
        [
            pytest.param(Point(SHAPES[name], side, write), id=f"{name}-{side}-{write}")
            for name in ("several", "creates-and-one", "creates")
            for write in range(1, SHAPES[name].writes + 1)
            for side in sides
        ],
    )


@pytest.fixture
def proxy(mongo_server: MongoServer) -> Iterator[MongoProxy]:
    """Give a proxy before a server that has three documents."""
    with opened(mongo_server.url) as store:
        store.commit(WriteBatch(creates=tuple(doc(id_) for id_ in OLD)))
    with MongoProxy(mongo_server.port) as proxy:
        yield proxy


@pytest.fixture
def direct(mongo_server: MongoServer) -> Iterator[Mongo]:
    """Give the store of another process, which knows nothing yet, and is soon out of patience."""
    with opened(mongo_server.url, SHORT) as store:
        yield store


@contextmanager
def opened(url: str, patience: Patience = CALM) -> Iterator[Mongo]:
    """Open a store."""
    store = Mongo.open(url, database=DATABASE, patience=patience)
    try:
        yield store
    finally:
        store.close()


def happened(store: Mongo, shape: Shape) -> bool:
    """Say whether a batch has happened; a batch that has done so by half is a failure."""
    found = store.get([*OLD, *(new.id for new in NEW)])
    if found == shape.after:
        return True
    created = {new.id for new in shape.batch.creates}
    assert BEFORE == {id_: found[id_] for id_ in found if id_ not in created}
    return False


def change_all(store: Mongo) -> None:
    """Change every old document that is there, once."""
    read = store.get(OLD).values()
    store.commit(WriteBatch(updates=tuple(replace(r, body={"text": "newest"}) for r in read)))


def check_clean(server: MongoServer, store: Mongo) -> None:
    """Wait until a process that reads everything has left no lock and no record."""
    with pymongo.MongoClient[dict[str, Any]](server.url) as client:
        rows = client[DATABASE]["documents"]

        def clean() -> bool:
            store.scan("", 1000)
            leftovers = [{"lock": {"$exists": True}}, {"next": {"$exists": True}}]
            return not rows.count_documents({"$or": [*leftovers, {"kind": "commit"}]})

        wait_until(clean, within=20, what="no lock and no record")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_commit_takes_the_writes_that_are_broken_below(proxy: MongoProxy, shape: Shape) -> None:
    """There is no write that these tests leave out, and nothing is read before."""
    with opened(proxy.url) as store:
        proxy.reset()
        store.commit(shape.batch)
        assert shape.writes == proxy.commands.total()
        assert shape.writes == proxy.writes
        assert happened(store, shape)
        assert 1 == proxy.commands["find"]


@points("before", "after")
def test_commit_is_whole_when_its_process_is_killed(
    mongo_server: MongoServer, proxy: MongoProxy, point: Point
) -> None:
    """Killed with -9: others see all of it or nothing, and go on from there."""
    with committer(proxy.url, point.shape.batch) as child:

        def kill() -> None:
            child.kill()
            child.wait()
            cut()

        point.arm(proxy, kill)
        print(file=child.stdin, flush=True)
        assert -9 == child.wait(timeout=30)
        assert child.stdout is not None
        assert "" == child.stdout.read()
    with opened(mongo_server.url, SHORT) as store:
        assert point.won == happened(store, point.shape)
        change_all(store)
        left = {id_ for id_ in OLD if not point.won or id_ in point.shape.after}
        found = store.get(OLD)
        assert dict.fromkeys(left, "newest") == {i: d.body["text"] for i, d in found.items()}
        check_clean(mongo_server, store)


@points("before", "after")
def test_commit_happens_once_when_its_connection_breaks(
    mongo_server: MongoServer, proxy: MongoProxy, direct: Mongo, point: Point
) -> None:
    """The writer finds out what became of its command, and sends it again if need be."""
    with opened(proxy.url) as store:
        point.arm(proxy, cut)
        store.commit(point.shape.batch)
        assert happened(direct, point.shape)
    check_clean(mongo_server, direct)


@points("before")
def test_commit_happens_once_when_a_command_arrives_late(
    mongo_server: MongoServer, proxy: MongoProxy, direct: Mongo, point: Point
) -> None:
    """What is sent a second time changes nothing when the first one arrives after it."""
    release = threading.Event()

    def late() -> None:
        raise Late(release)

    with opened(proxy.url) as store:
        point.arm(proxy, late)
        store.commit(point.shape.batch)
        done = proxy.done
        release.set()
        wait_until(lambda: proxy.done > done, within=10, what="the late command")
        assert happened(direct, point.shape)
    check_clean(mongo_server, direct)
    assert happened(direct, point.shape)


@points("before", "after")
def test_commit_is_whole_when_the_server_dies(
    mongo_server: MongoServer, proxy: MongoProxy, point: Point
) -> None:
    """The server is killed and comes back: what was acknowledged has happened, nothing else."""

    def restart() -> None:
        mongo_server.kill9()
        mongo_server.start()
        cut()

    with opened(proxy.url) as store:
        point.arm(proxy, restart)
        store.commit(point.shape.batch)
    with opened(mongo_server.url, SHORT) as store:
        assert happened(store, point.shape)
        check_clean(mongo_server, store)


@points("before", "after")
def test_stalled_writer_is_overtaken(
    mongo_server: MongoServer, proxy: MongoProxy, direct: Mongo, point: Point
) -> None:
    """Readers do not wait for it; a writer does for a moment, and then the stalled one has lost.

    It has won if it stalls after the write that makes its batch happen.
    """
    stalled, release = threading.Event(), threading.Event()

    def stall() -> None:
        stalled.set()
        release.wait()

    with opened(proxy.url) as store, ThreadPoolExecutor(1) as thread:
        point.arm(proxy, stall)
        commit: Future[None] = thread.submit(store.commit, point.shape.batch)
        try:
            assert stalled.wait(10)
            won = happened(direct, point.shape)
            change_all(direct)
        finally:
            release.set()
        if won or not (point.shape.batch.updates or point.shape.batch.removals):
            commit.result(timeout=20)
        else:
            with pytest.raises(Conflict):
                commit.result(timeout=20)
        assert point.won == won
    left = {id_ for id_ in OLD if not won or id_ in point.shape.after}
    found = direct.get(OLD)
    assert dict.fromkeys(left, "newest") == {i: d.body["text"] for i, d in found.items()}
    check_clean(mongo_server, direct)


def count_up(store: Mongo, ids: list[str], *, times: int) -> int:
    """Count documents up, running again on conflicts; return how often it is not known whether."""
    unknown = 0
    for _ in range(times):
        while True:
            read = store.get(ids)
            updates = tuple(
                replace(read[id_], body={"n": read[id_].body.get("n", 0) + 1}) for id_ in ids
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


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_commit_gives_up_when_the_server_hangs(mongo_server: MongoServer, shape: Shape) -> None:
    """It accepts and never answers: not acknowledged, and afterwards all of it or nothing."""
    hasty = Patience(select=0.3, answer=0.3, whole=0.6, lease=0.15, keep=2)
    with opened(mongo_server.url, hasty) as store:
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
            scanned = [document.id for document in direct.scan("", 2)]
            found = [document.id for document in direct.find("node")]
        finally:
            release.set()
        commit.result(timeout=20)
    assert ["a", "c"] == scanned == found


def test_connection_cut_by_an_action_is_an_error_for_its_client(proxy: MongoProxy) -> None:
    """The proxy does what it says: the second write is not passed on, the first and third are."""
    with pymongo.MongoClient[dict[str, Any]](proxy.url, retryWrites=False) as client:
        rows = client["other"]["rows"]
        rows.insert_one({"_id": 1})
        proxy.reset()
        proxy.before(1, cut)
        with pytest.raises(pymongo.errors.AutoReconnect):
            rows.insert_one({"_id": 2})
        rows.insert_one({"_id": 3})
        assert [1, 3] == [row["_id"] for row in rows.find()]
        assert (2, 1) == (proxy.commands["insert"], proxy.commands["find"])
