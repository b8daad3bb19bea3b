"""A commit to MongoDB happens as a whole or not at all, whatever breaks at whichever write.

Every write of a commit is a point where something goes wrong, just before it reaches the server
and just after: the process is killed, its connection breaks, it stalls, its command arrives late,
or the server dies. What a killed writer may leave: new documents to which nothing leads. They are
not counted as half a commit here; a batch that happened must have all of them.
"""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pymongo
import pytest

from jac_converge.app_runtime.stores import (
    Conflict,
)
from jac_converge.app_runtime.stores.mongo import Mongo
from tests.contract.mongo_points import (
    OLD,
    SHAPES,
    SHORT,
    Point,
    Shape,
    change_all,
    check_clean,
    happened,
    opened,
    points,
)
from tests.servers.committer import committer
from tests.servers.mongo_proxy import Late, MongoProxy, cut
from tests.servers.mongo_server import MongoServer
from tests.servers.process import wait_until


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_commit_takes_the_writes_that_are_broken_below(proxy: MongoProxy, shape: Shape) -> None:
    """There is no write that these tests leave out, and nothing is read before."""
    with shape.opened(proxy.url) as store:
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
    shape = point.shape
    with committer(proxy.url, shape.batch, patience=shape.patience, parts=shape.parts) as child:

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
        assert point.won == happened(store, shape)
        change_all(store)
        left = {id_ for id_ in OLD if not point.won or id_ in shape.after}
        found = store.get(OLD)
        assert dict.fromkeys(left, "newest") == {i: d.body["text"] for i, d in found.items()}
        check_clean(mongo_server, store)


@points("before", "after")
def test_commit_happens_once_when_its_connection_breaks(
    mongo_server: MongoServer, proxy: MongoProxy, direct: Mongo, point: Point
) -> None:
    """The writer finds out what became of its command, and sends it again if need be."""
    with point.shape.opened(proxy.url) as store:
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

    with point.shape.opened(proxy.url) as store:
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

    with point.shape.opened(proxy.url) as store:
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

    with point.shape.opened(proxy.url) as store, ThreadPoolExecutor(1) as thread:
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
