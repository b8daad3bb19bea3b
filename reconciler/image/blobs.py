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
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from jac_converge.reconciler.errors import Invalid

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
        """Give a small blob whole; None if it is not here."""
        try:
            return self.path(digest).read_bytes()
        except FileNotFoundError:
            return None

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
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".new-", delete=False) as out:

            def rename(digest: str) -> Path:
                out.close()
                Path(out.name).replace(self.path(digest))
                return self.path(digest)

            try:
                yield out, rename  # type: ignore[misc]
            finally:
                out.close()
                Path(out.name).unlink(missing_ok=True)

    def note(self, name: str, text: str) -> None:
        """Remember a small thing under a name."""
        path = self.folder / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}-{os.getpid()}")
        new.write_text(text, encoding="utf-8")
        new.replace(path)

    def noted(self, name: str, *, within: float | None = None) -> str | None:
        """What was remembered under it; None: nothing, or not within so many seconds."""
        path = self.folder / "notes" / name
        try:
            if within is not None and time.time() - path.stat().st_mtime > within:
                return None
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """Read a file piece by piece."""
    while chunk := file.read(CHUNK):
        yield chunk
