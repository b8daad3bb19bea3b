"""An app without an image -> the same app with one, and that image where its cluster finds it.

Building comes before a plan, because the plan names the image; bringing it comes after, because a
plan changes nothing. It changes when there is another way to get an image to a cluster.
"""

import os
import platform as machine
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Final

from jac_converge.config.load import App, ConfigError, Problem
from jac_converge.reconciler.build import check
from jac_converge.reconciler.build.code import MOST
from jac_converge.reconciler.image.blobs import Blobs, cache_folder
from jac_converge.reconciler.image.destination import (
    LocalCluster,
    content_tag,
    local_cluster,
    local_reference,
)
from jac_converge.reconciler.image.disk import disk_refusals
from jac_converge.reconciler.image.engines import Engine
from jac_converge.reconciler.image.loading import load_archive, load_built
from jac_converge.reconciler.image.production import Made, make, notes_on_sources, pack, sources_of
from jac_converge.reconciler.image.programs import found
from jac_converge.reconciler.image.push import push_image
from jac_converge.reconciler.image.reference import Reference
from jac_converge.reconciler.image.registry import open_registry
from jac_converge.reconciler.platforms import Platform

__all__ = ["Imaging"]

type Say = Callable[[str], None]

_HERE: Final = {"arm64": "linux/arm64", "aarch64": "linux/arm64"}

