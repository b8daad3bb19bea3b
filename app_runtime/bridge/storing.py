"""jaclang's `store()`: the files of an app, wherever its settings have them.

The interface is jaclang's; what a file may be called, and that none is ever whole in memory unless
the app asks for its bytes, is ours. It changes with that interface.
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from jaclang.jac0core.runtime import JacRuntime as Jac
from jaclang.runtimelib.storage.storage import Storage
from starlette.datastructures import UploadFile

from jac_converge.app_runtime.bridge.memory import RequestMemory
from jac_converge.app_runtime.files import Blobs, Info, NoSuchFile
from jac_converge.app_runtime.files.keys import checked_folder, checked_key, own_folder
from jac_converge.app_runtime.files.links import Links, disposition
from jac_converge.app_runtime.files.metadata import checked_metadata, kind_of

__all__ = ["FileStorage", "own_files", "store", "use"]

URL_SECONDS = 3600


class _Used:
    """The storage of this process."""

    blobs: Blobs | None = None
    links: Links | None = None


def use(blobs: Blobs, links: Links) -> None:
    """Have `store()` keep files here.

    Args:
        blobs: the storage.
        links: makes URLs, where the storage has none of its own.
    """
    _Used.blobs, _Used.links = blobs, links


def store(base_path: str = "./storage", create_dirs: bool = True) -> Any:  # noqa: ARG001, FBT001, FBT002 - jaclang's
    """Return the files in one folder of the storage.

    Raises:
        BadKey: the folder is not below the configured one.
    """
    return FileStorage(checked_folder(base_path))


def own_files() -> "FileStorage":
    """Return the files of the caller's account alone.

    Raises:
        PermissionError: the caller has none.
    """
    from jac_converge.app_runtime.bridge.program import GUEST_ROOT  # noqa: PLC0415 - imports us

    root = Jac.get_context().user_root.id
    if root == GUEST_ROOT:
        raise PermissionError("anonymous callers have no files of their own")
    return FileStorage(own_folder(root.hex))


class FileStorage(Storage):  # type: ignore[misc] # jaclang ships no types
    """The files in one folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def upload(
        self, source: Any, destination: str, metadata: Mapping[str, str] | None = None
    ) -> str:
        """Store a file, as a whole or not at all; returns its name.

        Args:
            source: path of a file of this machine, an open one, or one that was uploaded.
            destination: its name.
            metadata: said about it; `content_type` is what it is served as.

        Raises:
            BadKey: it cannot have this name.
            BadMetadata: that cannot be said about a file.
        """
        key = self._key(destination)
        about = checked_metadata(metadata)
        if isinstance(source, str | Path):
            with Path(source).open("rb") as file:
                _blobs().write(key, file, metadata=about, go_on=_go_on)
        else:
            sent = source.file if isinstance(source, UploadFile) else source
            _blobs().write(key, sent, metadata=about, go_on=_go_on)
        return self._name(key)

    def download(self, source: str, destination: Any = None) -> bytes | None:
        """Return the bytes of a file, or write them to a path or an open file.

        Raises:
            NoSuchFile: there is none.
        """
        with closing(_blobs().open(self._key(source))) as reading:
            if destination is None:
                return b"".join(_while_awaited(reading.pieces()))
            if isinstance(destination, str | Path):
                with Path(destination).open("wb") as file:
                    file.writelines(_while_awaited(reading.pieces()))
            else:
                for piece in _while_awaited(reading.pieces()):
                    destination.write(piece)
        return None

    def delete(self, path: str) -> bool:
        """Remove a file, or a folder with all that is in it; False: there was none."""
        return _blobs().remove(self._key(path))

    def exists(self, path: str) -> bool:
        """Say whether there is such a file or folder."""
        return _blobs().info(self._key(path)) is not None

    def list_files(self, prefix: str = "", recursive: bool = False) -> Generator[str]:  # noqa: FBT001, FBT002 - jaclang's
        """Yield the names of what is in a folder: files and folders, or all files below it."""
        prefix = prefix.strip("/")
        folder = self._key(prefix) if prefix else self._folder
        for name in _blobs().names(folder, recursive=recursive):
            _go_on()
            yield self._name(name)

    def get_metadata(self, path: str) -> dict[str, Any]:
        """Tell what is known of a file or folder.

        Raises:
            NoSuchFile: there is none.
        """
        key = self._key(path)
        found = _found(key)
        return {
            "size": found.size,
            "modified": found.modified,
            "created": found.created,
            "is_dir": found.folder,
            "name": key.rpartition("/")[2],
            "content_type": None if found.folder else kind_of(key, found.metadata),
            "metadata": dict(found.metadata),
        }

    def copy(self, source: str, destination: str) -> bool:
        """Copy a file; False: there is none."""
        return _blobs().copy(self._key(source), self._key(destination))

    def move(self, source: str, destination: str) -> bool:
        """Give a file another name; False: there is none."""
        return _blobs().move(self._key(source), self._key(destination))

    def get_url(self, path: str, expires_in: int | None = URL_SECONDS) -> str:
        """Return a URL by which whoever has it reads the file, for a while.

        Raises:
            NoSuchFile: there is none.
            ValueError: that is no while.
        """
        key = self._key(path)
        found = _found(key)
        if found.folder:
            raise NoSuchFile(f"{path} is a folder")
        links, seconds = _Used.links, URL_SECONDS if expires_in is None else int(expires_in)
        assert links is not None  # noqa: S101 - it comes with the storage
        link = links.link(key, seconds)
        shown = disposition(key, kind_of(key, found.metadata))
        return _blobs().url(key, seconds=seconds, disposition=shown) or link

    def _key(self, path: str) -> str:
        return f"{self._folder}/{checked_key(path)}"

    def _name(self, key: str) -> str:
        return key.removeprefix(f"{self._folder}/")


def _blobs() -> Blobs:
    if _Used.blobs is None:
        raise RuntimeError("store() is for calls of a server, not for code at module level")
    return _Used.blobs


def _found(key: str) -> Info:
    found = _blobs().info(key)
    if found is None:
        raise NoSuchFile(f"there is no file {key}")
    return found


def _go_on() -> None:
    """End a call for which nobody waits any more."""
    memory = Jac.get_context().mem
    if isinstance(memory, RequestMemory):
        memory.go_on()


def _while_awaited(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        _go_on()
        yield piece
