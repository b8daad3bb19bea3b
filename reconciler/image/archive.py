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
        with _opened(path) as open_:
            return _image(open_, platform, blobs, subject)
    except FileNotFoundError as exc:
        raise Missing(subject, "there is no such file", "check the path, from jac.toml on") from exc
    except (OSError, KeyError, ValueError, TypeError, tarfile.TarError) as exc:
        cause = f"it is no OCI layout ({type(exc).__name__}: {exc})"
        raise Invalid(subject, cause, _ADVICE) from exc


@contextmanager
def _opened(path: Path) -> Iterator[_Layout]:
    if path.is_dir():
        yield lambda name: (path / name).open("rb")
        return
    with tarfile.open(path) as tar:
        names = {member.name.removeprefix("./"): member for member in tar if member.isfile()}

        def opened(name: str) -> BinaryIO:
            content = tar.extractfile(names[name])
            if content is None:
                raise KeyError(name)
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
    config = json.loads(image.manifest)["config"]
    files = {image.digest: image.manifest, config["digest"]: image.config}
    annotations = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name,
    }
    index = {
        "schemaVersion": 2,
        "mediaType": INDEXES[0],
        "manifests": [{**image.described.json, "annotations": annotations}],
    }
    legacy = [
        {
            "Config": _name(config["digest"]),
            "RepoTags": [name],
            "Layers": [_name(descriptor.digest) for descriptor in image.layers],
        }
    ]
    with (
        disk_refusals(f"{name} load", near=out),
        tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar,
    ):
        _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(tar, "index.json", json.dumps(index).encode())
        _add(tar, "manifest.json", json.dumps(legacy).encode())
        for digest, content in files.items():
            _add(tar, _name(digest), content)
        for descriptor in dict.fromkeys(image.layers[-1:] if top_only else image.layers):
            info = tarfile.TarInfo(_name(descriptor.digest))
            info.size = descriptor.size
            with layer(descriptor).open("rb") as blob:
                tar.addfile(info, blob)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