_REMEMBERED: Final = 8
"""Images of one watch that may still be asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    reference: str
    bring: Callable[[Say], None]
    notes: tuple[str, ...]


class Imaging:
    """Builds the images of one app, and brings them to its cluster.

    Args:
        platform: recognises the cluster; asked when an image has to be loaded into it.
        context: of the kubeconfig, as it was pinned.
        parse: finds what is wrong with the app's own file.
        stop: ends every wait.
        stamp: what each line begins with.
        environ: of this process.
    """

    def __init__(
        self,
        platform: Callable[[], Platform],
        *,
        context: str,
        parse: Callable[[Path], list[Problem]],
        stop: Event,
        stamp: Callable[[], str] = str,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._platform = platform
        self._context = context
        self._parse = parse
        self._stop = stop
        self._stamp = stamp
        self._environ = environ
        self._blobs = Blobs(cache_folder(dict(environ)) / "images")
        self._to_bring: dict[str, Callable[[Say], None]] = {}
        self._packed_of: object = None
        """The files that were packed last, as they were then."""

    def built(self, app: App) -> App:
        """Give an app that names no image one, and watch its sources.

        Raises:
            ConfigError: it cannot be built, or there is nowhere to bring it.
            ClusterError: the base image, or a package, cannot be had; a disk refuses something.
        """
        with disk_refusals("image build"):
            return self._built(app)

    def _built(self, app: App) -> App:
        # Before anything slow: what could not be deployed is not built.
        check(_with_image(app, "unbuilt"))
        build = app.settings.kubernetes.image_build
        if build.runtime and not build.repository and self._loader() is None:
            return self._packed(app, build.runtime)
        local = None if build.repository else self._cluster_of_this_machine(app)
        platform = build.platform or (_platform_of_this_machine() if local else "linux/amd64")
        sources = sources_of(app)
        if build.builder == "builtin":
            done = self._builtin(app, sources, platform, local)
        else:
            done = self._by_engine(app, platform, local)
        self._to_bring.setdefault(done.reference, done.bring)
        while len(self._to_bring) > _REMEMBERED:
            del self._to_bring[next(iter(self._to_bring))]
        return replace(
            _with_image(app, done.reference),
            files=(*app.files, *_watched(app.root, sources.values())),
            notes=(
                *app.notes,
                *notes_on_sources(app),
                *done.notes,
                *(local.notes if local else ()),
            ),
        )

    def _packed(self, app: App, runtime: str) -> App:
        """Give an app an image that others made, and its own files beside it."""
        sources = sources_of(app)
        states = _states(sources)
        # What a watch looks at once more is not news.
        tell = _nothing if states == self._packed_of else self._tell
        code, notes = pack(app, sources, self._blobs, parse=self._parse, tell=tell, stop=self._stop)
        self._packed_of = states
        if len(code) > MOST:
            message = (
                f"{len(code) / 1e6:.1f} MB of files are too much for ConfigMaps ({MOST / 1e6:.1f} "
                "MB); name a registry here as repository, or leave files out of the folder"
            )
            raise ConfigError(app.problem("converge.kubernetes.image_build.runtime", message))
        note = (
            f"no registry is named, and context {self._context} has none to load images: the "
            f"{len(code) / 1e3:.0f} kB of the app go into ConfigMaps, and are unpacked over "
            f"{runtime}, which has to have all that they import"
        )
        return replace(
            _with_image(app, runtime),
            code=code,
            files=(*app.files, *_watched(app.root, sources.values())),
            notes=(*app.notes, note, *notes_on_sources(app), *notes),
        )

    def _tell(self, message: str) -> None:
        """Say what takes a while; not on standard output, which may be for a program."""
        sys.stderr.write(f"{self._stamp()}{message}\n")
        sys.stderr.flush()

    def _loader(self) -> LocalCluster | None:
        """The cluster of this machine, if its tool is here."""
        local = local_cluster(self._platform(), sys.platform)
        return local if local and all(map(found, local.programs)) else None

    def bring(self, reference: str, say: Say) -> None:
        """Push or load an image, once; one that was not built here is somebody else's matter.

        Raises:
            ClusterError: it could not be done.
        """
        if bring := self._to_bring.get(reference):
            with disk_refusals(f"{reference} load"):
                bring(say)
            self._to_bring[reference] = _nothing

    def _builtin(
        self, app: App, sources: Mapping[str, Path], platform: str, local: LocalCluster | None
    ) -> _Built:
        made = make(
            app,
            sources,
            platform,
            self._blobs,
            environ=self._environ,
            parse=self._parse,
            tell=self._tell,
            stop=self._stop,
        )
        digest = made.image.digest
        if local:
            reference = str(local_reference(app.name, digest))
            load = partial(load_built, local, reference, made, stop=self._stop)
            bring = partial(_load, local, reference, load)
            return _Built(reference=reference, bring=bring, notes=made.notes)
        build = app.settings.kubernetes.image_build
        place = Reference.parse(build.repository or "")
        return _Built(
            reference=str(place.at(digest=digest)),
            bring=partial(self._push, place, build.plain_http, made),
            notes=made.notes,
        )

    def _by_engine(self, app: App, platform: str, local: LocalCluster | None) -> _Built:
        build = app.settings.kubernetes.image_build
        engine = Engine(name=build.builder, plain_http=build.plain_http, stop=self._stop)
        digest = engine.build(app, platform)
        notes = (f"image built by {build.builder}",)
        if local:
            reference = str(local_reference(app.name, digest))
            engine.tag(digest, reference)
            save = partial(engine.save, reference)
            load = partial(load_archive, local, reference, save, stop=self._stop)
            bring = partial(_load, local, reference, load)
            return _Built(reference=reference, bring=bring, notes=notes)
        reference = f"{build.repository}:{content_tag(digest)}"
        engine.tag(digest, reference)
        return _Built(reference=reference, bring=partial(_push_by, engine, reference), notes=notes)

    def _push(self, place: Reference, plain_http: bool, made: Made, say: Say) -> None:  # noqa: FBT001
        registry = open_registry(place, self._environ, plain_http=plain_http, stop=self._stop)
        try:
            tag = content_tag(made.image.digest)
            push_image(registry, made.image, tag, layer=made.layer, base=made.base, say=say)
        finally:
            registry.close()

    def _cluster_of_this_machine(self, app: App) -> LocalCluster:
        platform = self._platform()
        local = local_cluster(platform, sys.platform)
        if local is None:
            which = f" ({platform.title})" if platform.kind else ""
            message = (
                f"is not given, and context {self._context}{which} is none of a cluster of this "
                "machine; "
                "set [converge.kubernetes.image_build] repository, where a built one is pushed to, "
                "or runtime, over which the files are unpacked, or name a finished one here or "
                "by --image"
            )
            raise ConfigError(app.problem("converge.kubernetes.image", message))
        if missing := [it for it in local.programs if found(it) is None]:
            message = (
                f"is not given, and {missing[0]}, which loads a built one into {local.name}, is "
                f"not on PATH; install it ({local.install}), or set "
                "[converge.kubernetes.image_build] repository, where a built one is pushed to, "
                "or runtime, over which the files are unpacked"
            )
            raise ConfigError(app.problem("converge.kubernetes.image", message))
        return local


def _nothing(_: object) -> None:
    """The image is where it has to be; or everything is said."""


def _load(local: LocalCluster, reference: str, load: Callable[[], None], say: Say) -> None:
    say(f"loading {reference} into {local.name}")
    load()


def _push_by(engine: Engine, reference: str, say: Say) -> None:
    say(f"pushing {reference} by {engine.name}")
    engine.push(reference)


def _platform_of_this_machine() -> str:
    return _HERE.get(machine.machine().lower(), "linux/amd64")


def _with_image(app: App, image: str) -> App:
    kubernetes = app.settings.kubernetes.model_copy(update={"image": image})
    return replace(app, settings=app.settings.model_copy(update={"kubernetes": kubernetes}))


def _watched(root: Path, sources: Iterable[Path]) -> tuple[Path, ...]:
    """The files, and the folders in which others may come or go."""
    files = tuple(sources)
    return (*files, *dict.fromkeys((root, *(file.parent for file in files))))


def _states(sources: Mapping[str, Path]) -> tuple[tuple[str, int, int], ...]:
    """The files, each with its time and size."""
    return tuple((name, *_state(file)) for name, file in sources.items())


def _state(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        # It went meanwhile, which packing tells.
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
