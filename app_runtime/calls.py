"""Run calls off the event loop, and run them again when their commit lost a race.

A synchronous walker gets a thread. An asynchronous one gets a task on an event loop of its own: the
graph it reads is read by blocking calls, which must not hold up the loop that answers probes.
It changes with the policy for threads, time and conflicts.
"""

import asyncio
import inspect
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jac_converge.app_runtime.bridge.introspect import FunctionSpec, WalkerSpec
from jac_converge.app_runtime.bridge.program import Call, Exited, Outcome, Read, Run, TooLate
from jac_converge.app_runtime.feeds import Feeds
from jac_converge.app_runtime.pool import Pool
from jac_converge.app_runtime.stores import Conflict, DocumentStore, UnknownOutcome
from jac_converge.app_runtime.stores.turns import AsyncTurns, Turns

__all__ = ["Calls", "Crowded", "Order"]

logger = logging.getLogger(__name__)

THREADS_FOR_ACCOUNTS = 8
THREADS_FOR_HASHES = 4  # more than run at once: each also waits for the store
THREADS_FOR_MAILS = 2
MOST_MAILS = 100  # that wait for the mail server
MOST_AT_THE_DOOR = 200  # who wait for a hash; about 5 s of them
THREADS = 64  # a call that waits for something else holds one
QUICK = 0.25  # s; a call that took less may hold the store's write lock while it runs again
FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.25  # s


class Crowded(Exception):
    """More wait for a hash, or a mail, than there is time for; the text is for who comes now."""

    def __init__(self, text: str, *, seconds: int) -> None:
        """Say it, and in how many seconds to come again."""
        super().__init__(text)
        self.seconds = seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A call as a client sent it."""

    spec: WalkerSpec | FunctionSpec
    fields: Callable[[], dict[str, Any]]
    """Makes the values anew for each run, since a run may change what is inside."""
    root: Callable[[Read], UUID]
    """Finds the caller's root, off the event loop; raises if the caller may not call."""
    node: str | None = None
    over: Callable[[DocumentStore], DocumentStore] | None = None
    """Puts something between the call and the store."""
    seconds: float | None = None
    """Time that it may take; None: that of a request."""


