"""Whatever happens to Redis: requests go on, and none of them reads what is old."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from jac_converge.app_runtime.stores import Conflict, Document, DocumentStore, WriteBatch
from jac_converge.app_runtime.stores.redis import Redis
from jac_converge.app_runtime.stores.shelf import Shelf
from jac_converge.app_runtime.stores.tiered import TieredStore
from tests.contract.warm_tiers import evalshas, tiers, warm
from tests.servers.process import wait_until
from tests.servers.redis_server import RedisServer
from tests.servers.tcp_proxy import TcpProxy


@dataclass
class Pair:
    """Two processes' tiers over one store; the first reaches Redis through a proxy."""

    server: RedisServer
    proxy: TcpProxy
    raw: "redis.Redis"
    far: TieredStore
    near: TieredStore
    far_cache: Redis
    near_cache: Redis

    def warm(self) -> None:
        """Have both read from the cache."""
        warm(self.near, self.near_cache, self.raw, "n")
        warm(self.far, self.far_cache, self.raw, "n")

    def warnings(self, caplog: pytest.LogCaptureFixture) -> list[str]:
        """Return what was said about the cache in a warning."""
        said = [record for record in caplog.records if record.levelno == logging.WARNING]
        return [record.getMessage() for record in said]


@pytest.fixture
def pair(redis_server: RedisServer, tmp_path: Path) -> Iterator[Pair]:
    """Give two warm ones, and a document with a number."""
    file = tmp_path / "shelf.db"
    with TcpProxy(redis_server.port) as proxy, redis.Redis.from_url(redis_server.url) as raw:
        far, far_cache = tiers(f"redis://127.0.0.1:{proxy.port}/0", Shelf(file))
        near, near_cache = tiers(redis_server.url, Shelf(file))
        made = Pair(redis_server, proxy, raw, far, near, far_cache, near_cache)
        first = Document(id="n", kind="number", body={"n": 0}, group="g", stamp=7)
        near.commit(WriteBatch(creates=(first,)))
        made.warm()
        yield made
        proxy.resume()
        far.close()
        near.close()


def number(store: TieredStore) -> int:
    """Read it."""
    n: int = store.get(["n"])["n"].body["n"]
    return n


def increment(store: TieredStore) -> int:
    """Count up, as a call does: again when it lost a race, and then alone."""
    for attempt in range(50):
        try:
            if attempt == 0:
                return _increment_once(store)
            with store.exclusive() as view:
                return _increment_once(view)
        except Conflict:
            continue
    raise AssertionError("50 lost races")


def _increment_once(store: DocumentStore) -> int:
    read = store.get(["n"])["n"]
    n: int = read.body["n"] + 1
    new = Document(id="n", kind="number", body={"n": n}, version=read.version)
    store.commit(WriteBatch(updates=(new,)))
    return n


