"""A folder that is written anew has all of before or all that is new, whoever is killed."""

from pathlib import Path

import pytest

from jac_converge.app_runtime.bridge.replacing import is_half_written, replacing


class Killed(BaseException):
    """As a process is."""


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """Give a folder with something in it."""
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "old.js").write_text("old")
    return folder


def names(folder: Path) -> list[str]:
    """Return what is in it, and beside it."""
    return sorted(str(path.relative_to(folder.parent)) for path in folder.parent.rglob("*"))


def empty(folder: Path) -> None:
    """Begin as Vite does."""
    (folder / "old.js").unlink(missing_ok=True)
    folder.mkdir(exist_ok=True)
    (folder / "half.js").write_text("ha")


def test_what_is_new_replaces_what_was(dist: Path) -> None:
    """And nothing is left beside it."""
    with replacing(dist):
        assert is_half_written(dist)
        empty(dist)
    assert not is_half_written(dist)
    assert ["dist", "dist/half.js"] == names(dist)


def fail(folder: Path, error: type[BaseException]) -> None:
    """Begin, and end before the end."""
    empty(folder)
    raise error


@pytest.mark.parametrize("error", [ValueError, Killed])
def test_failure_brings_back_what_was(dist: Path, error: type[BaseException]) -> None:
    """As old as it was, for who asks whether it is up to date."""
    written = (dist / "old.js").stat().st_mtime_ns
    with pytest.raises(error), replacing(dist):
        fail(dist, error)
    assert ["dist", "dist/old.js"] == names(dist)
    assert written == (dist / "old.js").stat().st_mtime_ns


def test_half_of_a_first_one_does_not_stay(tmp_path: Path) -> None:
    """Nobody is to take it for a whole."""
    dist = tmp_path / "dist"
    with pytest.raises(ValueError), replacing(dist):  # noqa: PT011 - it is ours
        fail(dist, ValueError)
    assert ["dist"] == names(dist)


def test_next_one_brings_back_what_a_killed_one_left(dist: Path) -> None:
    """Which could do nothing about it."""
    killed = replacing(dist)
    killed.__enter__()  # and never left
    empty(dist)
    assert is_half_written(dist)
    with pytest.raises(ValueError), replacing(dist):  # noqa: PT011 - it is ours
        fail(dist, ValueError)
    assert ["dist", "dist/old.js"] == names(dist)
