"""Liveness and readiness.

Live means that this process answers; it asks nobody, since a restart heals no database. Ready means
that requests make sense here now: not while draining, nor while a tier of memory that they need has
been out of reach for longer than a hiccup. A cache is not needed. Tiers are asked in the
background, so a probe costs none of them anything, and waits for none. It changes with what an
orchestrator should know.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Literal

from fastapi import FastAPI
from starlette.responses import Response

from jac_converge.app_runtime.pool import Pool
from jac_converge.app_runtime.problems import Problem, answer
from jac_converge.app_runtime.stores import StoreError

__all__ = ["Health", "Readiness", "Tier", "install"]

logger = logging.getLogger(__name__)

GRACE = 10.0  # s that a tier may be out of reach before it is down
EVERY = 2.0  # s between two questions to a tier
PATIENCE = 1.0  # s that a tier has for an answer

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
        """Begin with tiers that are well: they have just been opened.

        Args:
            tiers: asked by `watch`.
            clock: s, from anywhere.
        """
        self._watched = [_Watched(tier, clock) for tier in tiers]
        self.draining = False
        """Set when the server has been told to stop."""

    async def watch(self) -> None:
        """Ask every tier again and again, each at its own pace, until cancelled."""
        try:
            await asyncio.gather(*(watched.keep_asking() for watched in self._watched))
        finally:
            for watched in self._watched:
                watched.close()

    async def look(self) -> None:
        """Ask every tier once."""
        await asyncio.gather(*(watched.ask() for watched in self._watched))

    def ready(self) -> Readiness:
        """Tell what is known; nobody is asked."""
        if self.draining:
            return Readiness(reason="draining", tiers={})
        states = {watched.tier.name: watched.state() for watched in self._watched}
        down = [
            watched.tier.name
            for watched in self._watched
            if watched.tier.needed and states[watched.tier.name] == "down"
        ]
        reason = f"{' and '.join(down)} cannot be reached" if down else None
        return Readiness(reason=reason, tiers=states)


class _Watched:
    """A tier, and since when it has not answered."""

    def __init__(self, tier: Tier, clock: Callable[[], float]) -> None:
        self.tier = tier
        self._clock = clock
        # A thread of its own: those of calls may all be waiting for the same tier.
        self._pool = Pool(1, f"probe-{tier.name}")
        self._asked: float | None = None
        """When the question was asked that is under way."""
        self._silent_since: float | None = None
        """When the first question was asked that had no answer; there has been none since."""

    async def keep_asking(self) -> None:
        while True:
            await self.ask()
            await asyncio.sleep(EVERY)

    async def ask(self) -> None:
        asked = self._asked = self._clock()
        try:
            await self._pool.run(self.tier.ping)
            self._silent_since = None
        except StoreError:
            self._silence(asked)
        except Exception:  # whatever it is, it is no answer, and the next question comes
            logger.exception("%s was asked for a sign of life, and failed", self.tier.name)
            self._silence(asked)
        finally:
            self._asked = None

    def state(self) -> State:
        since = self._silent_since
        if since is None and self._asked is not None and self._clock() - self._asked > PATIENCE:
            since = self._asked
        if since is None:
            return "ok"
        return "degraded" if self._clock() - since <= GRACE else "down"

    def close(self) -> None:
        self._pool.close()

    def _silence(self, since: float) -> None:
        if self._silent_since is None:
            self._silent_since = since


def install(app: FastAPI, health: Health) -> None:
    """Add both probes."""

    async def live() -> Response:
        """Tell that this process answers."""
        return answer({"status": "live"})

    async def ready() -> Response:
        """Tell whether requests make sense here now, and how each tier of memory is."""
        found = health.ready()
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
