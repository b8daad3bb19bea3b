"""`@schedule` on real servers: once for each tick, whoever dies."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers.jac_server import JacServer
from tests.servers.mongo_server import MongoServer
from tests.servers.process import ServerFailed, wait_until

TIMED = Path(__file__).parent / "apps" / "timed" / "timed.jac"
SYSTEM = "00000000000000000000000000000000"


def runs(server: JacServer, job: str) -> list[int]:
    """Return the seconds in which a job ran."""
    (seconds,) = server.call("/walker/runs", job=job).reports
    return sorted(seconds)


def env_with(marks: Path, **more: str) -> dict[str, str]:
    """Return an environment in which jobs leave their marks in a folder."""
    marks.mkdir(exist_ok=True)
    return dict(os.environ) | {"MARKS": str(marks)} | more


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[JacServer]]:
    """Give two replicas of two workers each, on one MongoDB; the job that hangs has run once."""
    folder = tmp_path_factory.mktemp("timed")
    with MongoServer() as mongo, ExitStack() as stack:
        env = env_with(folder / "marks", MONGODB_URI=mongo.url)
        yield [
            stack.enter_context(JacServer(TIMED, folder / name, "--workers", "2", env=env))
            for name in ("one", "two")
        ]


def test_tick_runs_once_whoever_is_there(replicas: list[JacServer]) -> None:
    """At most once each second, and in none of several ones twice."""
    began = int(time.time())
    before = len(runs(replicas[0], "beat"))
    wait_until(lambda: len(runs(replicas[0], "beat")) >= before + 4, within=30, what="4 runs")
    seconds = runs(replicas[1], "beat")
    assert len(seconds) <= int(time.time()) - began + 2 + before
    quiet = (Path(replicas[0].file.parent.parent) / "marks" / "quiet").read_text().split()
    assert len(quiet) <= int(quiet[-1]) - int(quiet[0]) + 2


def test_job_runs_as_the_system(replicas: list[JacServer]) -> None:
    """Which may write everywhere."""
    wait_until(lambda: runs(replicas[0], "beat") != [], within=60, what="a run")
    assert [[SYSTEM]] == replicas[0].call("/walker/owners").reports


def test_job_that_fails_stores_nothing_and_goes_on(replicas: list[JacServer]) -> None:
    """With a line in the log for each time."""
    logs = [server.log_text() for server in replicas]
    assert [] == runs(replicas[0], "broken")
    wait_until(
        lambda: (
            sum(server.log_text().count("broken raised") for server in replicas)
            >= 2 + sum(log.count("broken raised") for log in logs)
        ),
        within=60,
        what="two more failures",
    )
    assert [] == runs(replicas[0], "broken")


def test_jobs_are_no_routes(replicas: list[JacServer]) -> None:
    """Nobody calls them; and one that somebody would have to make is told."""
    assert 404 == replicas[0].call("/walker/beat").status
    assert "beat" not in replicas[0].get("/walkers").body["data"]["walkers"]
    assert "job dynamic does not run" in replicas[0].log_text()


def test_tick_of_a_worker_that_is_killed_is_run_by_another(replicas: list[JacServer]) -> None:
    """And what the dead one did not commit is nowhere."""
    mark = Path(replicas[0].file.parent.parent) / "marks" / "stuck"
    wait_until(mark.exists, within=60, what="the job that hangs")
    assert [] == runs(replicas[0], "stuck")
    os.kill(int(mark.read_text()), signal.SIGKILL)
    wait_until(lambda: runs(replicas[0], "stuck") != [], within=30, what="the next run")
    assert [] == runs(replicas[0], "stuck for ever")


def test_moment_that_is_past_when_a_job_is_new_is_past(replicas: list[JacServer]) -> None:
    """As under `jac start`."""
    wait_until(lambda: runs(replicas[0], "beat") != [], within=60, what="a run")
    assert [] == runs(replicas[0], "once")


@pytest.mark.parametrize(
    ("schedule", "field", "told"),
    [
        ('cron="61 * * * *"', "", "@schedule of one: cron: '61' is not within 0-59"),
        ("interval=5", "has n: int;", "job one: nobody gives it n; say a default"),
    ],
)
def test_job_that_cannot_run_is_told_at_the_start(
    tmp_path: Path, schedule: str, field: str, told: str
) -> None:
    """By its name."""
    app = tmp_path / "bad.jac"
    app.write_text(f"@schedule({schedule})\nwalker one {{ {field} }}\n")
    server = JacServer(app, tmp_path / "served")
    with pytest.raises(ServerFailed), server:
        pass
    assert told in server.log_text()
