"""The pool of threads: as wide as its calls wait, and no wider than they compute."""

import asyncio
import contextvars
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from jac_converge.app_runtime.pool import NARROW, Pool

PATIENCE = 20  # s
WIDEST = 32


@contextmanager
def pool(processor: Callable[[], float] = time.process_time) -> Iterator[Pool]:
    """A pool that is closed at the end."""
    made = Pool(WIDEST, "test", processor=processor)
    try:
        yield made
    finally:
        made.close()


async def at_once(pool: Pool, call: Callable[[], object], times: int) -> list[object]:
    """Run a call many times, all handed over before the first can end."""
    async with asyncio.timeout(PATIENCE):
        return await asyncio.gather(*[pool.run(call) for _ in range(times)])


async def begun(pool: Pool, ended: threading.Event) -> "asyncio.Future[bool]":
    """Hand over a call that waits for an event, and wait until it does."""
    loop, inside = asyncio.get_running_loop(), asyncio.Event()

    def call() -> bool:
        loop.call_soon_threadsafe(inside.set)
        return ended.wait(PATIENCE)

    future = asyncio.ensure_future(pool.run(call))
    async with asyncio.timeout(PATIENCE):
        await inside.wait()
    return future


def test_calls_that_wait_for_each_other_all_run() -> None:
    """None of them ends before the last has begun."""
    barrier = threading.Barrier(WIDEST)
    with pool() as threads:
        asyncio.run(at_once(threads, lambda: barrier.wait(PATIENCE), WIDEST))
        assert threads.running == 0


def test_no_more_run_than_the_widest() -> None:
    """However many wait, and however idle the processor is."""
    most = Most()
    with pool(processor=lambda: 0.0) as threads:
        asyncio.run(at_once(threads, lambda: most.during(0.02), WIDEST * 4))
    assert NARROW < most.seen <= WIDEST


class Most:
    """How many were inside at once."""

    def __init__(self) -> None:
        self.inside = self.seen = 0
        self.lock = threading.Lock()

    def during(self, seconds: float) -> None:
        """Be inside for some s."""
        with self.lock:
            self.inside += 1
            self.seen = max(self.seen, self.inside)
        time.sleep(seconds)
        with self.lock:
            self.inside -= 1


def test_calls_that_compute_take_turns() -> None:
    """The processor is said to be busy, whatever the machine of the tests does meanwhile."""
    most = Most()
    with pool(processor=time.monotonic) as threads:
        asyncio.run(at_once(threads, lambda: most.during(0.0001), 400))
    # A machine that stands still makes a look in which no call ended, and so another thread.
    assert most.seen <= NARROW * 4


def test_a_wide_pool_narrows_when_its_calls_compute() -> None:
    """What a slow database widened does not stay so for ever."""
    busy = False

    def processor() -> float:
        return time.monotonic() if busy else 0.0

    async def first_wait_then_compute() -> int:
        nonlocal busy
        await at_once(threads, lambda: time.sleep(0.02), WIDEST * 4)
        busy, most = True, Most()
        await at_once(threads, lambda: most.during(0.001), 1000)
        most = Most()
        await at_once(threads, lambda: most.during(0.001), 100)
        return most.seen

    with pool(processor=processor) as threads:
        assert asyncio.run(first_wait_then_compute()) < WIDEST


def test_one_call_that_computes_for_long_keeps_no_other_waiting() -> None:
    """The processor is busy, and no call ends: another thread begins."""
    ended = threading.Event()

    async def both() -> None:
        long = asyncio.ensure_future(threads.run(ended.wait, PATIENCE))
        await threads.run(ended.set)
        assert await long

    with pool(processor=time.monotonic) as threads:
        asyncio.run(both())


def test_errors_and_context_reach_the_caller() -> None:
    """An exit of the call is no exit of the thread."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    async def call() -> str:
        variable.set("here")
        with pytest.raises(SystemExit, match="3"):
            await threads.run(exit, 3)
        return await threads.run(variable.get)

    with pool() as threads:
        assert asyncio.run(call()) == "here"
        assert threads.running == 0


def test_stop_iteration_reaches_the_caller_too() -> None:
    """No future takes it as it is."""

    async def call() -> None:
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(RuntimeError, match="StopIteration"):
                await threads.run(next, iter(()))

    with pool() as threads:
        asyncio.run(call())


def test_who_stops_waiting_frees_a_place_in_the_queue_but_no_thread() -> None:
    """A thread cannot be stopped; what has not begun need not begin."""
    ended = threading.Event()
    ran: list[int] = []

    async def give_up() -> None:
        running = await begun(threads, ended)
        queued = asyncio.ensure_future(threads.run(ran.append, 1))
        await asyncio.sleep(0)
        queued.cancel()
        with pytest.raises(asyncio.CancelledError):
            await queued
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert threads.running == 1
        ended.set()
        assert await threads.run(lambda: "next") == "next"

    with pool() as threads:
        asyncio.run(give_up())
    assert ran == []


def test_close_forgets_what_has_not_begun() -> None:
    """What runs may end."""
    ended = threading.Event()

    async def close() -> None:
        running = await begun(threads, ended)
        queued = asyncio.ensure_future(threads.run(print))
        await asyncio.sleep(0)
        threads.close()
        with pytest.raises(asyncio.CancelledError):
            await queued
        ended.set()
        assert await running

    with pool() as threads:
        asyncio.run(close())


def test_one_call_at_a_time_is_not_looked_at() -> None:
    """A thread is on its way to each, so there is nothing to widen for."""
    looks = itertools.count()

    async def one_by_one(threads: Pool) -> None:
        for _ in range(20):
            await threads.run(lambda: None)

    with pool(processor=lambda: float(next(looks))) as threads:
        asyncio.run(one_by_one(threads))
    assert next(looks) == 0
