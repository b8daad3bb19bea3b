"""Liveness and readiness.

Live means that this process answers; it asks nobody, since a restart heals no database. Ready means
that requests make sense here now: not while draining, nor while the store has been out of reach
for longer than a hiccup. It changes with what an orchestrator should know.
"""

import asyncio
from collections.abc import Callable
from time import monotonic

from fastapi import FastAPI
from starlette.responses import Response

from jac_converge.app_runtime.problems import Problem, answer
from jac_converge.app_runtime.stores import DocumentStore, StoreError

__all__ = ["Health", "install"]

GRACE = 10.0  # s that a store may be out of reach before the server is not ready
FRESH = 1.0  # s that an answer of the store counts, however often the probe asks
PATIENCE = 1.0  # s that the store has for an answer


class Health:
    """What this process knows about its readiness."""

    def __init__(self, store: DocumentStore, *, clock: Callable[[], float] = monotonic) -> None:
        """Watch a store.

        Args:
            store: asked when somebody wants to know.
            clock: s, from anywhere.
        """
        self._store = store
        self._clock = clock
        self._asked = self._answered = clock()
        self._asking: asyncio.Task[None] | None = None
        self.draining = False
        """Set when the server has been told to stop."""

    async def ready(self) -> str | None:
        """Return why requests make no sense here now, else None."""
        if self.draining:
            return "draining"
        if self._clock() - self._asked >= FRESH and self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=PATIENCE)
        if self._clock() - self._answered > GRACE:
            return "the data store does not answer"
        return None

    async def _ask(self) -> None:
        """Ask the store, in a thread of its own kind: the walkers' may all be waiting for it."""
        self._asked = self._clock()
        try:
            await asyncio.to_thread(self._store.ping)
            self._answered = self._clock()
        except StoreError:
            return  # counts as no answer; `ready` says since when
        finally:
            self._asking = None


def install(app: FastAPI, health: Health) -> None:
    """Add both probes."""

    async def live() -> Response:
        """Tell that this process answers."""
        return answer({"status": "live"})

    async def ready() -> Response:
        """Tell whether requests make sense here now."""
        reason = await health.ready()
        if reason is not None:
            raise Problem(503, reason, code="NOT_READY", headers={"Retry-After": "1"})
        return answer({"status": "ready"})

    app.add_api_route("/healthz/live", live, tags=["health"])
    app.add_api_route("/healthz/ready", ready, tags=["health"])
