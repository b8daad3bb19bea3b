"""An app and a base image -> an image, on this machine, without a container.

Three layers, by how often they change: the dependencies, jac-converge, the app. Each is kept under
a hash of what it is made from, so that only what changed is made again. It changes when an app is
to be laid out in another way.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final

from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.image.blobs import Blobs
from jac_converge.reconciler.image.dependencies import Lock, install
from jac_converge.reconciler.image.files import entries_of, fingerprint, our_files, place
from jac_converge.reconciler.image.layer import Layer, write_layer
from jac_converge.reconciler.image.manifest import Image, Run, built_on
from jac_converge.reconciler.image.programs import run_to_end

if TYPE_CHECKING:
    import subprocess

__all__ = ["APP_FOLDER", "FORM", "USER", "Recipe", "build_app", "build_image"]

APP_FOLDER: Final = "/app"

_HOME: Final = "/home/jac"

_PREFIX: Final = "/opt/jac"

_CACHES: Final = f"{_PREFIX}/cache"
"""What jaclang compiles of itself is there, so that no pod does."""

USER: Final = 10001
"""Number of who runs in a pod, and of its group."""

_OWNER: Final = (USER, USER)

FORM: Final = "3"
"""Goes into every key: what an older version made in another way is not taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that an image is made from, but its base."""

    files: Mapping[str, Path | bytes]
    """Of the app: path below `/app` -> file, or what is in it."""
    main: str
    """Of these, the one that is served."""
    lock: Lock
    python: str
    """`3.12`"""
    platform: str
    """`linux/amd64`"""
    port: int


def build_image(
    base: Image, recipe: Recipe, blobs: Blobs, *, stop: Event
) -> tuple[Image, tuple[str, ...]]:
    """Build what is not there yet.

    Args:
        base: what is below.
        recipe: what is put on it.
        blobs: everything that was built before.
        stop: ends it.

    Returns:
        The image, and what the user should know about it. Its new layers are among the blobs.

    Raises:
        ClusterError: pip cannot install what is needed, or we were told to end meanwhile.
    """
    libraries = f"{_PREFIX}/lib/python{recipe.python}/site-packages"
    maker = _Maker(recipe, libraries, blobs, stop)
    layers = (
        ("dependencies", maker.dependencies()),
        ("jac-converge", maker.ours()),
        ("app", maker.app()),
    )
    run = Run(
        # -P: else a queue.py of the app's would take the place of Python's own.
        entrypoint=(
            *("python3", "-P", "-m", "jac_converge", "serve"),
            f"{APP_FOLDER}/{recipe.main}",
        ),
        arguments=("--host", "0.0.0.0", "--port", str(recipe.port)),  # noqa: S104 - of a pod
        environment={
            "HOME": _HOME,
            "PYTHONPATH": libraries,
            "PYTHONUNBUFFERED": "1",
            "XDG_CACHE_HOME": _CACHES,
        },
        user=f"{USER}:{USER}",
        folder=APP_FOLDER,
        port=recipe.port,
    )
    return built_on(base, layers, run), maker.notes


def build_app(recipe: Recipe, blobs: Blobs, *, stop: Event) -> tuple[Layer, tuple[str, ...]]:
    """Build the layer of the app alone, for where another image has all the rest."""
    maker = _Maker(recipe, "", blobs, stop)
    return maker.app(), maker.notes


class _Maker:
    def __init__(self, recipe: Recipe, libraries: str, blobs: Blobs, stop: Event) -> None:
        self._recipe = recipe
        self._libraries = libraries
        self._blobs = blobs
        self._stop = stop
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        self._compiles = here == recipe.python
        """Bytecode is good for one minor version of Python."""
        self.notes: tuple[str, ...] = ()
        if not self._compiles:
            self.notes = (_other_python(recipe.python, here),)

    def dependencies(self) -> Layer:
        recipe = self._recipe
        key = f"{FORM}-dependencies-{recipe.lock.key(recipe.python, recipe.platform)}"
        if (made := self._made(key)) is not None:
            return made
        with _folder() as folder:
            packages = folder / self._libraries.removeprefix(f"{_PREFIX}/")
            packages.mkdir(parents=True)
            install(
                recipe.lock,
                python=recipe.python,
                platform=recipe.platform,
                target=packages,
                stop=self._stop,
            )
            _prune(packages, recipe.python)
            self._compile(packages, self._libraries)
            if self._compiles:
                self._compile_jaclang(packages, folder / "cache")
            return self._write(key, folder, _PREFIX)

    def ours(self) -> Layer:
        with _folder() as folder:
            copies = place(our_files(), folder)
            key = f"{FORM}-ours-{fingerprint(copies, self._recipe.python)}"
            if (made := self._made(key)) is not None:
                return made
            self._compile(folder, self._libraries)
            return self._write(key, folder, self._libraries)

    def app(self) -> Layer:
        pins = self._recipe.lock.pins
        compiler = next((pin for pin in pins if pin.startswith("jaclang==")), "")
        with _folder() as folder:
            # What is packed is what was hashed, even while somebody writes to the files.
            copies = place(self._recipe.files, folder)
            if self._recipe.main not in copies:
                cause = f"{self._recipe.main} went away while it was copied"
                raise Invalid("image build", cause, "run this again")
            key = f"{FORM}-app-{fingerprint(copies, self._recipe.python, compiler)}"
            if (made := self._made(key)) is not None:
                return made
            self._compile(folder, APP_FOLDER)
            if self._compiles:
                self._compile_jac(folder)
            return self._write(key, folder, APP_FOLDER, folders=(APP_FOLDER, _HOME))

    def _made(self, key: str) -> Layer | None:
        """The layer that was made before, if it is still here."""
        if (noted := self._blobs.noted(key)) is None:
            return None
        try:
            made = Layer(**json.loads(noted))
        except (ValueError, TypeError):  # a crash, or a full disk, left half a note
            return None
        return made if self._blobs.whole(made.digest, made.size) else None

    def _write(self, key: str, folder: Path, prefix: str, folders: Iterable[str] = ()) -> Layer:
        """Make a layer of a folder, and note it under a key."""
        with self._blobs.writing() as (out, rename):
            layer = write_layer(entries_of(folder, prefix), out, owner=_OWNER, folders=folders)
            rename(layer.digest)
        self._blobs.note(key, json.dumps(asdict(layer)))
        return layer

    def _compile(self, folder: Path, final: str) -> None:
        """Compile Python, for good: whoever changes a file in an image makes another image."""
        if not self._compiles:
            return
        command = [
            *(sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
            *("-s", str(folder), "-p", final, str(folder)),
        ]
        # A file that does not compile fails when it is imported, as it always did.
        self._run(command, folder)

    def _compile_jaclang(self, packages: Path, cache: Path) -> None:
        module = "jac_converge.app_runtime.bridge.bootstrap"
        command = [sys.executable, "-m", module, str(packages), self._libraries, str(cache)]
        done = self._run(command, packages.parent)
        if done.returncode:
            last = done.stderr.strip().rpartition("\n")[2]
            self.notes += (f"jaclang is not compiled ahead, so pods start slower: {last}",)

    def _compile_jac(self, folder: Path) -> None:
        done = self._run(
            [sys.executable, "-m", "jac_converge.app_runtime.bridge.precompile", str(folder)],
            folder,
        )
        shutil.rmtree(folder / ".jac", ignore_errors=True)
        if done.returncode:
            last = done.stderr.strip().rpartition("\n")[2]
            self.notes += (f"the app is not compiled ahead, so pods start slower: {last}",)
        self.notes += tuple(f"not compiled ahead: {line}" for line in done.stdout.splitlines())

    def _run(self, command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
        """Run in a process of its own, where nothing of this one shows in what is made."""
        environ = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        return run_to_end(command, "image build", stop=self._stop, folder=folder, environ=environ)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for one layer, gone afterwards."""
    with tempfile.TemporaryDirectory() as made_in:
        folder = Path(made_in).resolve() / "layer"
        folder.mkdir()
        yield folder


def _other_python(its: str, here: str) -> str:
    return (
        f"the image has Python {its}, and this is {here}: it holds no bytecode, so pods start "
        "slower; choose a base with the same, or run this with the other"
    )


def _prune(folder: Path, python: str) -> None:
    """Drop what names this machine, and bytecode for other Pythons."""
    shutil.rmtree(folder / "bin", ignore_errors=True)
    for name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"):
        for file in folder.glob(f"*.dist-info/{name}"):
            file.unlink()
    kept = f"cpython-{python.replace('.', '')}"
    for bundle in folder.glob("*/_precompiled/cpython-*"):
        if bundle.name != kept:
            shutil.rmtree(bundle)
