"""Files in folders of this machine.

A file is written beside the others under a hidden name, and gets its own when it is whole. Folders
are opened one by one, and none by a link, so no name leads out of them; only the first one, which
the operator may keep elsewhere, may be a link. It changes with how a file gets on the disk.
"""

import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from jac_converge.app_runtime.files import sidecars
from jac_converge.app_runtime.files.blobs import PIECE, FilesDown, Info, NoSuchFile, Source
from jac_converge.app_runtime.files.keys import BadKey
from jac_converge.app_runtime.files.sidecars import FORGOTTEN, stamp_of

__all__ = ["DiskFiles"]

PARTS = ".parts"
GONE = "gone-"
"""How the name begins, among the parts, of a folder that is being removed."""
TRIES = 100  # to write into a folder that others remove again and again
MOST_SWEPT = 10_000  # folders that are remembered
FOLDER = os.O_RDONLY | os.O_DIRECTORY
WRITING = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
PRIVATE_FOLDER, PRIVATE = 0o700, 0o600


class DiskFiles:
    """The files below one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._swept: set[str] = set()

    def write(
        self,
        key: str,
        source: Source,
        *,
        metadata: Mapping[str, str],
        go_on: Callable[[], None],
    ) -> None:
        """Store a file."""
        *folder, name = key.split("/")
        part = secrets.token_hex(8)
        with self._telling(key), self._folder([folder[0], PARTS], make=True) as parts:
            self._sweep_once(folder[0])
            try:
                with open(part, "wb", opener=_at(parts, WRITING)) as file:
                    while piece := source.read(PIECE):
                        go_on()
                        file.write(piece)
                    file.flush()
                    stamp = sidecars.mark(file.fileno())
                    os.fsync(file.fileno())
                go_on()
                for left in reversed(range(TRIES)):
                    try:
                        with self._in(folder, name, stamp, metadata) as there:
                            os.replace(part, name, src_dir_fd=parts, dst_dir_fd=there)
                        break
                    except FileNotFoundError:  # somebody has just removed the folder
                        if not left:
                            raise
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(part, dir_fd=parts)
                raise

    @contextmanager
    def _in(
        self, folder: Sequence[str], name: str, stamp: str, metadata: Mapping[str, str]
    ) -> Iterator[int]:
        """Open the folder in which content is to get a name, with what is said about it."""
        with self._folder(folder, make=True) as there:
            if metadata and self._first("/".join([*folder, ""])):
                sidecars.sweep(there)
            with _taking(there, name, stamp, metadata):
                yield there

    def open(self, key: str) -> "_Open":
        """Open a file."""
        *folder, name = key.split("/")
        with self._telling(key), self._folder(folder) as there:
            while True:
                descriptor = os.open(name, READING, dir_fd=there)
                try:
                    info = _described(there, name, os.fstat(descriptor))
                except BaseException:
                    os.close(descriptor)
                    raise
                if info is not None:
                    return _Open(key, descriptor, info)
                os.close(descriptor)

    def info(self, key: str) -> Info | None:
        """Tell what is known of a file or folder."""
        *folder, name = key.split("/")
        try:
            with self._telling(key), self._folder(folder) as there:
                while True:
                    found = os.stat(name, dir_fd=there, follow_symlinks=False)
                    if stat.S_ISDIR(found.st_mode):
                        return _info(found, {})
                    if (info := _described(there, name, found)) is not None:
                        return info
        except (NoSuchFile, BadKey):
            return None

    def remove(self, key: str) -> bool:
        """Remove a file or folder; of a link, the link."""
        *folder, name = key.split("/")
        try:
            with self._telling(key), self._folder(folder) as there:
                self._sweep_once(folder[0])
                found = os.stat(name, dir_fd=there, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    self._remove_folder(folder[0], there, name)
                else:
                    os.unlink(name, dir_fd=there)
                    sidecars.forget(there, name, stamp_of(found))
        except (NoSuchFile, BadKey):
            return False
        return True

    def _remove_folder(self, top: str, there: int, name: str) -> None:
        """Remove a folder at once, and then what is in it: no file is left without its metadata."""
        gone = f"{GONE}{secrets.token_hex(8)}"
        with self._folder([top, PARTS], make=True) as parts:
            os.rename(name, gone, src_dir_fd=there, dst_dir_fd=parts)
            os.fsync(there)
            _discard(gone, parts)

    def names(self, folder: str, *, recursive: bool) -> Iterator[str]:
        """Yield what is in a folder; each folder is read when its turn comes."""
        try:
            with self._telling(folder), self._folder(folder.split("/")) as there:
                found = [(one.name, one.is_dir(follow_symlinks=False)) for one in _kept(there)]
        except (NoSuchFile, BadKey):
            return
        for name, is_folder in sorted(found):
            if recursive and is_folder:
                yield from self.names(f"{folder}/{name}", recursive=True)
            else:
                yield f"{folder}/{name}"

    def copy(self, key: str, to: str) -> bool:
        """Copy a file."""
        try:
            reading = self.open(key)
        except (NoSuchFile, BadKey):
            return False
        try:
            source, about = _Pieces(reading.pieces()), reading.info.metadata
            self.write(to, source, metadata=about, go_on=lambda: None)
        finally:
            reading.close()
        return True

    def move(self, key: str, to: str) -> bool:
        """Rename a file."""
        (*folder, name), (*other, new) = key.split("/"), to.split("/")
        found = self.info(key)
        if found is None:
            return False
        if found.folder:
            raise BadKey(f"{key} is a folder; move the files in it")
        if key == to:
            return True
        with (
            self._telling(to),
            self._folder(folder) as there,
            self._folder(other, make=True) as elsewhere,
        ):
            stamp = found.etag.strip('"')
            with _taking(elsewhere, new, stamp, found.metadata):
                os.replace(name, new, src_dir_fd=there, dst_dir_fd=elsewhere)
            os.fsync(there)
            sidecars.forget(there, name, stamp)
        return True

    def url(self, key: str, *, seconds: int, disposition: str) -> None:
        """Give none: a disk answers nobody."""

    def close(self) -> None:
        """Do nothing: nothing is held."""

    @contextmanager
    def _folder(self, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
        """Open a folder, and close it."""
        if make:
            self._root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._root, FOLDER)
        try:
            for depth, part in enumerate(parts):
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, PRIVATE_FOLDER, dir_fd=descriptor)
                flags = FOLDER if depth == 0 else FOLDER | os.O_NOFOLLOW
                below = os.open(part, flags, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _telling(self, key: str) -> Iterator[None]:
        """Tell what the system says in words of ours."""
        try:
            yield
        except NoSuchFile:
            raise
        except FileNotFoundError as error:
            raise NoSuchFile(f"there is no file {key}") from error
        except (NotADirectoryError, IsADirectoryError) as error:
            raise BadKey(f"{key}: a file and a folder cannot have the same name") from error
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise NoSuchFile(f"{key} is a link, and none is followed") from error
            cause = error.strerror or str(error)
            raise FilesDown(f"{self._root}/{key} failed ({cause})") from error

    def _sweep_once(self, top: str) -> None:
        """Remove what killed processes left, before the first change that this one makes."""
        if self._first(top):
            with suppress(FileNotFoundError), self._folder([top, PARTS]) as parts:
                _sweep(parts)

    def _first(self, folder: str) -> bool:
        """Say whether a folder is written to for the first time, as far as is remembered."""
        if folder in self._swept:
            return False
        if len(self._swept) >= MOST_SWEPT:
            self._swept.clear()
        self._swept.add(folder)
        return True


class _Open:
    """One file, by its descriptor."""

    def __init__(self, key: str, descriptor: int, info: Info) -> None:
        self.info = info
        self._key = key
        self._file = os.fdopen(descriptor, "rb", buffering=0)

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield its bytes."""
        left = (self.info.size if stop is None else stop) - start
        try:
            self._file.seek(start)
            while left > 0 and (piece := self._file.read(min(PIECE, left))):
                left -= len(piece)
                yield piece
        except OSError as error:
            raise FilesDown(f"reading {self._key} failed ({error.strerror})") from error

    def close(self) -> None:
        """Close it."""
        self._file.close()


