"""The distribution API against the reference registry."""

import base64
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from jac_converge.reconciler.errors import Missing, Refused, Unreachable
from jac_converge.reconciler.image.base import base_from_registry
from jac_converge.reconciler.image.blobs import Blobs
from jac_converge.reconciler.image.layer import Entry, write_layer
from jac_converge.reconciler.image.logins import Login, find_login, login_files
from jac_converge.reconciler.image.manifest import Image, Run, built_on, image_from
from jac_converge.reconciler.image.push import push_image
from jac_converge.reconciler.image.reference import Reference
from jac_converge.reconciler.image.registry import Registry
from tests.servers.certificates import Authority
from tests.servers.process import free_port
from tests.servers.registry import RegistryServer
from tests.servers.token_server import TokenServer

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
    server: RegistryServer,
    repository: str = "team/shop",
    login: Login | None = None,
    looked_in: tuple[Path, ...] = (),
) -> Registry:
    """Open a repository."""
    reference = Reference.parse(f"{server.host}/{repository}:1")
    return Registry(reference, login=login, plain_http=False, stop=Event(), looked_in=looked_in)


def push(registry: Registry, image: Image, blobs: Blobs, base: Reference | None = None) -> str:
    """Send an image; returns the last thing that was told."""
    told: list[str] = []
    push_image(
        registry,
        image,
        "1",
        layer=lambda layer: blobs.path(layer.digest),
        base=base,
        say=told.append,
    )
    return told[-1] if told else ""


def uploads(server: RegistryServer) -> int:
    """How many uploads were begun so far."""
    return sum(request.startswith("POST ") for request in server.requests)


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
    told: list[str] = []
    reference = registry.reference
    base = base_from_registry(reference, "linux/amd64", fresh, registry, tell=told.append)
    assert image == base.image
    layer = image.layers[0]
    assert blobs.path(layer.digest).read_bytes() == base.layer(layer).read_bytes()
    assert [f"pulling a layer of 0.0 MB from {registry_server.host}"] == told


def test_blob_is_mounted_from_another_repository(
    registry_server: RegistryServer, blobs: Blobs
) -> None:
    """Without sending it; one that is not there is not."""
    image = image_of(blobs, b"hello")
    push(registry_of(registry_server), image, blobs)
    other = registry_of(registry_server, "team/blog")
    assert "blog:1: 0 of 1 layers, 0.0 MB" in push(
        other, image, blobs, Reference.parse(f"{registry_server.host}/team/shop:1")
    )
    other = registry_of(registry_server, "team/news")
    assert other.mount(image.layers[0].digest, "team/shop")
    assert other.has(image.layers[0].digest)
    assert not other.mount(f"sha256:{'0' * 64}", "team/shop")


def test_push_sends_what_changed_and_nothing_twice(
    registry_server: RegistryServer, blobs: Blobs
) -> None:
    """The second time there is one question and no upload; a change sends what is new."""
    image = image_of(blobs, b"hello")
    registry = registry_of(registry_server)
    assert f"pushed {registry_server.host}/team/shop:1: 1 of 1 layers" in push(
        registry, image, blobs
    )
    before = len(registry_server.requests)
    assert "" == push(registry, image, blobs)
    assert 1 == len(registry_server.requests) - before
    begun = uploads(registry_server)
    changed = image_of(blobs, b"good bye")
    assert "1 of 1 layers" in push(registry, changed, blobs)
    assert changed.digest == (registry.find("1") or image.described).digest
    # The layer and the configuration.
    assert 2 == uploads(registry_server) - begun


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
        looked_in = tuple(login_files(environ))
        registry = registry_of(closed_registry, login=login, looked_in=looked_in)
        if works:
            push(registry, image, blobs)
            continue
        with pytest.raises(Refused, match=f"HTTP 401.*run `docker login {host}`") as refused:
            registry.find("1")
        file = str(tmp_path / "config.json")
        assert file in str(refused.value)


HELPER = """#!{python}
import json, sys
assert sys.argv[1:] == ["get"]
known = {known!r}
name = sys.stdin.read()
if name not in known:
    print("credentials not found in native keychain")
    sys.exit(1)
user, secret = known[name]
print(json.dumps({{"ServerURL": name, "Username": user, "Secret": secret}}))
"""


@pytest.fixture
def token_server(tmp_path: Path) -> Iterator[TokenServer]:
    """Give a server of tokens that knows one user, by a password and by an identity token."""
    users, identities = {"shop": "open sesame"}, {"whole life": "shop"}
    with TokenServer(tmp_path, users, identity_tokens=identities) as server:
        yield server


@pytest.fixture
def bearer_registry(token_server: TokenServer) -> Iterator[RegistryServer]:
    """Give a registry that takes tokens alone."""
    with RegistryServer(auth=token_server.configuration) as server:
        yield server


