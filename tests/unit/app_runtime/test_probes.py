"""Readiness, decided by a clock and tiers of our own making."""

import asyncio

from jac_converge.app_runtime.probes import FRESH, GRACE, Health, Tier
from jac_converge.app_runtime.stores import Unavailable


class Store:
    """A tier that answers or not, and counts how often it was asked."""

    def __init__(self) -> None:
        self.up = True
        self.asked = 0

    def ping(self) -> None:
        """Answer, or not."""
        self.asked += 1
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


def test_store_is_asked_once_in_a_while() -> None:
    """However often the probe comes."""

    async def scenario() -> None:
        store, clock = Store(), Clock()
        health = Health([tier(store)], clock=clock)
        assert [None, None] == [(await health.ready()).reason, (await health.ready()).reason]
        assert 0 == store.asked
        clock.now += FRESH
        assert [None, None] == [(await health.ready()).reason, (await health.ready()).reason]
        assert 1 == store.asked

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
            found = await health.ready()
            assert (None, {"shelf": "degraded"}) == (found.reason, found.tiers)
            clock.now += GRACE
        clock.now += FRESH
        found = await health.ready()
        assert ("shelf cannot be reached", {"shelf": "down"}) == (found.reason, found.tiers)
        store.up = True
        clock.now += FRESH
        found = await health.ready()
        assert (None, {"shelf": "ok"}) == (found.reason, found.tiers)

    asyncio.run(scenario())


def test_cache_that_is_down_keeps_nobody_away() -> None:
    """Readiness goes on and says so; the tier that is needed decides alone."""

    async def scenario() -> None:
        store, cache, clock = Store(), Store(), Clock()
        tiers = [tier(store, "mongodb"), tier(cache, "redis", needed=False)]
        health = Health(tiers, clock=clock)
        cache.up = False
        clock.now += FRESH
        assert "degraded" == (await health.ready()).tiers["redis"]
        clock.now += GRACE + FRESH
        found = await health.ready()
        assert (None, {"mongodb": "ok", "redis": "down"}) == (found.reason, found.tiers)
        store.up = False
        clock.now += FRESH
        assert (await health.ready()).reason is None
        clock.now += GRACE + FRESH
        assert "mongodb cannot be reached" == (await health.ready()).reason

    asyncio.run(scenario())


def test_draining_is_not_ready() -> None:
    """Whatever the store says, without asking it."""
    store = Store()
    health = Health([tier(store)])
    health.draining = True
    assert "draining" == asyncio.run(health.ready()).reason
    assert 0 == store.asked
