"""The distribution API against the reference registry."""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from jac_converge.reconciler.errors import Missing, Refused
from jac_converge.reconciler.image.base import base_from_registry
from jac_converge.reconciler.image.blobs import Blobs
from jac_converge.reconciler.image.layer import Entry, write_layer
from jac_converge.reconciler.image.logins import Login, find_login
from jac_converge.reconciler.image.manifest import Descriptor, Image, Run, built_on, image_from
from jac_converge.reconciler.image.reference import Reference
from jac_converge.reconciler.image.registry import Registry
from tests.servers.registry import RegistryServer

HTPASSWD = "shop:$2b$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy\n"
"""As `htpasswd -B` writes the password "open sesame"."""


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    """Give an empty store."""
    return Blobs(tmp_path / "blobs")


def image_of(blobs: Blobs, content: bytes) -> Image:
    """Make an image of one layer."""
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    )
    base = image_from(b'{"layers":[]}', config.encode(), "")
    with blobs.writing() as (out, rename):
        entry = Entry(open=lambda: io.BytesIO(content), size=len(content))
        layer = write_layer({"/file": entry}, out)
        rename(layer.digest)
    run = Run(
        entrypoint=("/file",), arguments=(), environment={}, user="1:1", folder="/", port=8000
    )
    return built_on(base, [("file", layer)], run)


def registry_of(
    server: RegistryServer, repository: str = "team/shop", login: Login | None = None
) -> Registry:
    """Open a repository."""
    reference = Reference.parse(f"{server.host}/{repository}:1")
    return Registry(reference, login=login, plain_http=False, stop=Event())


def push(registry: Registry, image: Image, blobs: Blobs) -> None:
    """Send everything, in the order in which a registry wants it."""
    written = json.loads(image.manifest)["config"]
    config = Descriptor(
        media_type=written["mediaType"], digest=written["digest"], size=written["size"]
    )
    blobs.keep(config.digest, [image.config], subject="test")
    for descriptor in (*image.layers, config):
        registry.upload(descriptor, blobs.path(descriptor.digest))
    registry.put(image, "1")


def test_image_reads_back_as_it_was_pushed(
    registry_server: RegistryServer, blobs: Blobs, tmp_path: Path
) -> None:
    """By tag, as a base for others; the registry checked every digest."""
    image = image_of(blobs, b"hello")
    registry = registry_of(registry_server)
    assert registry.find("1") is None
    assert not registry.has(image.layers[0].digest)
    push(registry, image, blobs)
    assert registry.has(image.layers[0].digest)
    fresh = Blobs(tmp_path / "fresh")
    base = base_from_registry(registry.reference, "linux/amd64", fresh, registry)
    assert image == base.image
    layer = image.layers[0]
    assert blobs.path(layer.digest).read_bytes() == base.layer(layer).read_bytes()


def test_blob_is_mounted_from_another_repository(
    registry_server: RegistryServer, blobs: Blobs
) -> None:
    """Without sending it; one that is not there is not."""
    image = image_of(blobs, b"hello")
    push(registry_of(registry_server), image, blobs)
    other = registry_of(registry_server, "team/blog")
    assert other.mount(image.layers[0].digest, "team/shop")
    assert other.has(image.layers[0].digest)
    assert not other.mount(f"sha256:{'0' * 64}", "team/shop")


def test_missing_manifest_names_what_was_asked(registry_server: RegistryServer) -> None:
    """And that some registries want a repository to be made first."""
    with pytest.raises(Missing, match=r"team/shop:7 pull failed .*HTTP 404.*check the name"):
        registry_of(registry_server).manifest("7")


@pytest.fixture
def closed_registry(tmp_path: Path) -> Iterator[RegistryServer]:
    """Give a registry that knows one user."""
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "test", "path": str(tmp_path / "htpasswd")}}
    with RegistryServer(auth=auth) as server:
        yield server


def test_login_of_docker_is_used(
    closed_registry: RegistryServer, blobs: Blobs, tmp_path: Path
) -> None:
    """From config.json; without it, and with a wrong one, the error says what to run."""
    image = image_of(blobs, b"hello")
    host = closed_registry.host
    for password, works in (("open sesame", True), ("wrong", False), (None, False)):
        auth = {host: {"username": "shop", "password": password}} if password else {}
        (tmp_path / "config.json").write_text(json.dumps({"auths": auth}))
        environ = {**os.environ, "DOCKER_CONFIG": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
        login = find_login(host, "team/shop", environ)
        registry = registry_of(closed_registry, login=login)
        if works:
            push(registry, image, blobs)
            continue
        with pytest.raises(Refused, match=f"HTTP 401.*run `docker login {host}`"):
            registry.find("1")