class _Pieces:
    """An iterator of bytes, as something to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def read(self, _: int) -> bytes:
        return next(self._pieces, b"")


def _at(folder: int, flags: int) -> Callable[[str, int], int]:
    return lambda name, _: os.open(name, flags, PRIVATE, dir_fd=folder)


@contextmanager
def _taking(folder: int, name: str, stamp: str, metadata: Mapping[str, str]) -> Iterator[None]:
    """Let content get a name in a folder, with what is said about it, and nothing of before."""
    before: str | None = None
    with suppress(FileNotFoundError):
        before = stamp_of(os.stat(name, dir_fd=folder, follow_symlinks=False))
    try:
        sidecars.keep(folder, name, stamp, metadata)
        yield
    except BaseException:
        sidecars.forget(folder, name, stamp)
        raise
    os.fsync(folder)
    if before is not None and before != stamp:
        sidecars.forget(folder, name, before)


def _described(folder: int, name: str, found: os.stat_result) -> Info | None:
    """Tell what is known of content that has been seen; None: another one took its name just now.

    What is said about it goes with it, so that nothing was found says nothing in that case.

    Raises:
        NoSuchFile: it is no file.
    """
    if not stat.S_ISREG(found.st_mode):
        raise NoSuchFile(f"{name} is no file")
    metadata = sidecars.look(folder, name, stamp_of(found))
    if metadata is None:
        now = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stamp_of(now) != stamp_of(found):
            return None
    return _info(found, metadata or {})


def _sweep(parts: int) -> None:
    """Remove what a killed process began to write long ago, or to remove whenever."""
    for name in os.listdir(parts):
        with suppress(OSError):
            age = time.time() - os.stat(name, dir_fd=parts).st_mtime
            if name.startswith(GONE) or age > FORGOTTEN:
                _discard(name, parts)


def _discard(name: str, parts: int) -> None:
    """Remove what nobody reaches by a name; what cannot be removed goes another time."""
    with suppress(OSError):  # a writer was just about to put something there
        if stat.S_ISDIR(os.stat(name, dir_fd=parts, follow_symlinks=False).st_mode):
            shutil.rmtree(name, dir_fd=parts)
        else:
            os.unlink(name, dir_fd=parts)


def _kept(folder: int) -> list[os.DirEntry[str]]:
    """List what is neither hidden nor a link."""
    with os.scandir(folder) as entries:
        return [one for one in entries if not one.name.startswith(".") and not one.is_symlink()]


def _info(found: os.stat_result, metadata: Mapping[str, str]) -> Info:
    return Info(
        size=found.st_size,
        modified=found.st_mtime,
        created=found.st_ctime,
        etag=f'"{stamp_of(found)}"',
        metadata=metadata,
        folder=stat.S_ISDIR(found.st_mode),
    )
