"""What an app says about a file on disk: in a small file beside it, in a hidden folder.

That one is written first, and its name has the stamp of the content that it is about. So whoever
opens a file finds what belongs to it, or to the file of before, wherever a writer was killed; what
such a one leaves is found by nobody, and goes a day later. It changes with how that is kept.
"""

import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

__all__ = ["FORGOTTEN", "forget", "keep", "look", "mark", "stamp_of", "sweep"]

ABOUT = ".about"
FORGOTTEN = 86400.0  # s after which what somebody began to write is nobody's
LONGEST = 16 * 1024  # bytes of one
PRIVATE_FOLDER, PRIVATE = 0o700, 0o600
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
WRITING = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


def stamp_of(found: os.stat_result) -> str:
    """Return what tells one content of a file from another."""
    return f"{found.st_mtime_ns:x}-{found.st_size:x}"


def mark(descriptor: int) -> str:
    """Give new content a stamp of its own; the clock of a file system may stand for milliseconds.

    Returns:
        The stamp, as the file system keeps it.
    """
    now = time.time_ns() // 1000 * 1000 + secrets.randbelow(1000)
    os.utime(descriptor, ns=(now, now))
    return stamp_of(os.fstat(descriptor))


def keep(folder: int, name: str, stamp: str, metadata: Mapping[str, str]) -> None:
    """Write what is said about content that has not its name yet.

    Args:
        folder: descriptor of that in which it will be.
        name: that it will have.
        stamp: of the content.
        metadata: said about it; nothing: nothing is written.
    """
    if not metadata:
        return
    with suppress(FileExistsError):
        os.mkdir(ABOUT, PRIVATE_FOLDER, dir_fd=folder)
    with _about(folder) as about:
        descriptor = os.open(f"{name}~{stamp}", WRITING, PRIVATE, dir_fd=about)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(dict(metadata), file)
            file.flush()
            os.fsync(descriptor)
        os.fsync(about)


def look(folder: int, name: str, stamp: str) -> dict[str, str] | None:
    """Read what is said about content; None: nothing, or it has just gone with its content."""
    try:
        with _about(folder) as about:
            descriptor = os.open(f"{name}~{stamp}", READING, dir_fd=about)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file, suppress(TypeError, ValueError):
        found = json.loads(file.read(LONGEST))
        return {str(key): str(value) for key, value in dict(found).items()}
    return None  # somebody else wrote it


def forget(folder: int, name: str, stamp: str) -> None:
    """Remove what is said about content that has its name no more."""
    with suppress(FileNotFoundError), _about(folder) as about:
        os.unlink(f"{name}~{stamp}", dir_fd=about)


def sweep(folder: int) -> None:
    """Remove what killed writers left long ago."""
    with suppress(FileNotFoundError), _about(folder) as about:
        _sweep(folder, about)


def _sweep(folder: int, about: int) -> None:
    for entry in os.listdir(about):
        name, _, stamp = entry.rpartition("~")
        with suppress(FileNotFoundError):
            old = time.time() - os.stat(entry, dir_fd=about).st_mtime > FORGOTTEN
            if old and not _has(folder, name, stamp):
                os.unlink(entry, dir_fd=about)


def _has(folder: int, name: str, stamp: str) -> bool:
    """Say whether content is there that something is said about."""
    with suppress(FileNotFoundError):
        return stamp_of(os.stat(name, dir_fd=folder, follow_symlinks=False)) == stamp
    return False


@contextmanager
def _about(folder: int) -> Iterator[int]:
    descriptor = os.open(ABOUT, FOLDER, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
