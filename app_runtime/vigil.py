"""Whether those who listen still may: one look at all of them, now and then.

A stream or a websocket goes on for hours after its caller was let in, who may log out meanwhile, or
lose a role. To ask the store with each message would cost a round trip for each, so all who listen
in this process are looked at together, in one. It changes with how soon somebody has to go who may
not listen any more.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, field

from fastapi.requests import HTTPConnection

from jac_converge.app_runtime.auth.audit import audit
from jac_converge.app_runtime.bridge.introspect import FunctionSpec, WalkerSpec
from jac_converge.app_runtime.identity import Caller, Identity
from jac_converge.app_runtime.problems import Problem
from jac_converge.app_runtime.stores import StoreError
from jac_converge.config.logs import current_request

__all__ = ["Listener", "Vigil"]

logger = logging.getLogger(__name__)

EVERY = 5.0  # s between two looks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Listener:
    """Somebody who listens."""

    connection: HTTPConnection
    caller: Callable[[], Caller | None]
    """Says who that is, None: nobody in particular; raises a `Problem` once a token has expired."""
    spec: WalkerSpec | FunctionSpec
    """What they listen to."""
    end: Callable[[Problem], None]
    """Sends them away, and tells why; never waits."""
    request: str | None = field(default_factory=current_request.get)
    """Id of the request that it began with, which the line of its end has, too."""


class Vigil:
    """Looks at the listeners of one process. All of it is for its event loop."""

    def __init__(self, identity: Identity) -> None:
        """Begin without anybody."""
        self._identity = identity
        self._present: set[Listener] = set()
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def over(self, listener: Listener) -> Iterator[None]:
        """Look at somebody from now on, until they are gone."""
        self._present.add(listener)
        if self._looking is None or self._looking.done():
            # Not in the context of this one, since it looks at all of them.
            looking = self._look_now_and_then()
            self._looking = asyncio.create_task(looking, context=Context())
        try:
            yield
        finally:
            self._present.discard(listener)

    async def _look_now_and_then(self) -> None:
        while self._present:
            await asyncio.sleep(EVERY)
            try:
                await self._look()
            except Exception:
                logger.exception("a look at who listens failed; the next one comes in %g s", EVERY)

    async def _look(self) -> None:
        known: list[tuple[Listener, Caller]] = []
        for listener in list(self._present):
            try:
                caller = listener.caller()
            except Problem as problem:
                self._end(listener, problem)
            else:
                known += [(listener, caller)] if caller is not None else []
        if not known:
            return
        asked = [(caller, listener.spec) for listener, caller in known]
        try:
            refusals = await self._identity.in_time(self._identity.refusals, asked)
        except (Problem, StoreError) as error:
            # A store that is away for a moment must not end what needs no store.
            logger.debug("who listens is looked at later: %s", error)
            return
        for (listener, caller), refusal in zip(known, refusals, strict=True):
            if refusal is not None:
                self._end(listener, refusal, caller.account)

    def _end(self, listener: Listener, problem: Problem, account: str = "-") -> None:
        if listener in self._present:  # else they have left meanwhile
            self._present.discard(listener)
            token = current_request.set(listener.request)
            audit("listening_ended", listener.connection, account)
            listener.end(problem)
            current_request.reset(token)
