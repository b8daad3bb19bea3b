"""`@schedule`: each tick of a job runs once, whichever of all workers and pods gets to it first.

Who claims a tick by compare-and-set runs it, and renews the claim while it does; a claim that is
not renewed is one of somebody who died, and the next one runs the tick. That it is done is written
in the commit of the job itself, at the version that was read before: of two who run the same tick
all the same, one commits and the other has a conflict. Why so:
docs/decisions/0018-jobs-once.md. It changes with that policy.
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import time

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from jac_converge.app_runtime.bridge.introspect import JobSpec
from jac_converge.app_runtime.bridge.mistakes import Mistakes
from jac_converge.app_runtime.bridge.program import SYSTEM_ROOT
from jac_converge.app_runtime.calls import Calls, Order
from jac_converge.app_runtime.outcomes import outcome_of, problem_of
from jac_converge.app_runtime.pool import Pool
from jac_converge.app_runtime.problems import Problem
from jac_converge.app_runtime.rider import Rider, WithRider
from jac_converge.app_runtime.stores import (
    Conflict,
    Document,
    DocumentStore,
    StoreError,
    WriteBatch,
)
from jac_converge.app_runtime.ticks import Ticks, ticks_of

__all__ = ["Timetable"]

logger = logging.getLogger(__name__)

KIND = "job"
LEASE, RENEW_EVERY = 6.0, 2.0  # s; too short costs a run in vain, and nothing else
LONGEST_PAUSE = 30.0  # s between two looks at the clock, which somebody may set
THREADS = 16  # that read and write how jobs stand
RETRY = 1.0  # s after a failure of the store
CLOCKS = 10.0  # s by which clocks may differ before it is told
JITTER = 0.05  # s at most, so that not all ask for the same at the same instant
NOT_STORED = ("UNAVAILABLE", "OUTCOME_UNKNOWN", "WRITE_CONFLICT")
"""After these a tick is run again, if it turns out that it is not done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    name: str
    spec: JobSpec
    ticks: Ticks

    @property
    def done_id(self) -> str:
        return f"job:{self.name}"

    @property
    def claim_id(self) -> str:
        return f"job:{self.name}.claim"

    @property
    def said(self) -> str:
        """When it runs, in words; another one is another job."""
        schedule = self.spec.schedule
        return repr((schedule.date, schedule.interval, schedule.cron))


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    done: Document
    claim: Document | None

    @property
    def tick(self) -> int:
        """The last tick that is done."""
        return int(self.done.body["tick"])

    def held(self, now: int) -> int:
        """Return for how many ms somebody is at work; 0: nobody is."""
        if self.claim is None or self.claim.body["tick"] <= self.tick:
            return 0
        return max(0, int(self.claim.body["until"]) - now)


