"""The part of an app that runs in a browser (`cl`): its pages, and the bundle they are in.

jaclang compiles it and has Vite bundle it, run by Bun. Where there is no Bun but npm, that does the
same steps; nothing is downloaded to have either. It changes with how jaclang bundles.

Source: jaclang 0.16, runtimelib/client/impl/vite_bundler.impl.jac.
"""

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jaclang.jac0core.runtime import JacRuntime as Jac
from jaclang.project.config import get_config
from jaclang.runtimelib.client_bundle import ClientBundleError, _ensure_js_generated

from jac_converge.app_runtime.bridge.loading import import_module
from jac_converge.app_runtime.bridge.replacing import is_half_written, replacing
from jac_converge.app_runtime.sources_watch import CLIENT, assets_of, files_below

__all__ = ["ClientSide", "NotBuilt", "client_side_of"]

HINT = re.compile(rb"\bcl\b")
"""Without that word, a file has no client side, and need not be compiled to see it."""
ENTRIES = ("app", "index", "main", "home", "root")
NPM = """#!/bin/sh
# What jaclang asks of Bun, done by npm.
case "$1" in
install) exec npm install --no-audit --no-fund --loglevel=error ;;
x) shift; tool="$1"; shift; exec "node_modules/.bin/$tool" "$@" ;;
*) echo "npm stands in for Bun here, and does not know: $*" >&2; exit 2 ;;
esac
"""


