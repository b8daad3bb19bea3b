"""Which files of this machine go into an image: those of the app, and our own.

Hidden files, caches and environments stay out: what is built here must not depend on what was run
here before, and `.env` is nobody else's. It changes when an app keeps something else beside itself.
"""

import hashlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

from jac_converge.reconciler.image.layer import Entry

__all__ = ["app_files", "entries_of", "fingerprint", "our_files", "place"]

_LEFT_OUT = frozenset({"__pycache__", "_precompiled", "node_modules"})

_PACKAGES = {
    "jac_converge": "jac_converge",
    "jac_converge.app_runtime": "jac_converge/app_runtime",
    "jac_converge.config": "jac_converge/config",
    "jac_converge.reconciler": "jac_converge/reconciler",
}
"""In a checkout they lie side by side."""


def app_files(root: Path, left_out: Collection[Path] = ()) -> dict[str, Path]:
    """List the files of an app.

    Args:
        root: the folder of jac.toml.
        left_out: files that only the cluster reads.

    Returns:
        Path below `root`, with slashes -> the file.
    """
    return {file.relative_to(root).as_posix(): file for file in _walk(root) if file not in left_out}


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.name in _LEFT_OUT or entry.suffix == ".pyc":
            continue
        if entry.is_dir():
            # A virtual environment is of this machine.
            if not entry.is_symlink() and not (entry / "pyvenv.cfg").exists():
                yield from _walk(entry)
        elif entry.is_file():
            yield entry


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
    """Copy files into a folder of ours; returns path below it -> the copy."""
    copies = {}
    for inside, file in files.items():
        target = folder / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(file, bytes):
            target.write_bytes(file)
        else:
            shutil.copyfile(file, target)
            target.chmod(0o755 if _executable(file) else 0o644)
        copies[inside] = target
    return copies


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
