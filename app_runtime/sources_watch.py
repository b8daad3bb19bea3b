"""Which files make an app what it is, and whether they changed: `--reload`.

Polled: a look at a few hundred files costs a millisecond, works on every file system, and needs no
dependency. It changes with what counts as a source.
"""

import os
from pathlib import Path

__all__ = ["Sources"]

SKIPPED = frozenset({"node_modules", "__pycache__", "venv"})


class Sources:
    """The .jac files and the jac.toml files of a project."""

    def __init__(self, folder: Path, files: tuple[Path, ...]) -> None:
        """Remember how they are now.

        Args:
            folder: searched with everything below it, but no hidden folder and no environment.
            files: configuration files, wherever they are; they need not exist.
        """
        self._folder = folder
        self._files = files
        self._seen = self._look()

    def changed(self) -> list[Path]:
        """Return what was saved, made or removed since the last look."""
        now = self._look()
        before, self._seen = self._seen, now
        return sorted(path for path in before | now if before.get(path) != now.get(path))

    def _look(self) -> dict[Path, tuple[int, int, int]]:
        found: dict[Path, tuple[int, int, int]] = {}
        for folder, folders, names in os.walk(self._folder):
            folders[:] = [name for name in folders if name[0] != "." and name not in SKIPPED]
            for name in names:
                if name.endswith(".jac"):
                    self._note(Path(folder, name), found)
        for file in self._files:
            self._note(file, found)
        return found

    @staticmethod
    def _note(file: Path, found: dict[Path, tuple[int, int, int]]) -> None:
        try:
            stat = file.stat()
        except OSError:
            return  # not there, or gone between the two looks: the next one settles it
        found[file] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
