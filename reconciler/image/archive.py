"""OCI layouts, as folders and as tar archives: read as base images, written for local clusters.

An archive that we write also has what `docker load` of older versions reads. It changes with the
formats of those who load archives.

Source: OCI image specification, image-layout.md; Docker image specification v1.3.
"""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from jac_converge.reconciler.errors import Invalid, Missing
from jac_converge.reconciler.image.blobs import Blobs, chunks_of
from jac_converge.reconciler.image.disk import disk_refusals
from jac_converge.reconciler.image.manifest import (
    INDEXES,
    Descriptor,
    Image,
    config_of,
    image_from,
    select,
)

__all__ = ["read_layout", "write_archive"]

_ADVICE = "make it anew, such as by `skopeo copy docker://python:3.12-slim oci-archive:base.tar`"
_LARGEST_TEXT = 4 << 20
"""bytes of a manifest or configuration"""


class _Layout(Protocol):
    def __call__(self, name: str) -> BinaryIO: ...


def read_layout(path: Path, platform: str, blobs: Blobs) -> Image:
    """Read one image out of a layout, and keep all its blobs.

    Args:
        path: a folder, or a tar of it.
        platform: which of its images.
        blobs: where they are kept.

    Raises:
        Missing: it is not there, or has no image of this platform.
        Invalid: it is no layout.
    """
    subject = f"base image {path} load"
    try:
        with disk_refusals(subject, near=path):
            if not path.exists():
                advice = "check the path, from jac.toml on"
                raise Missing(subject, "there is no such file", advice)
            with _opened(path) as open_:
                return _image(open_, platform, blobs, subject)
    except _Lacking as exc:
        raise Invalid(subject, f"it has no {exc}, so it is no OCI layout", _ADVICE) from exc
    except tarfile.TarError as exc:
        raise Invalid(subject, "it is no tar archive, or not a whole one", _ADVICE) from exc
    except (KeyError, ValueError, TypeError) as exc:
        cause = f"it is no OCI layout ({type(exc).__name__}: {exc})"
        raise Invalid(subject, cause, _ADVICE) from exc


class _Lacking(Exception):
    """A file that every layout has, or that another one in it names."""


@contextmanager
def _opened(path: Path) -> Iterator[_Layout]:
    if path.is_dir():

        def there(name: str) -> BinaryIO:
            try:
                return (path / name).open("rb")
            except FileNotFoundError as exc:
                raise _Lacking(name) from exc

        yield there
        return
    with tarfile.open(path) as tar:
        names = {member.name.removeprefix("./"): member for member in tar if member.isfile()}

        def opened(name: str) -> BinaryIO:
            content = tar.extractfile(names[name]) if name in names else None
            if content is None:
                raise _Lacking(name)
            return content  # type: ignore[return-value]

        yield opened


def _image(open_: _Layout, platform: str, blobs: Blobs, subject: str) -> Image:
    def text(digest: str) -> bytes:
        with open_(_name(digest)) as content:
            return content.read(_LARGEST_TEXT)

    with open_("index.json") as content:
        chosen = select(content.read(_LARGEST_TEXT), platform)
    if chosen is None:
        # Several images, none of them marked: nobody could tell which one is meant.
        raise Missing(subject, f"it has no image for {platform}", _ADVICE)
    while chosen.media_type in INDEXES:
        deeper = select(text(chosen.digest), platform)
        if deeper is None:
            raise Missing(subject, f"it has no image for {platform}", _ADVICE)
        chosen = deeper
    manifest = text(chosen.digest)
    config = text(json.loads(manifest)["config"]["digest"])
    image = image_from(manifest, config, chosen.media_type)
    for layer in image.layers:
        if not blobs.whole(layer.digest, layer.size):
            with open_(_name(layer.digest)) as content:
                blobs.keep(layer.digest, chunks_of(content), subject=subject)
    return image


def _name(digest: str) -> str:
    algorithm, _, value = digest.partition(":")
    return f"blobs/{algorithm}/{value}"


def write_archive(
    image: Image,
    name: str,
    layer: Callable[[Descriptor], Path],
    out: Path,
    *,
    top_only: bool = False,
) -> None:
    """Write an image as one file that every local cluster's tool reads.

    Args:
        image: what to write.
        name: `registry/repository:tag` that it gets where it is loaded.
        layer: gives the file of a layer.
        out: the file.
        top_only: leave out every layer but the last, for a containerd that has the others.

    Raises:
        Invalid: there is no room for it.
    """
    texts = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": _index(image, name),
        "manifest.json": _docker_manifest(image, name),
        _name(image.digest): image.manifest,
        _name(config_of(image).digest): image.config,
    }
    with (
        disk_refusals(f"{name} load", near=out),
        tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for file, content in texts.items():
            _add(tar, file, content)
        for descriptor in dict.fromkeys(image.layers[-1:] if top_only else image.layers):
            info = tarfile.TarInfo(_name(descriptor.digest))
            info.size = descriptor.size
            with layer(descriptor).open("rb") as blob:
                tar.addfile(info, blob)


def _index(image: Image, name: str) -> bytes:
    """What an OCI layout begins with; the name is where containerd and podman look for it."""
    annotations = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name,
    }
    index = {
        "schemaVersion": 2,
        "mediaType": INDEXES[0],
        "manifests": [{**image.described.json, "annotations": annotations}],
    }
    return json.dumps(index).encode()


def _docker_manifest(image: Image, name: str) -> bytes:
    """The same for `docker load` of versions that read no OCI layout."""
    manifest = {
        "Config": _name(config_of(image).digest),
        "RepoTags": [name],
        "Layers": [_name(layer.digest) for layer in image.layers],
    }
    return json.dumps([manifest]).encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
