"""Commits to MongoDB that take longer than a lease: a writer that is alive is left alone.

One that was killed is out of the way after its lease, which is no longer than it has been slow.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pymongo
import pytest

from jac_converge.app_runtime.stores import Conflict, WriteBatch
from jac_converge.app_runtime.stores.mongo_parts import Parts
from jac_converge.app_runtime.stores.mongo_sending import Patience
from tests.contract.mongo_points import (
    OLD,
    SHAPES,
    SHORT,
    change_all,
    check_clean,
    doc,
    happened,
    opened,
)
from tests.servers.committer import DATABASE, committer
from tests.servers.mongo_proxy import MongoProxy
from tests.servers.mongo_server import MongoServer
from tests.servers.process import wait_until
from tests.servers.tcp_proxy import TcpProxy


def test_slow_commit_is_left_alone(
    mongo_server: MongoServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Readers and writers see that its writer is alive, and it is through at its first try."""
    caplog.set_level("INFO")
    patience = Patience(lease=0.8)
    done, batch = threading.Event(), WriteBatch(updates=tuple(doc(id_, "slow", 1) for id_ in OLD))
    seen = set[str]()
    with (
        TcpProxy(mongo_server.port) as proxy,
        opened(f"mongodb://127.0.0.1:{proxy.port}/", patience, Parts(updates=1)) as slow,
        opened(mongo_server.url, patience) as quick,
        ThreadPoolExecutor(3) as threads,
    ):
        quick.commit(WriteBatch(creates=tuple(doc(id_) for id_ in OLD)))
        slow.ping()

        def read() -> None:
            while not done.is_set():
                seen.update(found.body["text"] for found in quick.get(OLD).values())

        def write() -> None:
            """Change what the slow one has locked."""
            with pytest.raises(Conflict):
                quick.commit(WriteBatch(updates=(doc("a", "quick", 1), doc("d", "quick", 1))))

        proxy.slow(0.1)
        try:
            others = [threads.submit(read)]
            commit = threads.submit(slow.commit, batch)
            wait_until(lambda: locked(mongo_server), within=20, what="a lock")
            others.append(threads.submit(write))
            commit.result(timeout=60)
        finally:
            done.set()
        for other in others:
            other.result(timeout=60)
        assert {"slow"} == {found.body["text"] for found in quick.get(OLD).values()}
        check_clean(mongo_server, quick)
    assert {"old", "slow"} >= seen
    assert not [record for record in caplog.messages if "aborted" in record]


def locked(server: MongoServer) -> bool:
    """Say whether a document is locked."""
    with pymongo.MongoClient[dict[str, Any]](server.url) as client:
        return bool(client[DATABASE]["documents"].count_documents({"lock": {"$exists": True}}))


def test_record_of_a_slow_writer_that_was_killed_is_cleared(
    mongo_server: MongoServer, proxy: MongoProxy
) -> None:
    """Its lease is longer then, and over all the same."""
    shape = SHAPES["parts"]
    slow = {"lease": 0.0, "longest_lease": 2.0}
    renewed = {"kind": "commit", "state": "pending", "lease": {"$exists": True}}
    with (
        pymongo.MongoClient[dict[str, Any]](mongo_server.url) as client,
        committer(proxy.url, shape.batch, patience=slow, parts=shape.parts) as child,
    ):
        rows = client[DATABASE]["documents"]

        def kill() -> None:
            if rows.count_documents(renewed):
                child.kill()

        proxy.reset()
        # How many writes come before depends on how long each takes.
        for write in range(1, 20):
            proxy.before(write, kill)
        print(file=child.stdin, flush=True)
        assert -9 == child.wait(timeout=30)
        assert 1 == rows.count_documents(renewed)
    with opened(mongo_server.url, replace(SHORT, longest_lease=2.0)) as store:
        assert not happened(store, shape)
        change_all(store)
        assert {"newest"} == {found.body["text"] for found in store.get(OLD).values()}
        check_clean(mongo_server, store)


class Clock:
    """A clock to be set by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def lock_by(rows: Any, **says: Any) -> None:
    """Leave what a writer leaves that was killed while it locked a document."""
    record = {"_id": "commit:dead", "kind": "commit", "few": "commit", "state": "pending"}
    rows.insert_one(record | {"ids": ["b"], **says})
    rows.update_one({"_id": "b"}, {"$set": {"lock": "commit:dead", "next": "{}"}})


@pytest.mark.parametrize(
    ("says", "alone"),
    [({}, 1), ({"beat": 1, "lease": 3.0}, 3), ({"beat": 1, "lease": 1e9}, 10)],
    ids=["none", "longer", "for-ever"],
)
def test_record_is_left_alone_for_its_lease(
    proxy: MongoProxy, rows: Any, says: dict[str, Any], alone: float
) -> None:
    """Not shorter, and never for longer than anybody may ask for."""
    clock = Clock()
    lock_by(rows, **says)
    with opened(proxy.url, Patience(lease=1, clock=clock)) as store:
        store.get(["b"])
        for clock.now in (alone - 0.3, alone):
            store.get(["a"])
            assert (clock.now < alone) == bool(rows.count_documents({"_id": "commit:dead"}))


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_record_stays_whose_writer_shows_life(proxy: MongoProxy, rows: Any, when: str) -> None:
    """Also where it does so at the last moment: what aborts it compares."""
    clock = Clock()
    lock_by(rows)

    def show_life() -> None:
        rows.update_one({"_id": "commit:dead"}, {"$set": {"beat": 1}})

    with opened(proxy.url, Patience(lease=1, clock=clock)) as store:
        store.get(["b"])
        if when == "before":
            show_life()
        else:
            proxy.reset()
            proxy.before(1, show_life)  # the deletion of the record
        clock.now = 1.5
        store.get(["a"])
        assert {"beat": 1} == rows.find_one({"_id": "commit:dead"}, {"_id": 0, "beat": 1})
        clock.now = 5
        store.get(["a"])
        clock.now = 9
        store.get(["a"])
        assert not rows.count_documents({"few": "commit"})


def test_writer_does_not_wait_for_ever_for_one_that_is_alive(proxy: MongoProxy, rows: Any) -> None:
    """After its own time for a commit it is told that it lost."""
    beats = 0

    def live_on(seconds: float) -> None:
        nonlocal beats
        beats += 1
        rows.update_one({"_id": "commit:dead"}, {"$set": {"beat": beats}})
        clock.now += seconds * 20

    clock = Clock()
    lock_by(rows)
    patience = Patience(lease=1, clock=clock, sleep=live_on)
    with opened(proxy.url, patience) as store:
        for batch in (
            WriteBatch(updates=(doc("b", "new", 1),)),
            WriteBatch(updates=(doc("a", "new", 1), doc("b", "new", 1))),
        ):
            with pytest.raises(Conflict):
                store.commit(batch)
        assert {"old"} == {found.body["text"] for found in store.get(OLD).values()}
