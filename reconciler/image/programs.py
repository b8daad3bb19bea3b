"""Other people's programs: found on PATH, run to their end, and their failures told.

It changes when another way of failing has to be told apart.
"""

import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Event
from typing import Final

from jac_converge.reconciler.errors import Interrupted, Invalid

__all__ = ["found", "run", "run_to_end"]

_PATIENCE: Final = 1800.0
"""Seconds: a build that installs a compiler first takes long."""

_LAST_WORDS: Final = 400
"""Characters of what a failed program said last."""

_LOOK: Final = 0.1
"""Seconds between two looks at whether we were told to end."""

_LAST_SECONDS: Final = 0.3
"""Seconds that a program may take to end when we do; after Ctrl-C nobody waits for long."""


def found(program: str) -> str | None:
    """Where a program is; None: not on PATH."""
    return shutil.which(program)


def run(
    command: Iterable[str],
    subject: str,
    *,
    stop: Event,
    folder: Path | None = None,
    failure: str = "",
    patience: float = _PATIENCE,
) -> str:
    """Run a program to its end; returns what it printed.

    Args:
        command: its name, and its arguments.
        subject: what for, in messages.
        stop: ends it.
        folder: where it runs.
        failure: what it says of a failure for which it ends with 0 all the same.
        patience: seconds that it may take.

    Raises:
        Invalid: it is not there, or failed.
        Interrupted: we were told to end meanwhile.
    """
    name, *arguments = command
    program = found(name)
    if program is None:
        raise Invalid(subject, f"{name} is not installed here, or not on PATH")
    done = run_to_end([program, *arguments], subject, stop=stop, folder=folder, patience=patience)
    if done.returncode:
        said = " ".join((done.stderr.strip() or done.stdout.strip()).split())
        cause = f"{name} ended with {done.returncode}: {said[-_LAST_WORDS:]}"
        raise Invalid(subject, cause)
    for line in (done.stderr + done.stdout).splitlines() if failure else ():
        if failure in line:
            raise Invalid(subject, f"{name}: {' '.join(line.split())[:_LAST_WORDS]}")
    return done.stdout.strip()


def run_to_end(
    command: list[str],
    subject: str,
    *,
    stop: Event,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    patience: float = _PATIENCE,
) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end, whatever that is.

    Args:
        command: path of the program, and its arguments.
        subject: what for, in messages.
        stop: ends it.
        folder: where it runs.
        environ: instead of that of this process.
        patience: seconds that it may take.

    Raises:
        Invalid: it cannot be run, or does not end.
        Interrupted: we were told to end meanwhile.
    """
    name = Path(command[0]).name
    try:
        with subprocess.Popen(  # noqa: S603 - one of the few that we know
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=folder,
            env=environ,
        ) as process:
            out, err = _end_of(process, subject, stop, patience)
    except subprocess.TimeoutExpired as exc:
        raise Invalid(subject, f"{name} did not end within {patience:g} s") from exc
    except OSError as exc:
        raise Invalid(subject, f"{name}: {exc}") from exc
    # Ctrl-C at a terminal reaches the program as soon as us: it did not fail by itself.
    if process.returncode and stop.wait(_LOOK):
        raise Interrupted(subject, f"{name} was interrupted")
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _end_of(
    process: "subprocess.Popen[str]", subject: str, stop: Event, patience: float
) -> tuple[str, str]:
    """Wait for the end of a program, and see to it: none outlives us, or goes on unread."""
    deadline = time.monotonic() + patience
    try:
        while True:
            try:
                return process.communicate(timeout=_LOOK)
            except subprocess.TimeoutExpired:
                if stop.is_set():
                    _terminate(process)
                    raise Interrupted(subject, "we were told to end") from None
                if time.monotonic() > deadline:
                    raise
    finally:
        process.kill()  # does nothing to one that ended


def _terminate(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(_LAST_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
