"""Images on demand: an app that names one costs nothing here, not even an import.

It changes when something else than a missing image asks for a build.
"""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from jac_converge.config.load import App, Problem
from jac_converge.reconciler.platforms import Platform

if TYPE_CHECKING:
    from jac_converge.reconciler.image.imaging import Imaging

__all__ = ["Images", "Parse"]

type Parse = Callable[[Path], list[Problem]]


class Images:
    """The images of one app; nothing is loaded before one has to be built.

    Args:
        platform: recognises the cluster, once that matters.
        context: of the kubeconfig, as it was pinned.
        parse: finds what is wrong with the app's own file.
        stop: ends every wait.
        stamp: what each line begins with.
    """

    def __init__(
        self,
        platform: Callable[[], Platform],
        *,
        context: str,
        parse: Parse,
        stop: Event,
        stamp: Callable[[], str] = str,
    ) -> None:
        self._platform = platform
        self._context = context
        self._parse = parse
        self._stop = stop
        self._stamp = stamp
        self._imaging: Imaging | None = None

    def built(self, app: App) -> App:
        """Give an app an image, unless it names one.

        Raises:
            ConfigError: it cannot be built, or there is nowhere to bring it.
            ClusterError: the base image, or a package, cannot be had.
        """
        if app.settings.kubernetes.image is not None:
            return app
        if self._imaging is None:
            from jac_converge.reconciler.image.imaging import Imaging  # noqa: PLC0415 - as said

            self._imaging = Imaging(
                self._platform,
                context=self._context,
                parse=self._parse,
                stop=self._stop,
                stamp=self._stamp,
            )
        return self._imaging.built(app)

    def bring(self, reference: str, say: Callable[[str], None]) -> None:
        """See to it that the cluster finds an image, if it was built here.

        Raises:
            ClusterError: it cannot be pushed or loaded.
        """
        if self._imaging is not None:
            self._imaging.bring(reference, say)