def write_helper(folder: Path, host: str, user: str, secret: str) -> None:
    """Install a credential helper, and have config.json name it."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "docker-credential-vault"
    program.write_text(HELPER.format(python=sys.executable, known={host: (user, secret)}))
    program.chmod(0o755)
    (folder / "config.json").write_text(json.dumps({"credHelpers": {host: "vault"}}))


@pytest.mark.parametrize(
    ("user", "secret"),
    [
        pytest.param("shop", "open sesame", id="password"),
        pytest.param("<token>", "whole life", id="identity token"),
    ],
)
def test_token_is_fetched_with_what_a_helper_gives(  # noqa: PLR0917 - fixtures
    bearer_registry: RegistryServer,
    token_server: TokenServer,
    blobs: Blobs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    user: str,
    secret: str,
) -> None:
    """A real program on PATH; the tokens are for this repository, and only as far as needed."""
    host = bearer_registry.host
    write_helper(tmp_path, host, user, secret)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    environ = {**os.environ, "DOCKER_CONFIG": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    login = find_login(host, "team/shop", environ)
    assert login
    assert "docker-credential-vault" == login.origin
    registry = registry_of(bearer_registry, login=login)
    image = image_of(blobs, b"hello")
    assert "1 of 1 layers" in push(registry, image, blobs)
    assert ["repository:team/shop:pull", "repository:team/shop:pull,push"] == token_server.scopes
    # From another repository, which needs the right to read that one too.
    other = registry_of(bearer_registry, "team/blog", login=login)
    source = Reference.parse(f"{host}/team/shop:1")
    assert "0 of 1 layers" in push(other, image, blobs, source)
    assert "repository:team/blog:pull,push repository:team/shop:pull" == token_server.scopes[-1]


def test_token_is_refused_with_the_file_of_the_login(
    bearer_registry: RegistryServer, tmp_path: Path
) -> None:
    """By containers' auth.json; and without any login, with the files that have none."""
    host = bearer_registry.host
    file = tmp_path / "auth.json"
    entry = base64.b64encode(b"shop:wrong").decode()
    file.write_text(json.dumps({"auths": {f"{host}/team": {"auth": entry}}}))
    environ = {"REGISTRY_AUTH_FILE": str(file), "DOCKER_CONFIG": str(tmp_path)}
    login = find_login(host, "team/shop", environ)
    assert login
    with pytest.raises(Refused, match=f"HTTP 401, as shop of {file}"):
        registry_of(bearer_registry, login=login).find("1")
    looked_in = tuple(login_files(environ))
    with pytest.raises(Refused, match=f"without a login: none in {file} or "):
        registry_of(bearer_registry, looked_in=looked_in).find("1")


def test_helper_that_is_missing_or_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its name and the file that names it; one that knows no login for it is no error."""
    write_helper(tmp_path, "registry.example", "shop", "open sesame")
    environ = {"DOCKER_CONFIG": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    with pytest.raises(
        Refused, match=r"docker-credential-vault, which .*config.json names, is not"
    ):
        find_login("registry.example", "shop", environ)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    write = (tmp_path / "config.json").write_text
    write(json.dumps({"auths": {"other.example": {}}, "credsStore": "vault"}))
    assert find_login("other.example", "shop", environ) is None
    (tmp_path / "bin" / "docker-credential-vault").write_text("#!/bin/sh\necho locked\nexit 3\n")
    with pytest.raises(Refused, match="docker-credential-vault ended with 3: locked"):
        find_login("other.example", "shop", environ)


def test_certificate_of_a_private_authority_is_trusted_by_its_file(
    blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only so; else the error names the variable that helps."""
    authority = Authority(tmp_path)
    image = image_of(blobs, b"hello")
    with RegistryServer(authority=authority) as server:
        with pytest.raises(Refused, match=r"its certificate is not trusted: .*SSL_CERT_FILE"):
            registry_of(server).find("1")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
        registry = registry_of(server)
        assert "1 of 1 layers" in push(registry, image, blobs)
        assert registry.find("1") == image.described


def test_registry_without_tls_is_used_when_that_is_meant(
    registry_server: RegistryServer,
) -> None:
    """Not on the loopback, where it goes without saying; and no TLS is told as such."""
    host = f"localhost.localdomain:{registry_server.port}"
    reference = Reference.parse(f"{host}/team/shop:1")
    plain = Registry(reference, login=None, plain_http=True, stop=Event())
    plain._url = plain._url.replace("localhost.localdomain", "127.0.0.1")
    assert plain.find("1") is None
    wants_tls = Registry(reference, login=None, plain_http=False, stop=Event())
    wants_tls._url = wants_tls._url.replace("localhost.localdomain", "127.0.0.1")
    with pytest.raises(Refused, match=r"does not speak TLS; .*plain_http"):
        wants_tls.find("1")


def test_registry_that_is_not_there_is_told_at_once() -> None:
    """A refused connection is not tried for a minute, and says what to check."""
    reference = Reference.parse(f"127.0.0.1:{free_port()}/team/shop:1")
    registry = Registry(reference, login=None, plain_http=False, stop=Event())
    with pytest.raises(Unreachable, match="refused; check that the registry runs"):
        registry.find("1")
