"""The image below: out of a registry, or out of a layout on disk. Its layers come when needed.

It changes when base images come from somewhere else.
"""

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jac_converge.reconciler.errors import Invalid, Missing, Transient
from jac_converge.reconciler.image.archive import read_layout
from jac_converge.reconciler.image.blobs import Blobs
from jac_converge.reconciler.image.manifest import (
    INDEXES,
    Descriptor,
    Image,
    image_from,
    platform_of,
    select,
)
from jac_converge.reconciler.image.reference import Reference
from jac_converge.reconciler.image.refusals import unreadable_answers
from jac_converge.reconciler.image.registry import Registry

__all__ = ["Base", "base_from_layout", "base_from_registry"]

_LOOKED_UP_FOR = 86400.0
"""Seconds that a tag is taken to mean what it meant: a run with nothing to do asks nobody."""

_OTHER = "choose another base"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """An image to build on."""

    image: Image
    layer: Callable[[Descriptor], Path]
    """Gives the file of a layer; downloads it the first time."""
    origin: Reference | None = None
    """Where it came from, if that was a registry."""
    notes: tuple[str, ...] = ()


def base_from_layout(path: Path, platform: str, blobs: Blobs) -> Base:
    """Take the base out of a layout, a folder or a tar.

    Raises:
        ClusterError: there is none.
    """
    subject = f"base image {path} load"
    image = _fitting(read_layout(path, platform, blobs), platform, subject)
    return Base(image=image, layer=lambda it: blobs.sound(it.digest, it.size, subject))


def base_from_registry(
    reference: Reference,
    platform: str,
    blobs: Blobs,
    registry: Registry,
    *,
    tell: Callable[[str], None],
) -> Base:
    """Look the base up, at most once a day, and read its manifest and configuration.

    Where the registry cannot be reached, the version that it had the last time stands in for it.

    Args:
        reference: names it.
        platform: `linux/amd64`.
        blobs: everything that was downloaded before.
        registry: where it is.
        tell: says what takes a while.

    Raises:
        ClusterError: there is none, or none of this platform.
    """
    name = f"base-{reference}-{platform}".replace("/", "-").replace(":", "-")
    notes: tuple[str, ...] = ()
    known = reference.digest or _noted(name, blobs, within=_LOOKED_UP_FOR)
    try:
        digest = known or _found(reference, registry)
    except Transient as error:
        known = _noted(name, blobs)
        if known is None:
            raise
        digest, notes = known, (f"{error}; the base image is that of the last time",)
    image = _image(reference, digest, platform, blobs, registry)
    if not known:
        # Only now: what is no image would be taken for one for a day.
        blobs.note(name, digest)

    def layer(descriptor: Descriptor) -> Path:
        if blobs.whole(descriptor.digest, descriptor.size):
            return blobs.path(descriptor.digest)
        tell(f"pulling a layer of {descriptor.size / 1e6:.1f} MB from {reference.registry}")
        subject = f"{reference} pull"
        return _download(descriptor.digest, blobs, registry, subject)

    return Base(image=image, layer=layer, origin=reference, notes=notes)


def _found(reference: Reference, registry: Registry) -> str:
    found = registry.find(reference.version)
    if found is None:
        advice = "check [converge.kubernetes.image_build] base"
        raise Missing(f"base image {reference} lookup", "there is none", advice)
    return found.digest


def _noted(name: str, blobs: Blobs, *, within: float | None = None) -> str | None:
    """The digest that a tag had; none where a crash left half a note."""
    noted = blobs.noted(name, within=within)
    return noted if noted and _DIGEST.fullmatch(noted) else None


def _image(
    reference: Reference, digest: str, platform: str, blobs: Blobs, registry: Registry
) -> Image:
    subject = f"base image {reference} pull"
    media_type, manifest = _manifest(digest, blobs, registry, subject)
    if media_type in INDEXES:
        with _reading(subject):
            chosen = select(manifest, platform)
            if chosen is None:
                raise Missing(subject, f"it has no image for {platform}", _OTHER)
            digest = _checked(chosen.digest)
        media_type, manifest = _manifest(digest, blobs, registry, subject)
    with _reading(subject):
        config = _checked(json.loads(manifest)["config"]["digest"])
    content = blobs.read(config)
    if content is None:
        content = _download(config, blobs, registry, subject).read_bytes()
    with _reading(subject):
        image = image_from(manifest, content, media_type)
        # Charts and other artifacts look like images up to here.
        _ = image.settings["rootfs"]["diff_ids"]
        return _fitting(image, platform, subject)


def _reading(subject: str) -> AbstractContextManager[None]:
    """Around nothing but what is read: a mistake of ours beside it is none of the image's."""
    return unreadable_answers(subject, "it is no image", _OTHER)


def _checked(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is no digest")
    return digest


def _download(digest: str, blobs: Blobs, registry: Registry, subject: str) -> Path:
    return registry.download(digest, partial(blobs.keep, digest, subject=subject))


def _fitting(image: Image, platform: str, subject: str) -> Image:
    """Refuse what no index told apart: its programs would not run there."""
    its = platform_of(image)
    if its and its != platform:
        advice = "choose another base, or set [converge.kubernetes.image_build] platform"
        raise Missing(subject, f"it is for {its}, and the image is to be for {platform}", advice)
    return image


def _manifest(digest: str, blobs: Blobs, registry: Registry, subject: str) -> tuple[str, bytes]:
    if (kept := blobs.read(digest)) is not None:
        with _reading(subject):
            return json.loads(kept)["mediaType"], kept
    media_type, content = registry.manifest(digest)
    with _reading(subject):
        written = json.loads(content)
        typed = "mediaType" in written
        if not typed and media_type not in INDEXES and "layers" not in written:
            raise Invalid(subject, f"{media_type} is no image", _OTHER)
    if typed:
        blobs.keep(digest, [content], subject=subject)
    return media_type, content