class Timetable:
    """The jobs of an app, as one process sees to them."""

    def __init__(
        self,
        jobs: Mapping[str, JobSpec],
        store: DocumentStore,
        calls: Calls,
        *,
        timeout: float,
        clock: Callable[[], float] = time,
    ) -> None:
        """Describe it; nothing runs before `start`.

        Args:
            jobs: by name.
            store: knows which ticks are done.
            calls: runs them.
            timeout: s that a job may take.
            clock: s since the epoch.

        Raises:
            BadDeclaration: nobody knows when a job is to run; a line for each.
        """
        self._jobs, mistakes = [], Mistakes()
        for name, spec in jobs.items():
            with mistakes.noted():
                job = _Job(name=name, spec=spec, ticks=ticks_of(name, spec.schedule))
                self._jobs.append(job)
        mistakes.tell()
        self._store, self._calls = store, calls
        self._timeout, self._clock = timeout, clock
        # Of its own: while the store is mute, those who wait for it hold up nobody else.
        self._pool = Pool(THREADS, "timetable")
        self._me = secrets.token_hex(8)
        self._tasks: list[asyncio.Task[None]] = []
        self._ahead: set[str] = set()
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False

    def start(self) -> None:
        """Begin to see to the jobs, on the loop that runs."""
        self._tasks = [asyncio.create_task(self._keep(job)) for job in self._jobs]

    async def finish(self, within: float) -> None:
        """Begin nothing any more, and wait for what runs.

        Args:
            within: s at most.
        """
        self._stopping = True
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._idle.wait()

    async def close(self) -> None:
        """Give up what runs: nothing of it is stored, and somebody runs it again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pool.close()

    async def _keep(self, job: _Job) -> None:
        warned = False
        while not self._stopping:
            try:
                pause = await self._see_to(job)
                warned = False
            except StoreError as error:
                if not warned:
                    logger.warning("job %s waits for the store: %s", job.name, error)
                pause, warned = RETRY, True
            except Exception:  # whatever it is, the next tick is due all the same
                logger.exception("job %s failed", job.name)
                pause = RETRY
            jitter = random.uniform(0, JITTER)  # noqa: S311 - no secret
            await asyncio.sleep(min(pause, LONGEST_PAUSE) + jitter)

    async def _see_to(self, job: _Job) -> float:
        """Run a job if it is due and nobody else does; returns s until there may be more to do."""
        state = await self._pool.run(self._look, job)
        now = self._now()
        tick, following = job.ticks.last(now), job.ticks.next(now)
        pause = LONGEST_PAUSE if following is None else (following - now) / 1000
        self._compare_clocks(job, state.tick - now)
        if tick is None or tick <= state.tick:
            return pause
        if held := state.held(now):
            return min(pause, held / 1000)
        claim = await self._pool.run(self._claim, state, job, tick)
        if claim is None:
            return 0.0  # somebody else was faster
        self._running += 1
        self._idle.clear()
        renewing = asyncio.create_task(self._renew(claim))
        try:
            return await self._run(job, state, tick)
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing

    def _compare_clocks(self, job: _Job, ahead: int) -> None:
        """Tell that a job waits, since somebody ran it at a time (ms from now) yet to come."""
        if ahead <= CLOCKS * 1000:
            self._ahead.discard(job.name)
        elif job.name not in self._ahead:
            self._ahead.add(job.name)
            logger.warning(
                "job %s is done until %.0f s from now: the clock of this machine, or of one that "
                "ran it, is wrong; it waits for that time, or for another schedule",
                job.name,
                ahead / 1000,
            )

    def _look(self, job: _Job) -> _State:
        """Read how a job stands. A new one, or one of another time, begins with its next tick."""
        found = self._store.get([job.done_id, job.claim_id])
        done = found.get(job.done_id)
        if done is None or done.body["said"] != job.said:
            body = {"tick": job.ticks.last(self._now()) or 0, "said": job.said}
            with suppress(Conflict):
                if done is None:
                    made = Document(id=job.done_id, kind=KIND, body=body)
                    self._store.commit(WriteBatch(creates=(made,)))
                else:
                    self._store.commit(WriteBatch(updates=(done._replace(body=body),)))
            found = self._store.get([job.done_id, job.claim_id])
        return _State(done=found[job.done_id], claim=found.get(job.claim_id))

    def _claim(self, state: _State, job: _Job, tick: int) -> Document | None:
        """Claim a tick; returns the claim as it is stored, None: somebody else has it."""
        body = {"tick": tick, "by": self._me, "until": self._now() + round(LEASE * 1000)}
        try:
            if state.claim is None:
                claim = Document(id=job.claim_id, kind=KIND, body=body)
                self._store.commit(WriteBatch(creates=(claim,)))
                return claim._replace(version=1)
            claim = state.claim._replace(body=body)
            self._store.commit(WriteBatch(updates=(claim,)))
            return claim._replace(version=claim.version + 1)
        except Conflict:
            return None

    async def _renew(self, claim: Document) -> None:
        """Keep a claim for as long as the job takes."""
        while True:
            await asyncio.sleep(RENEW_EVERY)
            until = self._now() + round(LEASE * 1000)
            claim = claim._replace(body={**claim.body, "until": until})
            try:
                batch = WriteBatch(updates=(claim,))
                await self._pool.run(self._store.commit, batch)
                claim = claim._replace(version=claim.version + 1)
            except Conflict:
                return  # taken over: of both, one will commit
            except StoreError as error:
                logger.debug("a claim is renewed later: %s", error)

    async def _run(self, job: _Job, state: _State, tick: int) -> float:
        """Run one tick; returns s to wait before the next look."""
        body = {**state.done.body, "tick": tick}
        rider = Rider(document=state.done._replace(body=body))
        order = Order(
            spec=job.spec.call,
            fields=dict,  # all of them have defaults
            root=lambda _: SYSTEM_ROOT,
            over=partial(_riding, rider),
            seconds=self._timeout,
        )
        try:
            await self._call(order)
        except Problem as problem:
            text = problem.message
            if problem.code == "TIMEOUT":
                text = f"[converge.server] job_timeout of {self._timeout:g} s is over"
            logger.error("job %s failed: %s", job.name, text)  # noqa: TRY400 - told before
            if problem.code in NOT_STORED:
                await self._pool.run(self._let_go, job)
                return RETRY
        except (HTTPException, RequestValidationError) as error:
            logger.error("job %s failed: %s", job.name, error)  # noqa: TRY400 - it is the app's
        if not rider.stored:  # it changed nothing, or failed: that is done, too
            with suppress(Conflict):
                batch = WriteBatch(updates=(rider.document,))
                await self._pool.run(self._store.commit, batch)
        return 0.0

    async def _call(self, order: Order) -> None:
        """Call the app; what it yields is for nobody."""
        outcome = await outcome_of(order, self._calls)
        if outcome.stream is None:
            return
        items = self._calls.feeds.items(outcome.stream)
        try:
            async for _ in items:
                continue
        except (Exception, GeneratorExit) as error:
            raise problem_of(order.spec.name, error) from error
        finally:
            await items.aclose()

    def _let_go(self, job: _Job) -> None:
        """Give back a claim of ours, as far as the store lets us."""
        with suppress(StoreError):
            claim = self._store.get([job.claim_id]).get(job.claim_id)
            if claim is not None and claim.body["by"] == self._me:
                body = {**claim.body, "until": 0}
                self._store.commit(WriteBatch(updates=(claim._replace(body=body),)))

    def _now(self) -> int:
        return round(self._clock() * 1000)


def _riding(rider: Rider, store: DocumentStore) -> DocumentStore:
    """Have a run write that its tick is done.

    Raises:
        Problem: somebody else has written it since; to run again after a lost race is in vain.
    """
    done = rider.document
    found = store.get([done.id]).get(done.id)
    if found is None or found.version != done.version:
        raise Problem(409, "another process has run this tick meanwhile")
    return WithRider(store, rider)
