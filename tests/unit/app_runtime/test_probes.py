"""Readiness, decided by a clock and a store of our own making."""

import asyncio

from jac_converge.app_runtime.probes import FRESH, GRACE, Health
from jac_converge.app_runtime.stores import Unavailable


class Store:
    """A store that answers or not, and counts how often it was asked."""

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


def test_store_is_asked_once_in_a_while() -> None:
    """However often the probe comes."""

    async def scenario() -> None:
        store, clock = Store(), Clock()
        health = Health(store, clock=clock)  # type: ignore[arg-type]
        assert [None, None] == [await health.ready(), await health.ready()]
        assert 0 == store.asked
        clock.now += FRESH
        assert [None, None] == [await health.ready(), await health.ready()]
        assert 1 == store.asked

    asyncio.run(scenario())


def test_readiness_fails_after_the_grace_and_comes_back() -> None:
    """A hiccup of the store moves no traffic; an outage does, until its end."""

    async def scenario() -> None:
        store, clock = Store(), Clock()
        health = Health(store, clock=clock)  # type: ignore[arg-type]
        store.up = False
        clock.now += GRACE
        assert await health.ready() is None
        clock.now += FRESH
        assert "the data store does not answer" == await health.ready()
        store.up = True
        clock.now += FRESH
        assert await health.ready() is None

    asyncio.run(scenario())


def test_draining_is_not_ready() -> None:
    """Whatever the store says, without asking it."""
    store = Store()
    health = Health(store)  # type: ignore[arg-type]
    health.draining = True
    assert "draining" == asyncio.run(health.ready())
    assert 0 == store.asked
