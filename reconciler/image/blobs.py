"""Blobs on this machine, by digest, outside of every tree: downloaded and built only once.

A blob is there whole or not at all, and is what its name says. It changes when something else has
to be remembered between two runs.
"""

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.image.disk import disk_refusals

__all__ = ["Blobs", "cache_folder"]

CHUNK = 1 << 20
"""bytes"""


def cache_folder(environ: dict[str, str]) -> Path:
    """The folder of everything that can be made anew."""
    if base := environ.get("XDG_CACHE_HOME"):
        return Path(base, "jac-converge")
    if sys.platform == "win32" and (local := environ.get("LOCALAPPDATA")):
        return Path(local, "jac-converge", "cache")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "jac-converge"
    return Path.home() / ".cache" / "jac-converge"


class Blobs:
    """The blobs below one folder, and small notes about them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """Where a blob is, or would be."""
        return self.folder / "blobs" / digest.replace(":", "-")

    def read(self, digest: str) -> bytes | None:
        """Give a small blob whole; None if it is not here, or not what it was."""
        with self._told():
            try:
                content = self.path(digest).read_bytes()
            except FileNotFoundError:
                return None
        return content if digest == f"sha256:{hashlib.sha256(content).hexdigest()}" else None

    def whole(self, digest: str, size: int) -> bool:
        """Whether a blob is here, and none that a crash or a full disk cut short."""
        with self._told():
            try:
                return self.path(digest).stat().st_size == size
            except FileNotFoundError:
                return False

    def sound(self, digest: str, size: int, subject: str) -> Path:
        """Where a blob is that was here before.

        Raises:
            Invalid: it is gone, or cut short.
        """
        if not self.whole(digest, size):
            advice = f"delete {self.folder}, which is made anew, and run this again"
            raise Invalid(subject, f"{self.path(digest)} is not as it was written", advice)
        return self.path(digest)

    def keep(self, digest: str, chunks: Iterable[bytes], *, subject: str) -> Path:
        """Store a blob under the digest that it is said to have.

        Raises:
            Invalid: it has another one.
        """
        seen = hashlib.sha256()
        with self.writing() as (out, rename):
            for chunk in chunks:
                seen.update(chunk)
                out.write(chunk)
            if digest != f"sha256:{seen.hexdigest()}":
                cause = f"sha256:{seen.hexdigest()} came for {digest}"
                raise Invalid(subject, cause, "the copy is damaged; get it again")
            return rename(digest)

    @contextmanager
    def writing(self) -> Iterator[tuple[BinaryIO, Callable[[str], Path]]]:
        """Write a blob whose digest is known at its end: call the function with it.

        What is not named is dropped.
        """
        folder = self.folder / "blobs"
        with self._told():
            folder.mkdir(parents=True, exist_ok=True)
            new = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed below
                dir=folder, prefix=".new-", delete=False
            )
        out = Path(new.name)

        def rename(digest: str) -> Path:
            with self._told():
                new.close()
                out.replace(self.path(digest))
            return self.path(digest)

        try:
            yield _Out(new, self._told), rename  # type: ignore[misc, arg-type]
        finally:
            # On a full disk the rest of it cannot be written, and is dropped all the same.
            with suppress(OSError):
                new.close()
            out.unlink(missing_ok=True)

    def note(self, name: str, text: str) -> None:
        """Remember a small thing under a name."""
        path = self.folder / "notes" / name
        new = path.with_name(f".{path.name}-{os.getpid()}")
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                new.write_text(text, encoding="utf-8")
                new.replace(path)
            finally:
                new.unlink(missing_ok=True)

    def noted(self, name: str, *, within: float | None = None) -> str | None:
        """What was remembered under it; None: nothing, or not within so many seconds."""
        path = self.folder / "notes" / name
        with self._told():
            try:
                if within is not None and time.time() - path.stat().st_mtime > within:
                    return None
                return path.read_text(encoding="utf-8")
            except (FileNotFoundError, UnicodeError):
                return None

    def _told(self) -> AbstractContextManager[None]:
        advice = f"{self.folder} may be deleted at any time, and XDG_CACHE_HOME names another place"
        return disk_refusals("image build", near=self.folder, advice=advice)


class _Out:
    """A file of ours that is written: what it refuses is told of it, and not of what is read."""

    def __init__(self, file: BinaryIO, told: Callable[[], AbstractContextManager[None]]) -> None:
        self._file = file
        self._told = told

    def write(self, content: bytes) -> int:
        with self._told():
            return self._file.write(content)

    def flush(self) -> None:
        with self._told():
            self._file.flush()


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """Read a file piece by piece."""
    while chunk := file.read(CHUNK):
        yield chunk
