"""Readiness, decided by a clock and tiers of our own making."""

import asyncio
import threading

from jac_converge.app_runtime.probes import GRACE, PATIENCE, Health, Tier
from jac_converge.app_runtime.stores import Unavailable


class Store:
    """A tier that answers or not, and counts how often it was asked."""

    def __init__(self) -> None:
        self.up = True
        self.asked = 0
        self.was_asked = threading.Event()

    def ping(self) -> None:
        """Answer, or not."""
        self.asked += 1
        self.was_asked.set()
        if not self.up:
            raise Unavailable("gone")


class Clock:
    """A clock that goes when told to."""

    now = 0.0

    def __call__(self) -> float:
        """Return s."""
        return self.now


def tier(store: Store, name: str = "shelf", *, needed: bool = True) -> Tier:
    """Make a tier of a store."""
    return Tier(name=name, ping=store.ping, needed=needed)


def test_probe_asks_no_store() -> None:
    """However often it comes; the store is asked in the background, at its own pace."""

    async def scenario() -> None:
        store = Store()
        health = Health([tier(store)])
        assert [None] * 100 == [health.ready().reason for _ in range(100)]
        assert 0 == store.asked
        watching = asyncio.create_task(health.watch())
        await asyncio.to_thread(store.was_asked.wait, 60)
        assert [None] * 100 == [health.ready().reason for _ in range(100)]
        assert 1 == store.asked
        watching.cancel()

    asyncio.run(scenario())


def test_readiness_fails_after_the_grace_and_comes_back() -> None:
    """A hiccup of the store moves no traffic; an outage does, until its end.

    The grace begins with the first question that has no answer, however long ago the last one was.
    """

    async def scenario() -> None:
        store, clock = Store(), Clock()
        health = Health([tier(store)], clock=clock)
        store.up = False
        clock.now += 360 * GRACE
        for _ in range(2):
            await health.look()
            found = health.ready()
            assert (None, {"shelf": "degraded"}) == (found.reason, found.tiers)
            clock.now += GRACE
        clock.now += 1
        found = health.ready()
        assert ("shelf cannot be reached", {"shelf": "down"}) == (found.reason, found.tiers)
        store.up = True
        await health.look()
        found = health.ready()
        assert (None, {"shelf": "ok"}) == (found.reason, found.tiers)

    asyncio.run(scenario())


def test_store_that_hangs_is_told_while_it_does() -> None:
    """A question that is under way for long has no answer; others are asked all the same."""

    async def scenario() -> None:
        clock, hangs, cache = Clock(), threading.Event(), Store()

        def hang() -> None:
            hangs.wait(60)

        stores = [Tier(name="mongodb", ping=hang), tier(cache, "redis")]
        health = Health(stores, clock=clock)
        watching = asyncio.create_task(health.watch())
        await asyncio.to_thread(cache.was_asked.wait, 60)
        assert {"mongodb": "ok", "redis": "ok"} == health.ready().tiers
        clock.now += PATIENCE + 1
        assert {"mongodb": "degraded", "redis": "ok"} == health.ready().tiers
        clock.now += GRACE
        assert "mongodb cannot be reached" == health.ready().reason
        hangs.set()
        await health.look()
        assert health.ready().reason is None
        watching.cancel()

    asyncio.run(scenario())


def test_cache_that_is_down_keeps_nobody_away() -> None:
    """Readiness goes on and says so; the tier that is needed decides alone."""

    async def scenario() -> None:
        store, cache, clock = Store(), Store(), Clock()
        tiers = [tier(store, "mongodb"), tier(cache, "redis", needed=False)]
        health = Health(tiers, clock=clock)
        cache.up = False
        await health.look()
        assert "degraded" == health.ready().tiers["redis"]
        clock.now += GRACE + 1
        await health.look()
        found = health.ready()
        assert (None, {"mongodb": "ok", "redis": "down"}) == (found.reason, found.tiers)
        store.up = False
        await health.look()
        assert health.ready().reason is None
        clock.now += GRACE + 1
        await health.look()
        assert "mongodb cannot be reached" == health.ready().reason

    asyncio.run(scenario())


def test_draining_is_not_ready() -> None:
    """Whatever the store says, without asking it."""
    store = Store()
    health = Health([tier(store)])
    health.draining = True
    assert "draining" == health.ready().reason
    assert 0 == store.asked
