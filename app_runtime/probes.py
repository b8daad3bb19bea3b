"""Liveness and readiness.

Live means that this process answers; it asks nobody, since a restart heals no database. Ready means
that requests make sense here now: not while draining, nor while a tier of memory that they need has
been out of reach for longer than a hiccup. A cache is not needed. It changes with what an
orchestrator should know.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Literal

from fastapi import FastAPI
from starlette.responses import Response

from jac_converge.app_runtime.problems import Problem, answer
from jac_converge.app_runtime.stores import StoreError

__all__ = ["Health", "Readiness", "Tier", "install"]

GRACE = 10.0  # s that a tier may be out of reach before it is down
FRESH = 1.0  # s that an answer of a tier counts, however often the probe asks
PATIENCE = 1.0  # s that the tiers have for an answer

type State = Literal["ok", "degraded", "down"]
"""degraded: it did not answer the last time; down: nor in all of the grace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One tier of memory, and how to ask it for a sign of life."""

    name: str
    ping: Callable[[], None]
    """May wait; raises `StoreError` for an answer that did not come."""
    needed: bool = True
    """Whether requests fail without it; they do well without a cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether requests make sense here now."""

    reason: str | None
    """Why not; None: they do."""
    tiers: Mapping[str, State]


class Health:
    """What this process knows about its readiness."""

    def __init__(self, tiers: Sequence[Tier], *, clock: Callable[[], float] = monotonic) -> None:
        """Watch tiers.

        Args:
            tiers: asked when somebody wants to know.
            clock: s, from anywhere.
        """
        self._watched = [_Watched(tier, clock) for tier in tiers]
        self.draining = False
        """Set when the server has been told to stop."""

    async def ready(self) -> Readiness:
        """Ask each tier that has not been asked just now, all at once."""
        if self.draining:
            return Readiness(reason="draining", tiers={})
        asking = [task for watched in self._watched if (task := watched.ask()) is not None]
        if asking:
            await asyncio.wait(asking, timeout=PATIENCE)
        states = {watched.tier.name: watched.state() for watched in self._watched}
        down = [
            watched.tier.name
            for watched in self._watched
            if watched.tier.needed and states[watched.tier.name] == "down"
        ]
        reason = f"{' and '.join(down)} cannot be reached" if down else None
        return Readiness(reason=reason, tiers=states)


class _Watched:
    """A tier, and when it was asked and answered last."""

    def __init__(self, tier: Tier, clock: Callable[[], float]) -> None:
        self.tier = tier
        self._clock = clock
        self._asked = self._answered = clock()
        self._silent_since: float | None = None
        """When the first question was asked that has had no answer since. A tier that nobody asked
        for an hour may still be well."""
        self._asking: asyncio.Task[None] | None = None

    def ask(self) -> asyncio.Task[None] | None:
        """Ask, unless the last answer is fresh; give the question that is under way."""
        if self._clock() - self._asked >= FRESH and self._asking is None:
            self._asked = self._clock()
            if self._silent_since is None:
                self._silent_since = self._asked
            self._asking = asyncio.create_task(self._ask())
        return self._asking

    def state(self) -> State:
        if self._answered >= self._asked or self._silent_since is None:
            return "ok"
        return "degraded" if self._clock() - self._silent_since <= GRACE else "down"

    async def _ask(self) -> None:
        """Ask in a thread of its own kind: the walkers' may all be waiting for the same tier."""
        try:
            await asyncio.to_thread(self.tier.ping)
            self._answered, self._silent_since = self._clock(), None
        except StoreError:
            return  # counts as no answer; `state` says since when
        finally:
            self._asking = None


def install(app: FastAPI, health: Health) -> None:
    """Add both probes."""

    async def live() -> Response:
        """Tell that this process answers."""
        return answer({"status": "live"})

    async def ready() -> Response:
        """Tell whether requests make sense here now, and how each tier of memory is."""
        found = await health.ready()
        if found.reason is not None:
            raise Problem(
                503,
                found.reason,
                code="NOT_READY",
                details={"tiers": dict(found.tiers)},
                headers={"Retry-After": "1"},
            )
        well = all(state == "ok" for state in found.tiers.values())
        status = "ready" if well else "degraded"
        return answer({"status": status, "tiers": dict(found.tiers)})

    app.add_api_route("/healthz/live", live, tags=["health"])
    app.add_api_route("/healthz/ready", ready, tags=["health"])
