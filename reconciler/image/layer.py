"""Files -> the bytes of one layer, the same bytes for the same files. Pure.

What a file system adds by itself is left out or fixed: times, order, owners, and of permissions all
but whether a file may be run. It changes when a layer has to hold something more.

Source: OCI image specification, layer.md.
"""

import gzip
import hashlib
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Final

__all__ = ["Entry", "Layer", "Owner", "write_layer"]

TIME: Final = 315532800
"""1980-01-01, the first moment that every archive format can tell."""

type Owner = tuple[int, int]
"""Numbers of user and group."""

ROOT: Final[Owner] = (0, 0)

COMPRESSION: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a layer; the folders above it come by themselves."""

    open: Callable[[], BinaryIO]
    size: int
    """bytes"""
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One written layer."""

    digest: str
    """Of the compressed bytes."""
    size: int
    """bytes, compressed"""
    diff_id: str
    """Digest of the bytes before they are compressed."""


def write_layer(
    entries: Mapping[str, Entry],
    out: BinaryIO,
    *,
    owner: Owner = ROOT,
    folders: Iterable[str] = (),
) -> Layer:
    """Write a gzipped tar.

    Args:
        entries: absolute path in the image -> file.
        out: is written to.
        owner: of these folders, and of all in them; the rest is root's.
        folders: absolute paths, there even when they are empty.

    >>> import io
    >>> hello = Entry(open=lambda: io.BytesIO(b"hello"), size=5)
    >>> write_layer({"/a/b": hello}, io.BytesIO()).diff_id[:19]
    'sha256:6a7a0ed41ef1'
    """
    owned = {PurePosixPath(folder) for folder in folders}
    compressed = _Hashing(out)
    with gzip.GzipFile("", "wb", COMPRESSION, compressed, mtime=0) as zipped:
        plain = _Hashing(zipped)  # type: ignore[arg-type]
        with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
            files = {PurePosixPath(path): entry for path, entry in entries.items()}
            for path in sorted(files.keys() | _folders_above(files, owned)):
                entry = files.get(path)
                theirs = path in owned or not owned.isdisjoint(path.parents)
                info = _header(path, entry, owner if theirs else ROOT)
                if entry is None:
                    tar.addfile(info)
                    continue
                with entry.open() as content:
                    tar.addfile(info, content)
    return Layer(digest=compressed.digest, size=compressed.size, diff_id=plain.digest)


class _Hashing:
    """A file that is only written to, and knows the digest of what was written."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, content: bytes) -> int:
        self._hash.update(content)
        self.size += len(content)
        self._out.write(content)
        return len(content)

    def flush(self) -> None:
        self._out.flush()


def _folders_above(files: Iterable[PurePosixPath], owned: set[PurePosixPath]) -> set[PurePosixPath]:
    above = owned.union(*(path.parents for path in (*files, *owned)))
    return above - {PurePosixPath("/")}


def _header(path: PurePosixPath, entry: Entry | None, owner: Owner) -> tarfile.TarInfo:
    info = tarfile.TarInfo(str(path).removeprefix("/"))
    info.mtime = TIME
    info.uid, info.gid = owner
    if entry is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    else:
        info.size, info.mode = entry.size, 0o755 if entry.executable else 0o644
    return info
