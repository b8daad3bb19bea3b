"""What a disk refuses -> one of our errors, with the path and what to do about it.

Any other error is taken for a mistake of ours: it ends a run with a traceback, and a watch tries
again without end. It changes when a file system has another way to say no.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from jac_converge.reconciler.errors import Invalid

__all__ = ["disk_refusals"]

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

_DENIED: Final = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def disk_refusals(subject: str, *, near: Path | None = None, advice: str = "") -> Iterator[None]:
    """Raise what the disk refuses as an error that names the path.

    Args:
        subject: what could not be done: `image build`.
        near: is named where the system does not say which file it was, as of a write.
        advice: what else helps; may be empty.

    Raises:
        Invalid: the disk is full, or something there may not be read or written.
    """
    try:
        yield
    except ConnectionError:
        # Of a pipe or a socket: whoever reads us is gone.
        raise
    except OSError as exc:
        full = exc.errno in _FULL
        # Of a copy, both are named, and the second is what grows.
        named = (exc.filename2 or exc.filename) if full else exc.filename
        path = os.fsdecode(named) if isinstance(named, str | bytes) else near
        cause = exc.strerror or str(exc)
        ways = (_fix(exc.errno), advice)
        raise Invalid(
            subject, f"{path}: {cause}" if path else cause, "; ".join(filter(None, ways))
        ) from exc


def _fix(number: int | None) -> str:
    if number in _FULL:
        return "make room there"
    if number in _DENIED:
        return "give the user that runs this the right to it"
    return ""
