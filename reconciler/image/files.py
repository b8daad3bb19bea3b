"""Which files of this machine go into an image: those of the app, and our own.

Hidden files, caches, environments and what users stored stay out: what is built here must not
depend on what was run here before, and `.env` is nobody else's. It changes when an app keeps
something else beside itself.
"""

import errno
import hashlib
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO

from jac_converge.config.load import ConfigError, Problem
from jac_converge.reconciler.image.disk import disk_refusals
from jac_converge.reconciler.image.excluding import Exclusion
from jac_converge.reconciler.image.layer import Entry

__all__ = [
    "app_files",
    "entries_of",
    "fingerprint",
    "linked_folders",
    "our_files",
    "place",
    "unreadable",
]

_LEFT_OUT = re.compile(
    r"\..*|__pycache__|_precompiled|node_modules|.*\.pyc"
    # What editors write beside a file, for less than a second or for as long as it is open.
    r"|.*~|4913|#.*#|.*\.sw[op]|.*\.tmp",
    re.DOTALL,
)

_MARKS = ("pyvenv.cfg", ".parts")
"""What a folder has that is of this machine alone: a virtual environment, or files of `store()`."""

_PACKAGES = {
    "jac_converge": "jac_converge",
    "jac_converge.app_runtime": "jac_converge/app_runtime",
    "jac_converge.config": "jac_converge/config",
    "jac_converge.reconciler": "jac_converge/reconciler",
}
"""In a checkout they lie side by side."""


def app_files(
    root: Path, left_out: Collection[Path] = (), exclusion: Exclusion | None = None
) -> dict[str, Path]:
    """List the files of an app.

    Args:
        root: the folder of jac.toml.
        left_out: files that only the cluster reads.
        exclusion: what else stays out.

    Returns:
        Path below `root`, with slashes -> the file.
    """
    return {
        inside: file
        for inside, file, linked in _walk(root, exclusion or Exclusion())
        if not linked and file not in left_out
    }


def linked_folders(root: Path, exclusion: Exclusion) -> list[str]:
    """Name the folders that are none of an app's, since only a link leads there."""
    return [inside for inside, _, linked in _walk(root, exclusion) if linked]


def _walk(folder: Path, exclusion: Exclusion, above: str = "") -> Iterator[tuple[str, Path, bool]]:
    """Every file, and every link to a folder: path below the root, and whether it is that."""
    for entry in _entries(folder):
        if _LEFT_OUT.fullmatch(entry.name):
            continue
        mode, inside = _mode(entry), above + entry.name
        if exclusion.excludes(inside, folder=S_ISDIR(mode)):
            continue
        if S_ISDIR(mode):
            if any(os.path.exists(entry / mark) for mark in _MARKS):  # noqa: PTH110 - never raises
                continue
            if entry.is_symlink():
                yield inside, entry, True
            else:
                yield from _walk(entry, exclusion, f"{inside}/")
        elif S_ISREG(mode):
            yield inside, entry, False


def _entries(folder: Path) -> list[Path]:
    try:
        found = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as exc:
        raise unreadable(folder, exc) from exc
    for entry in found:
        try:
            entry.name.encode()
        except UnicodeEncodeError as exc:
            name = ascii(entry.name)
            message = f"has an entry {name}, whose name is not UTF-8; rename it"
            raise ConfigError(
                Problem(file=str(folder), line=None, key=None, message=message)
            ) from exc
    return found


def _mode(entry: Path) -> int:
    """What an entry is; 0 for one that went away since it was listed, or leads nowhere."""
    try:
        return entry.stat().st_mode
    except OSError as exc:
        if exc.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            return 0
        raise unreadable(entry, exc) from exc


def unreadable(path: Path, exc: OSError) -> ConfigError:
    """Say which path it is, and what to do."""
    message = (
        f"cannot be read ({exc.strerror}); give the user that runs this the right to it, or keep "
        "it outside of the folder of the app"
    )
    return ConfigError(Problem(file=str(path), line=None, key=None, message=message))


def our_files() -> dict[str, Path | bytes]:
    """List the files of jac-converge as it runs here: path below site-packages -> file."""
    found: dict[str, Path | bytes] = {}
    for name, place_ in _PACKAGES.items():
        spec = importlib.util.find_spec(name)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            files = app_files(Path(folder))
            found |= {f"{place_}/{inside}": file for inside, file in files.items()}
    ours = version("jac-converge")
    metadata = f"Metadata-Version: 2.1\nName: jac-converge\nVersion: {ours}\n"
    return found | {f"jac_converge-{ours}.dist-info/METADATA": metadata.encode()}


def fingerprint(copies: Mapping[str, Path], *told: str) -> str:
    """A hash of files that nobody else writes to and of what else matters, equal for equal content.

    Of copies: a file of a person may be another one when it is read again.
    """
    seen = hashlib.sha256("\0".join((*told, sys.version)).encode())
    for inside, file in sorted(copies.items()):
        content = file.read_bytes()
        mark = "x" if _executable(file) else "-"
        seen.update(f"{inside}\0{mark}{len(content)}\0".encode())
        seen.update(content)
    return seen.hexdigest()


def place(files: Mapping[str, Path | bytes], folder: Path) -> dict[str, Path]:
    """Copy files into a folder of ours; one that went away meanwhile is not among them.

    Returns:
        Path below the folder -> the copy.

    Raises:
        Invalid: one cannot be read, or there is no room for it.
    """
    copies = {}
    for inside, file in files.items():
        target = folder / inside
        with disk_refusals("image build", near=target):
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(file, bytes):
                target.write_bytes(file)
            elif not _copy(file, target):
                continue
        copies[inside] = target
    return copies


def _copy(file: Path, target: Path) -> bool:
    try:
        mode = 0o755 if _executable(file) else 0o644
        shutil.copyfile(file, target)
    except FileNotFoundError as exc:
        if exc.filename != str(file):
            raise
        return False
    target.chmod(mode)
    return True


def entries_of(folder: Path, prefix: str) -> dict[str, Entry]:
    """Describe every file below a folder, for a layer.

    Args:
        folder: where they are.
        prefix: where they will be.
    """
    return {
        f"{prefix}/{file.relative_to(folder).as_posix()}": Entry(
            open=partial(_open, file), size=file.stat().st_size, executable=_executable(file)
        )
        for file in folder.rglob("*")
        if file.is_file()
    }


def _open(file: Path) -> BinaryIO:
    return file.open("rb")


def _executable(file: Path) -> bool:
    return os.access(file, os.X_OK) if os.name == "nt" else bool(file.stat().st_mode & 0o100)
