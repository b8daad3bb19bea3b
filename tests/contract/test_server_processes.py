"""A test's process starts, is waited for, and ends, whatever happens to the test."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.process import Process, ServerFailed, free_port, wait_until

FOREVER = ("/bin/sh", "-c", "echo started; exec sleep 600")
REPOSITORY = Path(__file__).parents[2]


def sleeper(directory: Path, *, ready: Callable[[], bool] = lambda: True) -> Process:
    """Return a process that runs until it is ended."""
    return Process("sleeper", FOREVER, log=directory / "log", ready=ready, ready_within=0.2)


def test_process_ends_with_its_block(tmp_path: Path) -> None:
    """It runs inside the block only."""
    with sleeper(tmp_path) as process:
        pid = process.pid
        inside = Path(f"/proc/{pid}").exists()

    assert (True, False) == (inside, Path(f"/proc/{pid}").exists())


def test_process_is_killed_when_it_ignores_term_or_is_frozen(tmp_path: Path) -> None:
    """TERM first, KILL after the grace; a frozen process is thawed to hear it."""
    command = ["/bin/sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 600 & wait; done"]
    log = tmp_path / "log"
    process = Process("deaf", command, log=log, ready=lambda: "deaf" in log.read_text(), grace=0.1)

    with process:
        pid = process.pid
        process.freeze()

    assert not Path(f"/proc/{pid}").exists()


def test_process_takes_its_children_along(tmp_path: Path) -> None:
    """The whole group ends, also what a process started itself."""
    log = tmp_path / "log"
    command = ["/bin/sh", "-c", "sleep 600 & echo $!; wait"]
    with Process("family", command, log=log, ready=lambda: log.stat().st_size > 0, grace=0):
        child = Path(f"/proc/{int(log.read_text())}")
        inside = child.exists()

    def ended() -> bool:
        # Reaping an orphan is up to init: a zombie has ended too.
        return not child.exists() or ") Z " in (child / "stat").read_text()

    assert inside
    wait_until(ended, within=5, what="the end of the child")


def test_process_start_fails_at_once_when_it_ends(tmp_path: Path) -> None:
    """Waiting stops when there is nothing to wait for; the message has the log."""
    command = ["/bin/sh", "-c", "echo no such option >&2; exit 3"]
    process = Process(
        "broken", command, log=tmp_path / "log", ready=lambda: False, ready_within=600
    )

    with pytest.raises(ServerFailed, match=r"(?s)broken ended with 3\n.*no such option"):
        process.start()

    assert not process.alive


def test_process_start_fails_when_it_is_not_ready_in_time(tmp_path: Path) -> None:
    """A process that never answers is ended and its log shown."""
    process = sleeper(tmp_path, ready=lambda: False)

    with pytest.raises(ServerFailed, match=r"(?s)sleeper: not within 0.2 s\n.*started"):
        process.start()

    assert not process.alive


def test_process_starts_again_when_it_has_ended_by_itself(tmp_path: Path) -> None:
    """A crashed server can be restarted, a running one cannot be started twice."""
    with sleeper(tmp_path) as process:
        first = process.pid
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: not process.alive, within=5, what="the crash")
        process.start()
        second = process.pid
        with pytest.raises(ServerFailed, match="it runs already"):
            process.start()

        assert (True, second) == (process.alive, process.pid)
    assert first != second


def test_process_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    """A restart from a test's own thread is not undone when that thread ends."""
    process = sleeper(tmp_path)
    starter = threading.Thread(target=process.start)
    starter.start()
    starter.join()

    alive = process.alive
    process.terminate()

    assert alive


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_process_dies_with_a_killed_parent(tmp_path: Path) -> None:
    """Even kill -9 of the test run leaves nothing behind."""
    log = tmp_path / "log"
    # Ready says that the program runs, and so that it was told to die with its parent.
    script = (
        "from pathlib import Path; from tests.servers.process import Process\n"
        f"log = Path({str(log)!r}); ready = lambda: 'started' in log.read_text()\n"
        f"print(Process('x', {FOREVER!r}, log=log, ready=ready).start().pid, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        running = Path(f"/proc/{child}").exists()
        parent.send_signal(signal.SIGKILL)

    def ended() -> bool:
        stat = Path(f"/proc/{child}/stat")
        return not stat.exists() or ") Z " in stat.read_text()

    assert running
    wait_until(ended, within=5, what="the end of the child")


def test_process_knows_its_own_port(tmp_path: Path) -> None:
    """A port that someone else listens on is not its own."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    process = Process(
        "http", command, log=tmp_path / "log", ready=lambda: process.listens_on(port), grace=0
    )

    with process, sleeper(tmp_path) as other:
        assert (True, False) == (process.listens_on(port), other.listens_on(port))
        assert process.rss_bytes() > os.sysconf("SC_PAGE_SIZE")


def test_two_processes_of_tests_choose_from_ports_of_their_own() -> None:
    """Nobody listens on any of them, and yet they are not the same."""
    choose = "from tests.servers.process import *; print(*(free_port() for _ in range(300)))"
    done = subprocess.run([sys.executable, "-c", choose], stdout=subprocess.PIPE, check=True)
    theirs = {int(port) for port in done.stdout.split()}
    ours = {free_port() for _ in range(300)}
    assert (300, 300, set()) == (len(theirs), len(ours), theirs & ours)
