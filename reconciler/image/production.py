"""An app -> its image, by our own builder; at once, where nothing changed since the last time.

It changes when something else decides what is in an image.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

from jac_converge.config.load import App, ConfigError, Problem
from jac_converge.reconciler.image.base import Base, base_from_layout, base_from_registry
from jac_converge.reconciler.image.blobs import Blobs
from jac_converge.reconciler.image.builder import FORM, Recipe, build_app, build_image
from jac_converge.reconciler.image.dependencies import lock_of
from jac_converge.reconciler.image.excluding import Exclusion
from jac_converge.reconciler.image.files import app_files, linked_folders, our_files
from jac_converge.reconciler.image.manifest import (
    MANIFESTS,
    Descriptor,
    Image,
    config_of,
    image_from,
    python_of,
)
from jac_converge.reconciler.image.pod_settings import for_pods
from jac_converge.reconciler.image.reference import Reference
from jac_converge.reconciler.image.registry import open_registry

__all__ = ["Made", "make", "notes_on_sources", "pack", "sources_of"]

_LARGEST: Final = 256_000_000
"""bytes of all files of an app; more of them are somebody's downloads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A finished image, on this machine."""

    image: Image
    layer: Callable[[Descriptor], Path]
    """Gives the file of a layer; one of the base's is downloaded the first time."""
    base: Reference | None
    """Where the layers below came from, if that was a registry."""
    notes: tuple[str, ...]


def sources_of(app: App) -> dict[str, Path]:
    """List the files that go into an app's image.

    Raises:
        ConfigError: there is more than an app can be, or less.
    """
    manifests = {file for file in app.files if file.suffix in {".yaml", ".yml"}}
    # What holds on this machine alone stays on it.
    left_out = {*manifests, app.root / "jac.local.toml", *_shelf(app)}
    exclude = app.settings.kubernetes.image_build.exclude
    files = app_files(app.root, left_out, Exclusion(exclude))
    if exclude:
        _check_whole(app, files)
    size = sum(map(_size, files.values()))
    if size > _LARGEST:
        raise ConfigError(_too_much(app.root, files, size))
    return files


def _check_whole(app: App, files: Mapping[str, Path]) -> None:
    there = {*files.values(), app.root / "jac.local.toml"}
    configuration = [file for file in app.files if file.suffix == ".toml"]
    for needed in (app.file, *configuration):
        if needed.is_file() and needed not in there:
            profile = needed not in {app.file, *configuration[:1]}
            why = "which pods read" if profile else "without which no pod starts"
            message = f"leaves out {needed.name}, {why}"
            raise ConfigError(app.problem("converge.kubernetes.image_build.exclude", message))


def _shelf(app: App) -> Iterator[Path]:
    """What `jac serve` keeps here: the documents, and the secret that it signs tokens with."""
    shelf = app.root / os.path.normpath(app.settings.database.shelf_db_path)
    yield from (shelf.with_name(f"{shelf.name}{end}") for end in ("", "-wal", "-shm", "-journal"))
    # Drafts of the secret, too.
    yield from shelf.parent.glob("jwt-secret*")


def notes_on_sources(app: App) -> tuple[str, ...]:
    """Tell what looks like a part of an app and is none of its files, and what excludes nothing."""
    exclusion = Exclusion(app.settings.kubernetes.image_build.exclude)
    notes = []
    if links := linked_folders(app.root, exclusion):
        notes.append(
            f"left out of the image, since links lead there: {', '.join(links)}; put the folders "
            "themselves there, if the app needs them"
        )
    if unused := exclusion.unused:
        names = ", ".join(unused)
        notes.append(
            "[converge.kubernetes.image_build] exclude: nothing that would be in the image matches "
            f"{names}; hidden files, caches and node_modules stay out anyway"
        )
    return tuple(notes)


def _too_much(root: Path, files: Mapping[str, Path], size: int) -> Problem:
    sizes = sorted(((_size(file), inside) for inside, file in files.items()), reverse=True)
    largest = ", ".join(f"{inside} ({its / 1e6:.0f} MB)" for its, inside in sizes[:3])
    message = (
        f"has {len(files)} files of {size / 1e6:.0f} MB, and an image takes "
        f"{_LARGEST / 1e6:.0f} MB of an app; the largest are {largest}: name what pods do not "
        "need in [converge.kubernetes.image_build] exclude, or keep it elsewhere"
    )
    return Problem(file=str(root.resolve()), line=None, key=None, message=message)