class Calls:
    """The workers of one process: threads for synchronous calls, a loop for asynchronous ones."""

    def __init__(
        self,
        store: DocumentStore,
        *,
        max_attempts: int,
        timeout: float,
        rng: random.Random | None = None,
    ) -> None:
        """Describe the policy; threads start with the first call.

        Args:
            store: where documents are.
            max_attempts: runs of one call, at least 1; then `Conflict`.
            timeout: s, after which `execute` raises `TooLate` and the call may not commit.
            rng: for pauses between runs.
        """
        self._store = store
        self._max_attempts = max_attempts
        self._timeout = timeout
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not secrets
        self._pool = Pool(THREADS, "walker")
        self._accounts = Pool(THREADS_FOR_ACCOUNTS, "account")
        # Hashes of passwords take turns: a crowd at the door must not hold up who is inside.
        self._door = Pool(THREADS_FOR_HASHES, "hash")
        # A mail server that is slow holds up nobody but mails.
        self._mails = Pool(THREADS_FOR_MAILS, "mail")
        self.feeds = Feeds(self._walker_loop)
        """What goes on after its call: streams."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._turns = Turns()
        self._async_turns = AsyncTurns()  # of the walkers' loop
        self.replays = 0
        """Runs that were no first runs, since this process began."""

    async def execute(self, order: Order) -> Outcome:
        """Run a call and commit what it changed.

        Raises:
            TooLate: it took too long; nothing of it is or will be stored.
            UnknownOutcome: it took too long, and was about to be stored.
            Conflict: every run lost a race against other calls.
            Exited: the call raised what is no `Exception`.
            Exception: whatever the call raised, its own TimeoutError among it.
        """
        seconds = order.seconds or self._timeout
        deadline, limit = _Deadline(), asyncio.timeout(seconds)
        try:
            async with limit:
                if order.spec.asynchronous:
                    task = asyncio.run_coroutine_threadsafe(
                        self._run_async(order, deadline), self._walker_loop()
                    )
                    return await asyncio.wrap_future(task)
                return await self.in_thread(self._run, order, deadline)
        except TimeoutError as error:
            if not limit.expired():
                raise
            if deadline.outcome is not None:
                return deadline.outcome  # stored; what takes so long are the effects
            setting = "request_timeout" if order.seconds is None else "job_timeout"
            if deadline.end():
                text = f"commit outlasted {setting} of {seconds:g} s (outcome unknown)"
                raise UnknownOutcome(text) from error
            raise TooLate(f"{setting} of {seconds:g} s is over") from error
        except asyncio.CancelledError as error:
            own = asyncio.current_task()
            if own is None or own.cancelling():
                raise
            raise Exited("raised CancelledError") from error  # for all that we know, by itself
        finally:
            # A client that hung up, or waited too long: no commit behind its back. But a stream
            # goes on.
            if deadline.outcome is None or deadline.outcome.stream is None:
                deadline.end()

    async def in_time[T](self, function: Callable[..., T], *args: Any) -> T:
        """Run something on accounts in a thread, and wait no longer than a call may take.

        Raises:
            TimeoutError: what it does goes on.
        """
        return await self._in_time(self._accounts, function, *args)

    async def hashing[T](self, function: Callable[[], T]) -> T:
        """Do the same with something that hashes a password.

        Raises:
            Crowded: too many wait for that already.
            TimeoutError: what it does goes on.
        """
        if self._door.waiting >= MOST_AT_THE_DOOR:
            raise Crowded("too many log in at this moment; nothing was stored", seconds=2)
        return await self._in_time(self._door, function)

    async def mailing[T](self, function: Callable[[], T]) -> T:
        """Do the same with something that sends a mail.

        Raises:
            Crowded: too many wait for that already.
            TimeoutError: what it does goes on.
        """
        if self._mails.waiting >= MOST_MAILS:
            raise Crowded("too many mails wait to be sent; try again later", seconds=60)
        return await self._in_time(self._mails, function)

    async def _in_time[T](self, pool: Pool, function: Callable[..., T], *args: Any) -> T:
        async with asyncio.timeout(self._timeout):
            return await pool.run(function, *args)

    async def in_thread[T](self, function: Callable[..., T], *args: Any) -> T:
        """Run something that may wait in a thread, with the context of the caller."""
        return await self._pool.run(function, *args)

    @property
    def running(self) -> int:
        """Threads that are at work now, whether somebody still waits for them or not."""
        return sum(pool.running for pool in self._pools) + self.feeds.running

    @property
    def _pools(self) -> tuple[Pool, ...]:
        return self._pool, self._accounts, self._door, self._mails

    def close(self) -> None:
        """Take no more work and forget what has not begun; what runs may end or die with us."""
        self.feeds.close()
        for pool in self._pools:
            pool.close()
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def _run(self, order: Order, deadline: "_Deadline") -> Outcome:
        for attempt in self._attempts():
            with self._turns.of(attempt.contested), attempt.store() as store:
                run = _run_of(order, store, deadline)
                try:
                    with run.active(), attempt.timed():
                        result = run.begin()
                        if inspect.isawaitable(result):
                            result = asyncio.run(_wait_for(result))
                        while flows := run.unfinished():
                            wait(flows)
                        deadline.outcome = run.finish(result)
                except Conflict as conflict:
                    attempt.lost(conflict)
                    deadline.nothing_written()
                    self._count_replay()
            if deadline.outcome is not None:
                return _after(run, deadline.outcome, deadline)
            time.sleep(attempt.pause)
        raise AssertionError("the last attempt returns or raises")

    async def _run_async(self, order: Order, deadline: "_Deadline") -> Outcome:
        for attempt in self._attempts():
            # Never with the store's lock: the next task of this loop to want it would stop the
            # loop, and so the task that has it. Taking turns is the best there is.
            async with self._async_turns.of(attempt.contested):
                run = _run_of(order, self._store, deadline)
                try:
                    with run.active(), attempt.timed():
                        result = run.begin()
                        if inspect.isawaitable(result):
                            result = await result
                        while flows := run.unfinished():
                            ends = map(asyncio.wrap_future, flows)
                            await asyncio.gather(*ends, return_exceptions=True)
                        deadline.outcome = run.finish(result)
                except Conflict as conflict:
                    attempt.lost(conflict)
                    deadline.nothing_written()
                    self._count_replay()
            if deadline.outcome is not None:
                if run.has_effects and deadline.outcome.stream is None:
                    # In a thread: they may wait, which is not for the loop of all such walkers.
                    await asyncio.shield(self.in_thread(run.effects))
                    return deadline.outcome
                return _after(run, deadline.outcome, deadline)
            await asyncio.sleep(attempt.pause)
        raise AssertionError("the last attempt returns or raises")

    def _attempts(self) -> Iterator["_Attempt"]:
        quick, contested = False, frozenset[str]()
        for number in range(self._max_attempts):
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**number)
            attempt = _Attempt(
                base=self._store,
                contested=contested,
                alone=quick,
                last=number == self._max_attempts - 1,
                pause=self._rng.uniform(0, pause),
            )
            yield attempt
            quick, contested = attempt.seconds < QUICK, attempt.contested

    def _walker_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=_keep_running, args=(self._loop,), name="async-walkers", daemon=True
                ).start()
            return self._loop

    def _count_replay(self) -> None:
        with self._lock:
            self.replays += 1


class _Deadline:
    """Whether somebody still waits for a call, and whether its commit may have happened.

    Both are decided under one lock, so of a call that is given up before its commit happens it is
    known that it never does.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = self._writing = False
        self.outcome: Outcome | None = None
        """What the call gave, once that is stored."""

    def over(self) -> bool:
        """Say whether nobody waits any more."""
        return self._ended

    def missed(self) -> bool:
        """Ask for leave to make the commit happen; False: given."""
        with self._lock:
            self._writing |= not self._ended
            return self._ended

    def nothing_written(self) -> None:
        """Note that the commit was refused."""
        with self._lock:
            self._writing = False

    def end(self) -> bool:
        """Give no leave any more; returns whether there may be something written already."""
        with self._lock:
            self._ended = True
            return self._writing


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """One run of a call among those its conflicts may cost."""

    base: DocumentStore
    contested: frozenset[str]
    """Ids of the documents for which the last race was lost."""
    alone: bool
    """A quick call that lost a race runs again with the store's write lock, and so cannot lose a
    second one; a slow call would hold up everybody, so it takes its chances."""
    last: bool
    pause: float
    seconds: float = 0.0

    def store(self) -> AbstractContextManager[DocumentStore]:
        return self.base.exclusive() if self.alone else nullcontext(self.base)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Note how long the run took."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds = time.monotonic() - began

    def lost(self, conflict: Conflict) -> None:
        """Let a lost race pass if the call may run again.

        Raises:
            Conflict: it may not.
        """
        if self.last:
            raise conflict
        self.contested = frozenset(conflict.ids)
        logger.debug("a call runs again: %s", conflict)


def _run_of(order: Order, store: DocumentStore, deadline: _Deadline) -> Run:
    store = store if order.over is None else order.over(store)
    call = Call(spec=order.spec, fields=order.fields(), root=order.root, node=order.node)
    return Run(call, store, too_late=deadline.missed, given_up=deadline.over)


def _after(run: Run, outcome: Outcome, deadline: _Deadline) -> Outcome:
    """Do what waits for the end of a call, unless it goes on as a stream."""
    if outcome.stream is None:
        run.effects()
    else:
        outcome.stream.give_up = deadline.end
    return outcome


def _keep_running(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped; a task of the app that calls sys.exit is no reason."""
    while True:
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            logger.exception("a task called sys.exit, which ends neither the server nor others")
        else:
            return loop.close()


async def _wait_for(result: Any) -> Any:
    return await result
