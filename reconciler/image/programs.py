"""Other people's programs: found on PATH, run to their end, and their failures told.

It changes when another way of failing has to be told apart.
"""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from jac_converge.reconciler.errors import Invalid

__all__ = ["found", "run"]

_PATIENCE: Final = 1800.0
"""Seconds: a build that installs a compiler first takes long."""

_LAST_WORDS: Final = 400
"""Characters of what a failed program said last."""


def found(program: str) -> str | None:
    """Where a program is; None: not on PATH."""
    return shutil.which(program)


def run(command: Iterable[str], subject: str, *, folder: Path | None = None) -> str:
    """Run a program to its end; returns what it printed.

    Raises:
        Invalid: it is not there, or failed.
    """
    name, *arguments = command
    program = found(name)
    if program is None:
        raise Invalid(subject, f"{name} is not installed here, or not on PATH")
    try:
        done = subprocess.run(  # noqa: S603 - one of the few that we know
            [program, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_PATIENCE,
            cwd=folder,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise Invalid(subject, f"{name}: {exc}") from exc
    if done.returncode:
        said = " ".join((done.stderr.strip() or done.stdout.strip()).split())
        cause = f"{name} ended with {done.returncode}: {said[-_LAST_WORDS:]}"
        raise Invalid(subject, cause)
    return done.stdout.strip()