def _size(file: Path) -> int:
    return (_stamp(file) or [0, 0])[1]


def make(
    app: App,
    sources: Mapping[str, Path],
    platform: str,
    blobs: Blobs,
    *,
    environ: Mapping[str, str],
    parse: Callable[[Path], list[Problem]],
    tell: Callable[[str], None],
    stop: Event,
) -> Made:
    """Build the image, or find the one that was built of the same.

    Args:
        app: with the settings of its build.
        sources: its files (see `sources_of`).
        platform: `linux/amd64`.
        blobs: everything that was built or downloaded before.
        environ: of this process.
        parse: finds what is wrong with the app's own file; called before something is built.
        tell: says what takes a while.
        stop: ends every wait, and what is run.

    Raises:
        ConfigError: the app cannot be parsed, or its dependencies cannot be read.
        ClusterError: there is no base, or no package.
    """
    base = _base(app, platform, blobs, environ, tell=tell, stop=stop)
    key = _key(app, platform, base, sources)
    kept = _kept(key, blobs)
    if kept is None:
        if problems := parse(app.file):
            raise ConfigError(*problems)
        tell(f"building the image of {app.name}; what was built before is taken as it is")
        python = python_of(base.image) or _here()
        recipe = _recipe(app, sources, python=python, platform=platform)
        kept = build_image(base.image, recipe, blobs, stop=stop)
        # Packages take minutes, in which somebody may save a file: then this is not its image.
        if _key(app, platform, base, sources) == key:
            _keep(key, *kept, blobs)
    image, notes = kept
    ours = {layer.digest for layer in image.layers} - {it.digest for it in base.image.layers}

    def layer(descriptor: Descriptor) -> Path:
        if descriptor.digest not in ours:
            return base.layer(descriptor)
        return blobs.sound(descriptor.digest, descriptor.size, "image build")

    told = (*base.notes, *_python_note(base.image), *notes, _report(image, base))
    return Made(image=image, layer=layer, base=base.origin, notes=told)


def pack(
    app: App,
    sources: Mapping[str, Path],
    blobs: Blobs,
    *,
    parse: Callable[[Path], list[Problem]],
    tell: Callable[[str], None],
    stop: Event,
) -> tuple[bytes, tuple[str, ...]]:
    """Pack the files of an app, compiled, without anything that they are run by.

    Args:
        app: whose they are.
        sources: its files (see `sources_of`).
        blobs: everything that was built before.
        parse: finds what is wrong with the app's own file.
        tell: says what takes a while.
        stop: ends it.

    Returns:
        A tar that was gzipped, and what the user should know about it.

    Raises:
        ConfigError: the app cannot be parsed, or its dependencies cannot be read.
    """
    if problems := parse(app.file):
        raise ConfigError(*problems)
    tell(f"packing {app.name}; what was built before is taken as it is")
    recipe = _recipe(app, sources, python=_here(), platform="")
    layer, notes = build_app(recipe, blobs, stop=stop)
    return blobs.path(layer.digest).read_bytes(), notes


def _recipe(app: App, sources: Mapping[str, Path], *, python: str, platform: str) -> Recipe:
    return Recipe(
        files=_contents(sources),
        main=app.file.relative_to(app.root).as_posix(),
        lock=lock_of(app.root),
        python=python,
        platform=platform,
        port=app.settings.kubernetes.container_port,
    )