@pytest.mark.parametrize("fault", ["stall", "refuse"])
def test_others_read_what_one_wrote_without_redis(
    pair: Pair, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that Redis does not hear keeps nobody on an old value, and is not held up."""
    getattr(pair.proxy, fault)()
    for expected in range(1, 6):
        assert expected == increment(pair.far)
        assert expected == number(pair.near)
        assert expected == number(pair.far)
    assert 1 == pair.far_cache.tally.errors
    assert 1 == len(pair.warnings(caplog))
    pair.proxy.resume()
    pair.warm()
    assert [5, 6, 6] == [number(pair.far), increment(pair.near), number(pair.far)]


def test_a_cut_connection_is_made_again(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """That is no outage."""
    pair.proxy.cut()
    assert [1, 1, 1] == [increment(pair.far), number(pair.near), number(pair.far)]
    assert 0 == pair.far_cache.tally.errors
    assert [] == pair.warnings(caplog)


def test_a_frozen_redis_is_asked_once(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """Then nobody waits for it until it has answered a probe; both ends are said once."""
    caplog.set_level(logging.INFO)
    pair.server.freeze()
    for expected in range(1, 21):
        assert [expected, expected] == [increment(pair.near), number(pair.near)]
    assert 1 == pair.near_cache.tally.errors
    assert 1 == len(pair.warnings(caplog))
    pair.server.thaw()
    pair.warm()
    assert 20 == number(pair.far)
    assert 1 == len([text for text in caplog.messages if "answers again" in text])


def test_a_killed_redis_is_missed_by_nobody(pair: Pair) -> None:
    """Threads that were on their way go on, and no increment is lost."""
    with ThreadPoolExecutor(4) as pool:
        before = [pool.submit(increment, store) for store in (pair.near, pair.far) * 5]
        pair.server.kill9()
        after = [pool.submit(increment, store) for store in (pair.near, pair.far) * 5]
        counted = sorted(future.result() for future in before + after)
    assert list(range(1, 21)) == counted
    pair.server.start()
    pair.warm()
    assert [20, 20] == [number(pair.near), number(pair.far)]


def test_a_flush_forgets_and_goes_on(pair: Pair) -> None:
    """In the middle of commits, too."""
    with ThreadPoolExecutor(4) as pool:
        futures = []
        for _ in range(10):
            futures += [pool.submit(increment, store) for store in (pair.near, pair.far)]
            pair.raw.flushall()
        counted = sorted(future.result() for future in futures)
    assert list(range(1, 21)) == counted
    pair.warm()
    assert [20, 20] == [number(pair.near), number(pair.far)]


def test_an_old_snapshot_is_not_believed(pair: Pair) -> None:
    """Redis comes back with what was true once, under keys that were in use a moment ago."""
    pair.raw.save()
    assert 1 == increment(pair.near)
    pair.server.kill9()
    pair.server.start()
    old = next(iter(pair.raw.scan_iter("jac-converge:*:n")))
    assert b'{"n":0}' in bytes(pair.raw.get(old) or b"")  # type: ignore[arg-type]
    assert [1, 1] == [number(pair.near), number(pair.far)]
    assert [2, 2] == [increment(pair.far), number(pair.near)]
    pair.warm()
    assert [2, 2] == [number(pair.near), number(pair.far)]


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru", "volatile-ttl"])
def test_a_full_redis_is_no_trouble(
    pair: Pair, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where it refuses, it counts as gone; where it evicts, as forgetful."""
    used = int(pair.raw.info("memory")["used_memory"])
    pair.raw.config_set("maxmemory-policy", policy)
    pair.raw.config_set("maxmemory", str(used + 300_000))
    big = [Document(id=f"big{i}", kind="big", body={"text": "x" * 50_000}) for i in range(20)]
    for document in big:
        pair.near.commit(WriteBatch(creates=(document,)))
        stored = pair.far.get([document.id, "n"])
        assert [document.body, {"n": 0}] == [stored[document.id].body, stored["n"].body]
    assert [1, 1, 2, 2] == [
        increment(pair.near),
        number(pair.far),
        increment(pair.far),
        number(pair.near),
    ]
    assert len(pair.warnings(caplog)) == pair.near_cache.tally.errors + pair.far_cache.tally.errors
    pair.raw.config_set("maxmemory", "0")
    pair.warm()
    assert 2 == number(pair.far)


@pytest.mark.parametrize("fault", ["READONLY", "NOAUTH"])
def test_a_redis_that_refuses_is_gone(
    pair: Pair, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Made a replica, or given a password: no error of it reaches a request."""
    if fault == "READONLY":
        pair.raw.replicaof("127.0.0.1", str(pair.proxy.port))
    else:
        pair.raw.config_set("requirepass", "secret")
        for client in pair.raw.client_list():
            if client["cmd"] != "client|list":
                pair.raw.client_kill(client["addr"])
    assert [1, 1] == [increment(pair.near), number(pair.far)]
    assert 1 == len(pair.warnings(caplog))
    if fault == "READONLY":
        pair.raw.replicaof("NO", "ONE")
    else:
        pair.raw.config_set("requirepass", "")
    pair.warm()
    assert [1, 1] == [number(pair.near), number(pair.far)]


def test_a_step_costs_one_round_trip(pair: Pair) -> None:
    """A read of any width is one, a commit one, and putting what is new is nobody's wait."""
    batch = tuple(Document(id=f"m{i}", kind="m", body={}) for i in range(50))
    before = evalshas(pair.raw), pair.near_cache.tally.round_trips
    pair.near.commit(WriteBatch(creates=batch))
    wait_until(lambda: evalshas(pair.raw) == before[0] + 2, within=10, what="the puts")
    assert len(batch) == len(pair.near.get([document.id for document in batch]))
    assert [1] == [increment(pair.near)]
    wait_until(lambda: evalshas(pair.raw) == before[0] + 6, within=10, what="the puts")
    # Counted after the answer, by whoever puts.
    trips = before[1] + 6
    wait_until(lambda: pair.near_cache.tally.round_trips >= trips, within=10, what="the count")
    assert trips == pair.near_cache.tally.round_trips
    assert 51 == pair.near_cache.tally.hits - 1


def test_an_update_keeps_group_and_stamp(pair: Pair) -> None:
    """A commit does not name them, and what is put has them all the same."""
    before = pair.far_cache.tally.hits
    increment(pair.near)
    wait_until(lambda: number(pair.far) == 1, within=10, what="the put")
    wait_until(lambda: pair.far.get(["n"])["n"].group == "g", within=10, what="the group")
    pair.warm()
    expected = Document(id="n", kind="number", body={"n": 1}, group="g", stamp=7, version=2)
    assert {"n": expected} == pair.far.get(["n"])
    assert before < pair.far_cache.tally.hits
