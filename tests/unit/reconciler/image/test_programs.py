"""Other people's programs end when we do, and say once why they failed."""

import os
import sys
from pathlib import Path
from threading import Event, Thread

import pytest

from jac_converge.reconciler.errors import Interrupted, Invalid
from jac_converge.reconciler.image.programs import run
from tests.servers.process import wait_until

HANGS = """
import os, sys, time
print(os.getpid(), flush=True, file=open(sys.argv[1], "w"))
time.sleep(600)
"""


def test_program_that_runs_when_we_end_ends_too(tmp_path: Path) -> None:
    """It reads an archive that is gone in a moment."""
    stop, file, came = Event(), tmp_path / "pid", list[BaseException]()

    def work() -> None:
        try:
            run((sys.executable, "-c", HANGS, str(file)), "load", stop=stop)
        except Interrupted as error:
            came.append(error)

    thread = Thread(target=work)
    thread.start()
    wait_until(lambda: file.exists() and file.read_text().endswith("\n"), within=20, what="it")
    stop.set()
    thread.join(10)
    assert ["load failed (Interrupted): we were told to end"] == [str(it) for it in came]
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)


def test_program_that_ctrl_c_reached_first_did_not_fail() -> None:
    """A terminal tells all programs at once."""
    stop = Event()
    stop.set()
    with pytest.raises(Interrupted):
        run((sys.executable, "-c", "import sys; sys.exit(130)"), "load", stop=stop)


def test_program_that_fails_is_told_by_its_last_words() -> None:
    """And one that does not, by what it printed, however much that is."""
    with pytest.raises(Invalid, match="ended with 3: no nodes found"):
        run(("sh", "-c", "echo no nodes found >&2; exit 3"), "load", stop=Event())
    much = "print('x' * 1000000)"
    assert "x" * 1_000_000 == run((sys.executable, "-c", much), "load", stop=Event())
