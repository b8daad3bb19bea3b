"""The cache keeps its promise, on a real Redis and in the model that the simulation runs on."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import redis

from jac_converge.app_runtime.stores.cache import (
    COLD,
    HOLD,
    LEASE,
    Cache,
    Epoch,
    Fill,
    Found,
    Head,
    OtherServer,
    Release,
)
from jac_converge.app_runtime.stores.document import Document
from jac_converge.app_runtime.stores.redis import PREFIX, Redis
from tests.contract.warm_tiers import age
from tests.servers.redis_server import RedisServer
from tests.unit.app_runtime.memory_cache import MemoryCache


@dataclass
class Bench:
    """A cache in an epoch, and time at our will."""

    cache: Cache
    epoch: Epoch
    later: Callable[[float], None]
    """Make everything that is there older, by s."""
    forget_register: Callable[[], None]

    def read(self, *ids: str, who: str = "reader") -> Found:
        """Read in the epoch."""
        return self.cache.read(self.epoch, ids, who)

    def leased(self, *ids: str, who: str = "reader") -> frozenset[str]:
        """Read, for the leases alone."""
        return self.read(*ids, who=who).leased

    def hold(self, *ids: str, who: str = "writer") -> dict[str, Head]:
        """Hold in the epoch."""
        return self.cache.hold(self.epoch, ids, who)

    def fill(self, *documents: Document, who: str = "reader") -> None:
        """Fill in the epoch."""
        self.cache.settle([Fill(epoch=self.epoch, token=who, documents=documents)])

    def release(self, who: str = "writer", /, **documents: Document | None) -> None:
        """Let go in the epoch."""
        self.cache.settle([Release(epoch=self.epoch, token=who, documents=documents)])


@pytest.fixture(params=["redis", "model"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Give a warm cache of each make."""
    if request.param == "model":
        skipped = [0.0]
        model = MemoryCache(lambda: skipped[0])

        def skip(seconds: float) -> None:
            skipped[0] += seconds

        epoch = Epoch(name="e", server=model.server("e"))
        made = Bench(model, epoch, skip, model.registers.clear)
        made.read("x")
        skip(COLD)
        yield made
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    cache = Redis(server.url, ttl=3600)
    with redis.Redis.from_url(server.url) as raw:
        made = Bench(
            cache,
            Epoch(name="e", server=cache.server("e")),
            lambda seconds: age(raw, seconds),
            lambda: raw.delete(f"{PREFIX}:{{e}}"),
        )
        made.read("x")
        made.later(COLD)
        yield made
    cache.close()


def note(id_: str, version: int = 1) -> Document:
    """Make a document with everything that may need care."""
    body = {"text": "ü\n\u0000", "big": 2**70, "list": [1.5, None]}
    return Document(id=id_, kind="node", body=body, version=version, group="g", stamp=2**50)


def test_a_lease_fills(bench: Bench) -> None:
    """What was read from the store is there for everybody, as it was."""
    assert {"a", "b"} == bench.leased("a", "b")
    bench.fill(note("a"))
    found = bench.read("a", "b", who="other")
    assert ({"a": note("a")}, frozenset()) == (found.documents, found.leased)


def test_only_one_reader_gets_the_lease(bench: Bench) -> None:
    """And only it fills; it may ask again, as a repeated command does."""
    assert {"a"} == bench.leased("a", who="first")
    assert frozenset() == bench.leased("a", who="second")
    assert {"a"} == bench.leased("a", who="first")
    bench.fill(note("a"), who="second")
    assert {} == bench.read("a").documents


def test_a_lease_ends(bench: Bench) -> None:
    """A reader that died keeps nobody out for long."""
    bench.leased("a", who="dead")
    bench.later(LEASE)
    assert {"a"} == bench.leased("a")
    bench.fill(note("a"), who="dead")
    assert {} == bench.read("a").documents


def test_a_hold_drops_documents_and_leases(bench: Bench) -> None:
    """It says what it dropped; nobody reads or fills before its end."""
    bench.leased("a", "b")
    bench.fill(note("a", 4))
    assert {"a": Head(group="g", stamp=2**50)} == bench.hold("a", "b", "c")
    bench.fill(note("b"))
    found = bench.read("a", "b", "c")
    assert ({}, frozenset()) == (found.documents, found.leased)


def test_a_release_puts(bench: Bench) -> None:
    """What is new is there, what is gone can be leased."""
    bench.hold("a", "b")
    bench.release(a=note("a", 2), b=None)
    found = bench.read("a", "b")
    assert ({"a": note("a", 2)}, frozenset("b")) == (found.documents, found.leased)


def test_a_release_puts_once(bench: Bench) -> None:
    """A hold that is not there any more puts nothing."""
    bench.hold("a")
    bench.release(a=None)
    bench.release(a=note("a"))
    assert {} == bench.read("a").documents


