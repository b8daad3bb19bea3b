"""Base image + layers -> configuration, manifest and index, as the bytes that are stored. Pure.

It changes when the specification does, or when an image of ours has to say something more.

Source: OCI image specification, manifest.md, config.md, image-layout.md.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jac_converge.reconciler.image.layer import Layer

__all__ = [
    "INDEXES",
    "MANIFESTS",
    "Descriptor",
    "Image",
    "Run",
    "built_on",
    "config_of",
    "descriptor_of",
    "image_from",
    "platform_of",
    "python_of",
    "select",
]

_OCI = "application/vnd.oci.image"
_DOCKER = "application/vnd.docker"

MANIFESTS: Final = (
    f"{_OCI}.manifest.v1+json",
    f"{_DOCKER}.distribution.manifest.v2+json",
)
INDEXES: Final = (
    f"{_OCI}.index.v1+json",
    f"{_DOCKER}.distribution.manifest.list.v2+json",
)
CONFIG: Final = f"{_OCI}.config.v1+json"
LAYER: Final = f"{_OCI}.layer.v1.tar"
CREATED: Final = "1980-01-01T00:00:00Z"

_SAME_BYTES = {
    f"{_DOCKER}.image.rootfs.diff.tar.gzip": f"{LAYER}+gzip",
    f"{_DOCKER}.image.rootfs.diff.tar": LAYER,
}
"""Docker's names of layers; a manifest may not mix the two families."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """One blob, as others refer to it."""

    media_type: str
    digest: str
    size: int
    """bytes"""

    @property
    def json(self) -> dict[str, Any]:
        """As it stands in a manifest."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image: a small manifest and configuration, and the layers that they name."""

    manifest: bytes
    config: bytes
    layers: tuple[Descriptor, ...]
    media_type: str = MANIFESTS[0]

    @property
    def digest(self) -> str:
        """Names the image, down to the last bit."""
        return digest_of(self.manifest)

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration, read."""
        return dict(json.loads(self.config))

    @property
    def described(self) -> Descriptor:
        """The image as one blob: its manifest."""
        return descriptor_of(self.media_type, self.manifest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a container of the image is run."""

    entrypoint: tuple[str, ...]
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    """Added to that of the base image."""
    user: str
    folder: str
    port: int


def digest_of(content: bytes) -> str:
    """Name a blob by its content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def descriptor_of(media_type: str, content: bytes) -> Descriptor:
    """Refer to a blob."""
    return Descriptor(media_type=media_type, digest=digest_of(content), size=len(content))


def config_of(image: Image) -> Descriptor:
    """Refer to the configuration of an image."""
    return _descriptor(json.loads(image.manifest)["config"])


def image_from(manifest: bytes, config: bytes, media_type: str) -> Image:
    """Read an image that somebody else made."""
    layers = tuple(_descriptor(layer) for layer in json.loads(manifest)["layers"])
    return Image(manifest=manifest, config=config, layers=layers, media_type=media_type)


def _descriptor(written: Mapping[str, Any]) -> Descriptor:
    return Descriptor(
        media_type=written["mediaType"], digest=written["digest"], size=written["size"]
    )


def select(index: bytes, platform: str) -> Descriptor | None:
    """Find the manifest of one platform in an index.

    Args:
        index: as stored.
        platform: `linux/amd64`.

    Returns:
        Its descriptor; None where there is none. A manifest without a platform fits if it is alone.
    """
    manifests = json.loads(index)["manifests"]
    for written in manifests:
        its = written.get("platform") or {}
        if f"{its.get('os')}/{its.get('architecture')}" == platform:
            return _descriptor(written)
    if len(manifests) == 1 and not manifests[0].get("platform"):
        return _descriptor(manifests[0])
    return None


def platform_of(image: Image) -> str:
    """For what an image is, such as `linux/amd64`; empty where it does not say."""
    settings = image.settings
    its = [settings.get("os"), settings.get("architecture")]
    return "/".join(map(str, its)) if all(its) else ""


def python_of(image: Image) -> str:
    """Which Python an image has, such as `3.12`; empty where it does not say."""
    version = _environment(image.settings).get("PYTHON_VERSION", "")
    return ".".join(version.split(".")[:2])


def _environment(settings: Mapping[str, Any]) -> dict[str, str]:
    written = (settings.get("config") or {}).get("Env") or ()
    return {name: value for name, _, value in (entry.partition("=") for entry in written)}


def built_on(base: Image, layers: Iterable[tuple[str, Layer]], run: Run) -> Image:
    """Put layers on an image, and say how it runs.

    Args:
        base: stays as it is below.
        layers: what each one is, and the layer.
        run: of the new image.
    """
    ours = tuple(layers)
    settings = base.settings
    below = settings["rootfs"]["diff_ids"]
    environment = {**_environment(settings), **run.environment}
    config: dict[str, Any] = {
        **{key: settings[key] for key in ("architecture", "os", "variant") if key in settings},
        "created": CREATED,
        "config": {
            "User": run.user,
            "ExposedPorts": {f"{run.port}/tcp": {}},
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "Entrypoint": list(run.entrypoint),
            "Cmd": list(run.arguments),
            "WorkingDir": run.folder,
        },
        "rootfs": {"type": "layers", "diff_ids": [*below, *(layer.diff_id for _, layer in ours)]},
        "history": [
            *(settings.get("history") or [{"created_by": "base"} for _ in below]),
            *({"created": CREATED, "created_by": f"jac-converge: {what}"} for what, _ in ours),
        ],
    }
    written = _json(config)
    descriptors = (
        *(_renamed(layer) for layer in base.layers),
        *(
            Descriptor(media_type=f"{LAYER}+gzip", digest=layer.digest, size=layer.size)
            for _, layer in ours
        ),
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFESTS[0],
        "config": descriptor_of(CONFIG, written).json,
        "layers": [descriptor.json for descriptor in descriptors],
        "annotations": {"org.opencontainers.image.base.digest": base.digest},
    }
    return Image(manifest=_json(manifest), config=written, layers=descriptors)


def _renamed(layer: Descriptor) -> Descriptor:
    media_type = _SAME_BYTES.get(layer.media_type, layer.media_type)
    return Descriptor(media_type=media_type, digest=layer.digest, size=layer.size)


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
