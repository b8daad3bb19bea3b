"""The configuration on disk while the loop runs: noticed when it changes, kept when it breaks.

Editors replace the file instead of writing into it, so paths are looked at, not open files. A file
that cannot be used changes nothing: the last good one stays in force. One that is perhaps only half
written, because it cannot be used or is smaller than it was, has to stand a while before it counts;
and so have the sources of an image, of which somebody may be about to save the next.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from jac_converge.config.load import App, ConfigError, Problem
from jac_converge.reconciler.errors import ClusterError
from jac_converge.reconciler.images import Images

__all__ = ["Source"]

type Bring = Callable[[str, Callable[[str], None]], None]

type _Signature = tuple[tuple[int, ...] | None, ...]

STANDS: Final = 0.2
"""Seconds without another write, after which a file is no longer taken for a half-written one."""


LONGEST: Final = 5.0
"""Seconds after which sources count that somebody writes to without a pause, such as a log."""


class Source:
    """The last good configuration of one app.

    Args:
        load: reads everything anew; raises ConfigError.
        parse: finds what is wrong with the app's own file.
        clock: monotonic seconds.

    Raises:
        ConfigError: there is no good configuration to begin with.
    """

    def __init__(
        self,
        load: Callable[[], App],
        *,
        parse: Callable[[Path], list[Problem]] = lambda _: [],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._parse = parse
        self._clock = clock
        self.bring: Bring = lambda _image, _say: None
        """Sees to it that the cluster finds an image that was built here; says what it does."""
        self.app = load()
        self.problem: ConfigError | ClusterError | None = None
        """Why the files as they are now cannot be used."""
        # What was read may have changed since, so the first look reads once more.
        self._signature: _Signature | None = None
        self._seen: _Signature | None = None
        """As the files were at the latest look, and since when."""
        self._since = 0.0
        self._configured: tuple[Path, ...] = self.app.files
        """Those of its files that are not only built into an image."""
        self._moving: float | None = None
        """Since when they are others than what was read."""

    def build_with(self, images: Images) -> None:
        """From now on, an app that names no image gets one that is built here.

        Raises:
            ConfigError: as `Images.built` does.
            ClusterError: as `Images.built` does.
        """
        load = self._load

        def built() -> App:
            app = load()
            self._configured = app.files
            return images.built(app)

        self.app = images.built(self.app)
        self.bring = images.bring
        self._load = built

    def check_code(self) -> None:
        """Parse the app's own file: what cannot run is not deployed.

        Raises:
            ConfigError: it cannot be parsed.
        """
        if problems := self._parse(self.app.file):
            raise ConfigError(*problems)

    def poll(self) -> bool:
        """Look whether a file changed; load it if so.

        Returns:
            Whether `app` or `problem` is another one now.
        """
        signature = _signature(self.app.files)
        if signature == self._signature:
            self._moving = None
            return False
        now = self._clock()
        if signature != self._seen:
            self._seen, self._since = signature, now
        self._moving = now if self._moving is None else self._moving
        if self._perhaps_halfway(signature) and not self._stands:
            return False
        self._moving = None
        try:
            app, problem = self._read()
        except Exception:
            # A mistake of ours is told once, not at each look.
            self._signature = signature
            raise
        if problem and not (self._stands and signature == _signature(self.app.files)):
            return False
        before = (self.app, self.problem)
        self._signature, self.app, self.problem = signature, app, problem
        return (self.app, self.problem) != before

    def _perhaps_halfway(self, signature: _Signature) -> bool:
        """Whether somebody may be about to write more."""
        if self._signature is None:
            return False
        if _is_smaller(signature, self._signature):
            return True
        # The configuration comes first among the files.
        sources = len(self._configured)
        changed = signature[sources:] != self._signature[sources:]
        started = self._clock() if self._moving is None else self._moving
        return changed and self._clock() - started < LONGEST

    @property
    def _stands(self) -> bool:
        return self._clock() - self._since >= STANDS

    def _read(self) -> tuple[App, ConfigError | ClusterError | None]:
        """What is in force from now on, and why that is not what the files say."""
        try:
            app = self._load()
        except (ConfigError, ClusterError) as problem:
            return self.app, problem
        if obstacle := _unusable(self.app, app):
            return self.app, ConfigError(obstacle)
        return app, None


def _unusable(before: App, app: App) -> Problem | None:
    """What keeps a good configuration from taking the place of the one before."""
    if before.configured and not app.configured:
        return app.problem(
            "converge",
            "the table is gone; nothing is changed or deleted for that: restore it, "
            "or run jac scale --destroy",
        )
    for key, was, now in (
        ("app_name", before.name, app.name),
        ("namespace", before.namespace, app.namespace),
        ("context", before.settings.kubernetes.context, app.settings.kubernetes.context),
    ):
        if was != now:
            return app.problem(
                f"converge.kubernetes.{key}",
                f'was "{was or ""}" when this began, and names another app or place now; '
                "put it back, or end this and begin again",
            )
    return None


def _signature(files: tuple[Path, ...]) -> _Signature:
    return tuple(_stat(file) for file in files)


def _is_smaller(now: _Signature, before: _Signature | None) -> bool:
    """Whether a file lost something: an editor may have truncated it, and be about to go on."""
    pairs = zip(now, before or (), strict=False)
    return any(new is not None and old is not None and new[1] < old[1] for new, old in pairs)


def _stat(file: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - looked at some hundred times a second
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode)