@pytest.mark.parametrize("order", [("first", "second"), ("second", "first")], ids="-".join)
def test_holds_join(bench: Bench, order: tuple[str, str]) -> None:
    """While one stands nobody leases; where there were two, nobody puts."""
    bench.hold("a", who="first")
    bench.hold("a", who="second")
    bench.release(order[0], a=note("a"))
    assert frozenset() == bench.leased("a")
    bench.release(order[1], a=note("a"))
    found = bench.read("a")
    assert ({}, frozenset("a")) == (found.documents, found.leased)


def test_a_repeated_hold_joins_nobody(bench: Bench) -> None:
    """A command that was sent twice is the same hold."""
    bench.hold("a")
    bench.hold("a")
    bench.release(a=note("a"))
    assert {"a": note("a")} == bench.read("a").documents


def test_a_hold_ends(bench: Bench) -> None:
    """A writer that died keeps nobody out for long, and the next one is alone."""
    bench.hold("a", "b", who="dead")
    bench.later(HOLD)
    assert {"a"} == bench.leased("a")
    bench.hold("b")
    bench.release(b=note("b"))
    assert {"b": note("b")} == bench.read("b").documents


def test_a_new_register_is_cold(bench: Bench) -> None:
    """When holds may have been lost nobody leases or puts; what is there was right, and stays."""
    bench.leased("a")
    bench.fill(note("a"))
    bench.hold("b", who="lost")
    bench.forget_register()
    found = bench.read("a", "b")
    assert ({"a": note("a")}, frozenset()) == (found.documents, found.leased)
    bench.hold("c")
    bench.release(c=note("c"))
    assert ({}, frozenset()) == ((found := bench.read("c")).documents, found.leased)
    bench.later(COLD)
    assert {"b", "c"} == bench.leased("b", "c")


def test_epochs_share_nothing(bench: Bench) -> None:
    """Another epoch is another cache."""
    bench.leased("a")
    bench.fill(note("a"))
    other = Epoch(name="f", server=bench.epoch.server)
    assert {} == bench.cache.read(other, ["a"], "reader").documents


def test_another_server_is_refused(bench: Bench) -> None:
    """Whatever is asked of it."""
    other = Epoch(name="e", server="another")
    with pytest.raises(OtherServer):
        bench.cache.read(other, ["a"], "reader")
    with pytest.raises(OtherServer):
        bench.cache.hold(other, ["a"], "writer")
    with pytest.raises(OtherServer):
        bench.cache.settle([Fill(epoch=other, token="reader", documents=(note("a"),))])
    with pytest.raises(OtherServer):
        bench.cache.settle([Release(epoch=other, token="writer", documents={"a": None})])


def test_thousands_of_ids_are_one_round_trip(redis_server: RedisServer) -> None:
    """More than Lua's stack holds; and each key has an end."""
    cache = Redis(redis_server.url, ttl=3600)
    epoch = Epoch(name="e", server=cache.server("e"))
    documents = {f"{number:05}": note(f"{number:05}") for number in range(3000)}
    with redis.Redis.from_url(redis_server.url) as raw:
        cache.read(epoch, ["x"], "reader")
        age(raw, COLD)
        before = cache.tally.round_trips
        cache.hold(epoch, documents, "writer")
        cache.settle([Release(epoch=epoch, token="writer", documents=documents)])
        assert documents == cache.read(epoch, documents, "reader").documents
        assert 3 == cache.tally.round_trips - before
        assert all(raw.pttl(key) > 0 for key in raw.scan_iter())
    cache.close()


def test_scripts_come_back(redis_server: RedisServer) -> None:
    """A server that forgot them gets them again."""
    cache = Redis(redis_server.url, ttl=3600)
    epoch = Epoch(name="e", server=cache.server("e"))
    with redis.Redis.from_url(redis_server.url) as raw:
        raw.script_flush()
        cache.hold(epoch, ["a"], "writer")
        assert frozenset() == cache.read(epoch, ["a"], "reader").leased
    cache.close()


def test_many_dead_holds_are_swept(redis_server: RedisServer) -> None:
    """A register does not grow with every writer that ever died."""
    cache = Redis(redis_server.url, ttl=3600)
    epoch = Epoch(name="e", server=cache.server("e"))
    with redis.Redis.from_url(redis_server.url) as raw:
        register = f"{PREFIX}:{{e}}"
        ended = f"!dead@{round((time.time() - 1) * 1000)}"
        raw.hset(register, mapping={f"{number}": ended for number in range(10_001)})
        cache.hold(epoch, ["a"], "writer")
        assert {b"", b"a"} == set(raw.hkeys(register))
    cache.close()
