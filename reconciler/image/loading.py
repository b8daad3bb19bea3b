"""An image -> a cluster of this machine, by the tools of that cluster.

It changes when such a tool is to be spoken to in another way.
"""

import logging
import re
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event
from typing import Final

from jac_converge.reconciler.errors import ClusterError, Invalid
from jac_converge.reconciler.image.archive import write_archive
from jac_converge.reconciler.image.destination import LocalCluster
from jac_converge.reconciler.image.production import Made
from jac_converge.reconciler.image.programs import run

__all__ = ["load_archive", "load_built"]

logger = logging.getLogger(__name__)

_TIDYING: Final = 5.0
"""Seconds that removing a copy may take: there is somebody who waits for our end."""

_LACKS: Final = re.compile(r"\bsha256:\S+ not found")
"""What `ctr image import` says, and who hands its words on, of a layer that is nowhere: `content
digest sha256:...: not found`."""


def load_built(local: LocalCluster, reference: str, made: Made, *, stop: Event) -> None:
    """Load an image that was built here; of its layers, the top one alone where that is enough.

    Args:
        local: where to.
        reference: name that the image gets there.
        made: the image.
        stop: ends it.

    Raises:
        Invalid: a tool is missing, or failed; there is no room for the archive.
        Interrupted: we were told to end meanwhile.
    """
    write = partial(write_archive, made.image, reference, made.layer)
    if not local.adds_layers:
        load_archive(local, reference, write, stop=stop)
        return
    try:
        # Mostly only the app has changed, and the rest takes seconds to be read again.
        load_archive(local, reference, partial(write, top_only=True), stop=stop)
    except Invalid as error:
        # A tool that fails for another reason would only say it once more.
        if not _LACKS.search(error.cause):
            raise
        load_archive(local, reference, write, stop=stop)


def load_archive(
    local: LocalCluster, reference: str, write: Callable[[Path], None], *, stop: Event
) -> None:
    """Write an archive, load it, and leave nothing behind of it.

    Args:
        local: where to.
        reference: name of the image.
        write: writes the archive to a path.
        stop: ends it.

    Raises:
        Invalid: a tool is missing, or failed.
        Interrupted: we were told to end meanwhile.
    """
    subject = f"{reference} load"
    with tempfile.TemporaryDirectory(prefix="jac-converge-") as folder:
        archive = Path(folder, "image.tar")
        write(archive)
        try:
            for command in local.loading(archive):
                run(command, subject, stop=stop, failure=local.failure)
        finally:
            for command in local.cleaning(archive):
                _tidy(command, subject)


def _tidy(command: tuple[str, ...], subject: str) -> None:
    """Run what removes a copy, even where we were told to end, and for that reason not for long."""
    try:
        run(command, subject, stop=Event(), patience=_TIDYING)
    except ClusterError as error:
        # What went wrong before is worth telling; what is left here goes with a restart.
        logger.debug("a copy of the archive stays behind: %s", error)
