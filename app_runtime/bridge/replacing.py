"""A folder that a tool empties and writes anew, as Vite does, and may not live to finish.

What was in it is kept beside it until all is written. It changes with how bundles are written.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["is_half_written", "replacing"]


def is_half_written(folder: Path) -> bool:
    """Say whether somebody writes it at this moment, or was killed while they did."""
    return _before(folder).exists()


@contextmanager
def replacing(folder: Path) -> Iterator[None]:
    """Have it written; where that fails, now or for who was killed, what was there comes back.

    One at a time: the caller holds a lock.
    """
    _restore(folder)
    draft = folder.with_name(f"{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    if folder.exists():
        shutil.copytree(folder, draft, symlinks=True)
    else:
        draft.mkdir(parents=True)
    draft.rename(_before(folder))  # all of it, or it is not there
    try:
        yield
    except BaseException:
        _restore(folder)
        raise
    _before(folder).rename(draft)
    shutil.rmtree(draft, ignore_errors=True)


def _before(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.before")


def _restore(folder: Path) -> None:
    if is_half_written(folder):
        shutil.rmtree(folder, ignore_errors=True)
        _before(folder).rename(folder)