class NotBuilt(Exception):
    """There is no bundle; the text says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSide:
    """The client side of one app."""

    file: Path
    module: Any
    pages: tuple[str, ...]
    """Names of its functions that a browser may show."""
    start: str | None
    """The one at `/`; None: none is."""
    prefix: str
    """First part of the path of the others."""
    effects: Mapping[str, Any]
    """What the calls of the app change, for the cache of jaclang's client."""
    calls: Mapping[str, Any]
    """Walkers and functions that it calls (`sv import`), which the app's module need not import."""
    head: Mapping[str, Any]
    """What `[plugins.client.app_meta_data]` says of every page."""
    project: Path
    folder: Path
    """Of jaclang's files for it."""

    def bundle(self) -> Path | None:
        """Return the script of the bundle: of the one that was built here, or was brought along."""
        for dist in (self.folder / "dist", self.project / "dist"):
            found = dist.glob("client.*.js")
            if newest := max(found, key=lambda file: file.stat().st_mtime, default=None):
                return newest
        return None

    def build(self) -> Path:
        """Return the script of a bundle, made anew if it is older than the sources and may be made.

        Raises:
            NotBuilt: there is none and none can be made, or that failed.
        """
        if (built := self._fresh()) is not None:
            return built
        if not _can_build(self.folder.parent):
            if (old := self.bundle()) is not None:
                return old
            raise NotBuilt(
                "they are not built, and neither Bun nor npm is on PATH to do so; install one of "
                "them, or bring a bundle along, in dist/"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "build.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be at it
            return self._fresh() or self._build()

    def _build(self) -> Path:
        # jaclang 0.16.7: what came from its cache of bytecode has to be compiled before the runtime
        # of the client is, or its calls of builtins have no JavaScript.
        _compiled(self.file)
        dist = self.folder / "dist"
        with _tools(self.folder.parent), replacing(dist):
            try:
                Jac.build_client_bundle(self.module, force=True)
            except ClientBundleError as error:
                raise NotBuilt(str(error)) from error
            built = self.bundle()
            if built is None:
                raise NotBuilt(f"Vite left no client.*.js in {dist}")
        return built

    def _fresh(self) -> Path | None:
        if is_half_written(self.folder / "dist"):
            return None
        built = self.bundle()
        return built if built and built.stat().st_mtime >= _newest(self.project) else None


def client_side_of(file: Path, module: Any) -> ClientSide | None:
    """Return the client side of an app that was imported; None if it has none.

    Raises:
        AppBroken: what it calls cannot be imported.
    """
    if HINT.search(file.read_bytes()) is None:
        return None
    config = get_config()
    project = config.project_root if config else file.parent
    plugin = (config.get_plugin_config("client") if config else None) or {}
    folder = config.get_client_dir() if config else project / ".jac" / "client"
    told = _told(file, project, folder / "pages.json")
    if not told["pages"]:
        return None
    return ClientSide(
        file=file,
        module=module,
        pages=tuple(told["pages"]),
        start=_start(told["pages"], config.serve.base_route_app if config else ""),
        prefix=config.serve.cl_route_prefix if config else "cl",
        effects=told["effects"],
        calls=_imported(told["calls"]),
        head=plugin.get("app_meta_data") or {},
        project=project,
        folder=folder,
    )


def _told(file: Path, project: Path, kept: Path) -> dict[str, Any]:
    """Return what the compiler says of the client side: `pages`, `effects`, files of `calls`.

    It takes the compiler seconds, so it is kept beside the bundle until a source changes.
    """
    sources = [
        (str(path), path.stat().st_mtime_ns, path.stat().st_size)
        for path in files_below(project, (".jac",))
    ]
    key = repr((version("jaclang"), str(file), sorted(sources)))
    with suppress(OSError, ValueError, KeyError):
        told: dict[str, Any] = json.loads(kept.read_text())
        if told.pop("key") == key:
            return told
    told = _compiled(file)
    with suppress(OSError):  # a disk that is read-only
        kept.parent.mkdir(parents=True, exist_ok=True)
        beside = kept.with_name(f"{kept.name}.{os.getpid()}")
        beside.write_text(json.dumps({"key": key, **told}))
        beside.replace(kept)
    return told


def _compiled(file: Path) -> dict[str, Any]:
    program = Jac.get_program()
    compiled = program.find_module(str(file)) or program.compile(str(file))
    if compiled.gen.client_manifest is not None and not compiled.gen.client_manifest.exports:
        _ensure_js_generated(compiled, program)
    manifest = compiled.gen.client_manifest
    effects: dict[str, Any] = {}
    calls: dict[str, str] = {}
    for module in program.mod.hub.values():
        if module is None or module.gen.interop_manifest is None:
            continue
        effects |= module.gen.interop_manifest.endpoint_effects
        for binding in module.gen.interop_manifest.server_exports_to_client:
            place = getattr(binding.ast_node, "loc", None)
            if place is not None:
                calls[binding.name] = str(Path(place.mod_path).absolute())
    return {"pages": list(manifest.exports if manifest else ()), "effects": effects, "calls": calls}


def _start(exports: list[str], configured: str) -> str | None:
    """Return the page at `/`, by jaclang's rule: as configured, or one that is called so."""
    if configured:
        return configured
    by_name = {name.lower(): name for name in reversed(exports)}
    return next((by_name[entry] for entry in ENTRIES if entry in by_name), None)


def _imported(calls: Mapping[str, str]) -> dict[str, Any]:
    """Return what the client side calls, from the modules that it names.

    Raises:
        AppBroken: one of them cannot be imported.
    """
    found: dict[str, Any] = {}
    loaded = {getattr(one, "__file__", None): one for one in Jac.loaded_modules.values()}
    for name, file in calls.items():
        module = loaded[file] = loaded.get(file) or import_module(Path(file))
        found[name] = getattr(module, name, None)
    return found


def _newest(project: Path) -> float:
    sources = files_below(project, (*CLIENT, ".toml"))
    return max((path.stat().st_mtime for path in (*sources, *assets_of(project))), default=0.0)


def _can_build(build: Path) -> bool:
    return any((shutil.which("bun"), (build / "bin" / "bun").exists(), shutil.which("npm")))


@contextmanager
def _tools(build: Path) -> Iterator[None]:
    """Have jaclang find a Bun: that of PATH, that of the project, or npm in its place."""
    before = os.environ["PATH"]
    with tempfile.TemporaryDirectory(prefix="jac-converge-") as folder:
        if (build / "bin" / "bun").exists():
            os.environ["PATH"] = f"{before}{os.pathsep}{build / 'bin'}"
        elif shutil.which("bun") is None:
            stand_in = Path(folder, "bun")
            stand_in.write_text(NPM)
            stand_in.chmod(0o700)
            os.environ["PATH"] = f"{folder}{os.pathsep}{before}"
        try:
            yield
        finally:
            os.environ["PATH"] = before
