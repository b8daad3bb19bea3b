"""The configuration on disk while the loop runs: noticed when it changes, kept when it breaks.

Editors replace the file instead of writing into it, so paths are looked at, not open files. A file
that cannot be used changes nothing: the last good one stays in force.
"""

from collections.abc import Callable
from pathlib import Path

from jac_converge.config.load import App, ConfigError, Problem

__all__ = ["Source"]

type _Signature = tuple[tuple[int, int, int] | None, ...]


class Source:
    """The last good configuration of one app.

    Args:
        load: reads everything anew; raises ConfigError.

    Raises:
        ConfigError: there is no good configuration to begin with.
    """

    def __init__(self, load: Callable[[], App]) -> None:
        self._load = load
        self.app = load()
        self.problem: ConfigError | None = None
        """Why the files as they are now cannot be used."""
        # What was read may have changed since, so the first look reads once more.
        self._signature: _Signature | None = None

    def poll(self) -> bool:
        """Look whether a file changed; load it if so.

        Returns:
            Whether `app` or `problem` is another one now.
        """
        signature = _signature(self.app.files)
        if signature == self._signature:
            return False
        self._signature = signature
        before = (self.app, self.problem)
        try:
            app = self._load()
        except ConfigError as problem:
            self.problem = problem
        else:
            emptied = self.app.configured and not app.configured
            self.problem = ConfigError(_emptied(app)) if emptied else None
            self.app = self.app if emptied else app
        return (self.app, self.problem) != before


def _emptied(app: App) -> Problem:
    return Problem(
        file=str(app.files[0]) if app.files else None,
        line=None,
        key="converge",
        message="the table is gone; nothing is changed or deleted for that: restore it, "
        "or run jac scale --destroy",
    )


def _signature(files: tuple[Path, ...]) -> _Signature:
    return tuple(_stat(file) for file in files)


def _stat(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
