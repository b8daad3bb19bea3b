"""Which files make an app what it is, and whether they changed: `--reload`.

Polled: a look at a few hundred files costs a millisecond, works on every file system, and needs no
dependency. It changes with what counts as a source.
"""

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["CLIENT", "Sources", "assets_of", "files_below"]

SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "dist"})
ENVIRONMENT = "pyvenv.cfg"  # in the folder of one, whatever its name
MODULES = (".jac", ".py")
CLIENT = (".jac", ".js", ".jsx", ".ts", ".tsx", ".css", ".scss")
"""What the pages of an app are bundled from, beside its assets."""


class Sources:
    """The modules of an app, what its pages are bundled from, and the jac.toml files."""

    def __init__(self, folder: Path, project: Path, files: tuple[Path, ...]) -> None:
        """Remember how they are now.

        Args:
            folder: searched with everything below it.
            project: has the assets; it may be above that, and of any size.
            files: configuration files, wherever they are; they need not exist.
        """
        self._folder = folder
        self._project = project
        self._files = files
        self._seen = self._look()

    def changed(self) -> list[Path]:
        """Return what was saved, made or removed since the last look."""
        now = self._look()
        before, self._seen = self._seen, now
        return sorted(path for path in before | now if before.get(path) != now.get(path))

    def _look(self) -> dict[Path, tuple[int, int, int]]:
        found: dict[Path, tuple[int, int, int]] = {}
        sources = files_below(self._folder, (*MODULES, *CLIENT))
        for file in (*sources, *assets_of(self._project), *self._files):
            try:
                stat = file.stat()
            except OSError:
                continue  # not there, or gone between the two looks: the next one settles it
            found[file] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        return found


def assets_of(project: Path) -> Iterator[Path]:
    """Yield the files that pages may have in their bundle, whatever their names."""
    return files_below(project / "assets", ("",))


def files_below(folder: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    """Yield files, but none of a hidden folder, of an environment, or of a build."""
    for place, folders, names in os.walk(folder):
        if ENVIRONMENT in names:
            folders.clear()
            continue
        folders[:] = [name for name in folders if name[0] != "." and name not in SKIPPED]
        yield from (Path(place, name) for name in names if name.endswith(endings))
