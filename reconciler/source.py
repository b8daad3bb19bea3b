"""The configuration on disk while the loop runs: noticed when it changes, kept when it breaks.

Editors replace the file instead of writing into it, so paths are looked at, not open files. A file
that cannot be used changes nothing: the last good one stays in force.
"""

import os
from collections.abc import Callable
from pathlib import Path

from jac_converge.config.load import App, ConfigError, Problem
from jac_converge.reconciler.errors import ClusterError
from jac_converge.reconciler.images import Images

__all__ = ["Source"]

type Bring = Callable[[str, Callable[[str], None]], None]

type _Signature = tuple[tuple[int, int, int] | None, ...]


class Source:
    """The last good configuration of one app.

    Args:
        load: reads everything anew; raises ConfigError.
        parse: finds what is wrong with the app's own file.

    Raises:
        ConfigError: there is no good configuration to begin with.
    """

    def __init__(
        self, load: Callable[[], App], *, parse: Callable[[Path], list[Problem]] = lambda _: []
    ) -> None:
        self._load = load
        self._parse = parse
        self.bring: Bring = lambda _image, _say: None
        """Sees to it that the cluster finds an image that was built here; says what it does."""
        self.app = load()
        self.problem: ConfigError | ClusterError | None = None
        """Why the files as they are now cannot be used."""
        # What was read may have changed since, so the first look reads once more.
        self._signature: _Signature | None = None

    def build_with(self, images: Images) -> None:
        """From now on, an app that names no image gets one that is built here.

        Raises:
            ConfigError: as `Images.built` does.
            ClusterError: as `Images.built` does.
        """
        load = self._load
        self.app = images.built(self.app)
        self.bring = images.bring
        self._load = lambda: images.built(load())

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
            return False
        self._signature = signature
        before = (self.app, self.problem)
        try:
            app = self._load()
        except (ConfigError, ClusterError) as problem:
            self.problem = problem
        else:
            obstacle = _unusable(self.app, app)
            self.problem = ConfigError(obstacle) if obstacle else None
            self.app = self.app if obstacle else app
        return (self.app, self.problem) != before


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


def _stat(file: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - looked at some hundred times a second
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