def _here() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _base(
    app: App,
    platform: str,
    blobs: Blobs,
    environ: Mapping[str, str],
    *,
    tell: Callable[[str], None],
    stop: Event,
) -> Base:
    settings = app.settings.kubernetes.image_build
    named = settings.base or f"python:{_here()}-slim-bookworm"
    if named.startswith((".", "/", "\\")) or named[1:3] in {":\\", ":/"}:
        return base_from_layout(app.root / named, platform, blobs)
    here = app.root / named
    if here.is_file() or (here / "index.json").is_file():
        message = f'is looked up in a registry, and is here beside jac.toml; write "./{named}"'
        raise ConfigError(app.problem("converge.kubernetes.image_build.base", message))
    reference = Reference.parse(named)
    ours = Reference.parse(settings.repository).registry if settings.repository else ""
    plain = settings.plain_http and reference.registry == ours
    registry = open_registry(reference, environ, plain_http=plain, stop=stop)
    return base_from_registry(reference, platform, blobs, registry, tell=tell)


def _python_note(base: Image) -> tuple[str, ...]:
    if python_of(base):
        return ()
    note = (
        f"the base image does not say which Python it has (PYTHON_VERSION), and is taken to have "
        f"{_here()}: without one, no pod starts"
    )
    return (note,)


def _contents(sources: Mapping[str, Path]) -> dict[str, Path | bytes]:
    """The files, with those of the configuration as pods read them."""
    return {
        inside: for_pods(_configuration(file)).encode()
        if file.name.startswith("jac.") and file.suffix == ".toml"
        else file
        for inside, file in sources.items()
    }


def _configuration(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeError as exc:
        message = f"is not UTF-8 ({exc}); save it as UTF-8"
        raise ConfigError(Problem(file=str(file), line=None, key=None, message=message)) from exc


def _key(app: App, platform: str, base: Base, sources: Mapping[str, Path]) -> str:
    """Name the circumstances: what is the same leads to the same image.

    By time and size of the files, as `make` does: a run with nothing to do reads neither them nor
    the metadata of packages. Of jac.toml, what pods read counts.
    """
    contents = _contents({name: file for name, file in sources.items() if file.suffix == ".toml"})
    told = [
        FORM,
        sys.version,
        platform,
        base.image.digest,
        app.settings.kubernetes.container_port,
        app.file.relative_to(app.root).as_posix(),
        {
            name: content.decode() if isinstance(content, bytes) else _stamp(content)
            for name, content in contents.items()
        },
        {name: _stamp(file) for name, file in sources.items() if name not in contents},
        {name: _stamp(file) for name, file in our_files().items() if isinstance(file, Path)},
        # Where packages come and go, the folders that they lie in change.
        {folder: _stamp(Path(folder)) for folder in sys.path if Path(folder).is_dir()},
    ]
    return f"image-{hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()}"


def _stamp(file: Path) -> list[int] | None:
    """As which version a file is there; None: it went away since it was listed."""
    try:
        found = os.stat(file)  # noqa: PTH116 - some hundred of them
    except FileNotFoundError:
        return None
    return [found.st_mtime_ns, found.st_size, found.st_mode]


def _keep(key: str, image: Image, notes: tuple[str, ...], blobs: Blobs) -> None:
    subject = "image build"
    blobs.keep(image.digest, [image.manifest], subject=subject)
    blobs.keep(config_of(image).digest, [image.config], subject=subject)
    blobs.note(key, json.dumps([image.digest, config_of(image).digest, notes]))


def _kept(key: str, blobs: Blobs) -> tuple[Image, tuple[str, ...]] | None:
    """The image that was built under the same circumstances, if all of it is still here."""
    if (noted := blobs.noted(key)) is None:
        return None
    try:
        digest, config, notes = json.loads(noted)
        manifest, settings = blobs.read(digest), blobs.read(config)
    except (ValueError, TypeError, AttributeError):  # half a note, of a crash or a full disk
        return None
    if manifest is None or settings is None:
        return None
    image = image_from(manifest, settings, MANIFESTS[0])
    if not all(blobs.whole(layer.digest, layer.size) for layer in image.layers[-3:]):
        return None
    return image, tuple(notes)


def _report(image: Image, base: Base) -> str:
    sizes = [("base", sum(layer.size for layer in base.image.layers))]
    names = ("dependencies", "jac-converge", "app")
    sizes += [(name, layer.size) for name, layer in zip(names, image.layers[-3:], strict=True)]
    told = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sizes)
    return f"image of {sum(size for _, size in sizes) / 1e6:.1f} MB: {told}"
