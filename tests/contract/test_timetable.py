"""The timetable of jobs, on real stores and with a clock of its own."""

import asyncio
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jac_converge.app_runtime.stores import DocumentStore
from tests.contract.graph_user import loaded
from tests.servers.process import wait_until

if TYPE_CHECKING:
    from jac_converge.app_runtime.bridge.introspect import JobSpec
    from jac_converge.app_runtime.bridge.program import Program
    from jac_converge.app_runtime.schedule import Timetable

APP = """
import from threading { Event }

glob begun: Event = Event(), gate: Event = Event(), calls: list = [];

node Ran {}

@schedule(interval=3600)
walker hourly { can go with Root entry { here ++> Ran(); } }

@schedule(interval=3600)
walker held { can go with Root entry {
    calls.append(1);
    here ++> Ran();
    if len(calls) == 1 {
        begun.set();
        gate.wait(20);
    }
} }

@schedule(interval=3600)
walker failing { can go with Root entry {
    calls.append(1);
    here ++> Ran();
    raise ValueError("no");
} }

@schedule(interval=3600)
def looking -> None { calls.append(1); }

walker:pub count { can go with Root entry { report len([-->][?:Ran]); } }
def:pub state -> list { return [begun, gate, calls]; }
"""
HOUR = 3600.0


class World:
    """One app on one store, and a time that passes when it is told to."""

    def __init__(self, program: "Program", store: DocumentStore) -> None:
        from jac_converge.app_runtime.bridge.program import ensure_system  # noqa: PLC0415

        ensure_system(store)
        self.program, self.store = program, store
        self.now = 1000 * HOUR + 1
        self.begun, self.gate, self.calls = program.functions["state"].function()
        for event in (self.begun, self.gate):
            event.clear()
        self.calls.clear()

    @contextmanager
    def process(self, job: str, spec: "JobSpec | None" = None) -> Iterator["Timetable"]:
        """Give what another process knows of one job."""
        from jac_converge.app_runtime.calls import Calls  # noqa: PLC0415
        from jac_converge.app_runtime.schedule import Timetable  # noqa: PLC0415

        calls = Calls(self.store, max_attempts=3, timeout=20)
        jobs = {job: spec or self.program.jobs[job]}
        yield Timetable(jobs, self.store, calls, timeout=20, clock=lambda: self.now)
        calls.close()

    def look(self, *timetables: "Timetable") -> None:
        """Have each of them look at the clock, one after the other."""
        for timetable in timetables:
            asyncio.run(_look(timetable))

    def much_later(self, other: "Timetable") -> bool:
        """Let a minute pass; say whether another process has run the job then."""
        self.now += 60
        self.look(other)
        return len(self.calls) > 1

    @property
    def ran(self) -> int:
        """How often a job has stored something."""
        from jac_converge.app_runtime.bridge.program import (  # noqa: PLC0415
            SYSTEM_ROOT,
            Call,
            Run,
        )

        spec = self.program.walkers["count"]
        run = Run(Call(spec=spec, fields={}, root=lambda _: SYSTEM_ROOT), self.store, too_late=bool)
        with run.active():
            number: int = run.finish(run.begin()).reports[0]
        return number


async def _look(timetable: "Timetable") -> None:
    await timetable._see_to(timetable._jobs[0])


@pytest.fixture(scope="module")
def program() -> "Program":
    """Give the app, loaded once."""
    folder = Path(tempfile.mkdtemp(prefix="timetable-"))
    return loaded(folder / "jobs_by_the_clock.jac", APP)


@pytest.fixture
def world(program: "Program", store: DocumentStore) -> World:
    """Give an empty store, and the app."""
    return World(program, store)


def test_new_job_begins_with_its_next_tick(world: World) -> None:
    """And each tick runs once, whichever process looks."""
    with world.process("hourly") as one, world.process("hourly") as two:
        world.look(one, two, one)
        assert 0 == world.ran
        for count in range(1, 4):
            world.now += HOUR
            world.look(one, two, two, one)
            assert count == world.ran


def test_missed_ticks_are_one_run(world: World) -> None:
    """By whoever looks first after the time in which nobody did."""
    with world.process("hourly") as one:
        world.look(one)
    world.now += 10 * HOUR
    with world.process("hourly") as two:
        world.look(two, two)
    assert 1 == world.ran


def test_job_of_another_time_begins_anew(world: World) -> None:
    """What it would have missed was never due."""
    with world.process("hourly") as one:
        world.look(one)
    spec = world.program.jobs["hourly"]
    other = replace(spec, schedule=replace(spec.schedule, interval=1.0))
    with world.process("hourly", other) as two:
        world.now += 0.5
        world.look(two)
        assert 0 == world.ran
        world.now += 1
        world.look(two)
    assert 1 == world.ran


def test_clock_that_was_wrong_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Once: the job waits until it is as late as that clock said, and no tick runs twice."""
    with world.process("hourly") as wrong, world.process("hourly") as right:
        world.look(wrong)
        world.now += 5 * HOUR
        world.look(wrong)
        world.now -= 4 * HOUR
        world.look(right, right)
        assert 1 == caplog.text.count("job hourly is done until 14399 s from now")
        world.now += 4 * HOUR
        world.look(right)
        assert 1 == world.ran
        world.now += HOUR
        world.look(right, wrong)
    assert 2 == world.ran


@pytest.mark.parametrize("job", ["failing", "looking"])
def test_tick_that_stores_nothing_is_done(world: World, job: str) -> None:
    """Whether it raised or had nothing to store."""
    with world.process(job) as one, world.process(job) as two:
        world.look(one)
        world.now += HOUR
        world.look(one, two, one)
    assert (1, 0) == (len(world.calls), world.ran)


def test_tick_at_work_is_left_alone_and_runs_again_when_its_claim_is_over(world: World) -> None:
    """Of two who ran it, one has stored something: the other one's commit is a conflict."""
    with (
        world.process("held") as paused,
        world.process("held") as other,
        ThreadPoolExecutor(1) as pool,
    ):
        world.look(paused)
        world.now += HOUR
        running = pool.submit(world.look, paused)
        assert world.begun.wait(20)
        world.look(other)
        assert 1 == len(world.calls)
        # As if the first one were paused for longer than its claim holds; it may renew it.
        wait_until(lambda: world.much_later(other), within=20, what="the second run")
        assert (2, 1) == (len(world.calls), world.ran)
        world.gate.set()
        running.result(20)
        world.look(paused, other)
    # And it did not run a third time, in vain.
    assert (2, 1) == (len(world.calls), world.ran)
