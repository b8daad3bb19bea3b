"""What every kind of storage can do with files. It changes when one has to do more.

Keys are checked (`keys.py`), and the first part of each is a folder that the app named, never a
client.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["PIECE", "Blobs", "FilesDown", "Info", "NoSuchFile", "Reading", "Source"]

PIECE = 256 * 1024  # bytes that are in memory at once, where nobody needs more


class NoSuchFile(FileNotFoundError):
    """There is no file of this name."""


class FilesDown(Exception):
    """The storage does not do its part; the text is for the operator."""


class Source(Protocol):
    """Where the content of a file comes from."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most so many; none at the end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What is known of a file, or a folder."""

    size: int = 0
    """Bytes."""
    modified: float = 0.0
    """Seconds since the epoch."""
    created: float = 0.0
    """The same; where nobody knows it, that of the last change."""
    etag: str = ""
    """Another one when the content is another, with quotes."""
    folder: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What the app said about it, as `metadata.py` checked it."""


class Reading(Protocol):
    """A file that is open; it stays what it is, whatever becomes of its name."""

    info: Info

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from one place up to another, piece by piece; once.

        Raises:
            NoSuchFile: it was replaced or removed meanwhile.
            FilesDown: the storage failed.
        """
        ...

    def close(self) -> None:
        """Let go of it; idempotent."""
        ...


class Blobs(Protocol):
    """Files by key. Every method may wait, and raise `FilesDown`."""

    def write(
        self,
        key: str,
        source: Source,
        *,
        metadata: Mapping[str, str],
        go_on: Callable[[], None],
    ) -> None:
        """Store a file, as a whole or not at all; one of the same key is replaced.

        Args:
            key: of the file.
            source: read to its end, piece by piece.
            metadata: checked; it is there as soon as the file is, and goes with it.
            go_on: called between pieces; what it raises ends it, and leaves nothing.

        Raises:
            BadKey: a folder has this name, or a file that of a folder.
        """
        ...

    def open(self, key: str) -> Reading:
        """Open a file.

        Raises:
            NoSuchFile: there is none.
        """
        ...

    def info(self, key: str) -> Info | None:
        """Tell what is known of a file or folder; None: there is none."""
        ...

    def remove(self, key: str) -> bool:
        """Remove a file, or a folder with all that is in it; False: there was none."""
        ...

    def names(self, folder: str, *, recursive: bool) -> Iterator[str]:
        """Yield the keys of what is in a folder: files and folders, or all files below it."""
        ...

    def copy(self, key: str, to: str) -> bool:
        """Copy a file; False: there is none."""
        ...

    def move(self, key: str, to: str) -> bool:
        """Give a file another key; False: there is none."""
        ...

    def url(self, key: str, *, seconds: int, disposition: str) -> str | None:
        """Return a URL of the storage's own for a file; None: clients do not reach it."""
        ...

    def close(self) -> None:
        """Let go of it; idempotent."""
        ...
