"""Registries that answer anything: a proxy's page, JSON of another kind, nothing where a place is.

No real one can be made to, so this one says what it is told to.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from jac_converge.reconciler.errors import Invalid, Unreachable
from jac_converge.reconciler.image.base import base_from_registry
from jac_converge.reconciler.image.blobs import Blobs
from jac_converge.reconciler.image.manifest import INDEXES, MANIFESTS, descriptor_of
from jac_converge.reconciler.image.reference import Reference
from jac_converge.reconciler.image.registry import Registry

type Answer = tuple[int, Mapping[str, str], bytes]

PAGE: Answer = (200, {"Content-Type": "text/html"}, b"<html>please log in</html>")


@contextmanager
def answering(
    answers: Mapping[str, Answer], *, breaks: bool = False, logins: list[str] | None = None
) -> Iterator[str]:
    """Serve answers by what is in the path; yields host and port.

    Args:
        answers: part of a path -> what is said to it.
        breaks: break off in the middle of each blob, the first time.
        logins: gets what each request says to a proxy of who it is.
    """
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found = (answer for part, answer in answers.items() if part in self.path)
            status, headers, body = next(found, (404, {}, b""))
            asked.append(self.path)
            if logins is not None:
                logins.append(self.headers.get("Proxy-Authorization", ""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value.replace("HOST", f"127.0.0.1:{server.server_port}"))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                cut = breaks and asked.count(self.path) == 1 and "blobs/" in self.path
                self.wfile.write(body[:-1] if cut else body)
                self.close_connection = self.close_connection or cut

        do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815 - as http.server wants it

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def registry_at(host: str) -> Registry:
    """Open a repository."""
    return Registry(Reference.parse(f"{host}/python:3"), login=None, plain_http=True, stop=Event())


def as_json(document: object, media_type: str = MANIFESTS[0]) -> Answer:
    """Answer with a document."""
    return (200, {"Content-Type": media_type}, json.dumps(document).encode())


CONFIG = descriptor_of("", b"[]").json
CHART = descriptor_of("", b'{"architecture": "amd64", "os": "linux"}').json
IMAGE = {"schemaVersion": 2, "mediaType": MANIFESTS[0], "layers": []}


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        pytest.param({"": PAGE}, "JSONDecodeError", id="a page"),
        pytest.param({"": as_json([])}, "json is no image", id="a list"),
        pytest.param(
            {"": as_json({"schemaVersion": 1})}, "json is no image", id="the first schema"
        ),
        pytest.param({"": as_json({"layers": []})}, "KeyError: 'config'", id="no configuration"),
        pytest.param(
            {"": as_json(IMAGE | {"config": {"digest": "\0"}})}, "is no digest", id="a name"
        ),
        pytest.param({"": as_json({}, INDEXES[0])}, "KeyError: 'manifests'", id="an empty index"),
        pytest.param(
            {"manifests/": as_json(IMAGE | {"config": CONFIG}), "blobs/": (200, {}, b"[]")},
            "KeyError: 'rootfs'",
            id="a list for a configuration",
        ),
        pytest.param(
            {
                "manifests/": as_json(IMAGE | {"config": CHART}),
                "blobs/": (200, {}, b'{"architecture": "amd64", "os": "linux"}'),
            },
            "KeyError: 'rootfs'",
            id="an artifact",
        ),
    ],
)
def test_base_that_is_no_image_is_told(
    tmp_path: Path, answers: Mapping[str, Answer], told: str
) -> None:
    """By its name, and with what to do."""
    with answering(answers) as host:
        reference, registry = Reference.parse(f"{host}/python:3"), registry_at(host)
        with pytest.raises(Invalid, match=re.escape(told)) as raised:
            base_from_registry(reference, "linux/amd64", Blobs(tmp_path), registry, tell=print)
    assert [] == [*tmp_path.glob("notes/*")]
    assert str(raised.value).startswith(f"base image {host}/python:3 pull failed (Invalid): ")
    assert str(raised.value).endswith("; choose another base")


def test_mistake_of_ours_is_not_told_of_the_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would look for it here, if another base were all that is advised."""
    answers = {"": as_json(IMAGE | {"config": CONFIG})}

    def keep(*_: object, **__: object) -> Path:
        raise TypeError("of ours")

    with answering(answers) as host:
        reference, registry = Reference.parse(f"{host}/python:3"), registry_at(host)
        monkeypatch.setattr(Blobs, "keep", keep)
        with pytest.raises(TypeError, match="of ours"):
            base_from_registry(reference, "linux/amd64", Blobs(tmp_path), registry, tell=print)


def test_download_that_breaks_off_is_begun_anew(tmp_path: Path) -> None:
    """As an upload is: what came of a layer is no reason to end."""
    settings = b'{"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": []}}'
    config, layer = descriptor_of("", settings), descriptor_of("", b"hello")
    image = IMAGE | {"config": config.json, "layers": [layer.json]}
    answers = {
        "manifests/": as_json(image),
        config.digest: (200, {}, settings),
        layer.digest: (200, {}, b"hello"),
    }
    with answering(answers, breaks=True) as host:
        reference, registry = Reference.parse(f"{host}/python:3"), registry_at(host)
        blobs = Blobs(tmp_path)
        base = base_from_registry(reference, "linux/amd64", blobs, registry, tell=print)
        assert b"hello" == base.layer(layer).read_bytes()


def test_download_that_breaks_off_late_is_begun_anew() -> None:
    """What is waited for is an answer: minutes in which a large layer comes are no such wait."""
    now, content = 0.0, b"x" * 200_000
    layer = descriptor_of("", content)

    def store(pieces: Iterator[bytes]) -> Path:
        nonlocal now
        came = b""
        for piece in pieces:
            came += piece
            now += 50
        return Path(str(len(came)))

    with answering({layer.digest: (200, {}, content)}, breaks=True) as host:
        reference = Reference.parse(f"{host}/python:3")
        registry = Registry(reference, login=None, plain_http=True, stop=Event(), clock=lambda: now)
        assert registry.find("3") is None  # and has answered once
        assert Path(str(len(content))) == registry.download(layer.digest, store)
    assert now > 60


@pytest.mark.parametrize("excepted", [False, True])
def test_proxy_of_this_machine_is_used(monkeypatch: pytest.MonkeyPatch, *, excepted: bool) -> None:
    """With its own login, and not for what `no_proxy` names."""
    stop, logins = Event(), list[str]()
    stop.set()
    name = Reference.parse("registry.example/python:3")
    found = {"http://registry.example/v2/python/manifests/3": as_json(IMAGE)}
    with answering(found, logins=logins) as host:
        monkeypatch.setenv("http_proxy", f"http://ann:s%40crt@{host}")
        monkeypatch.setenv("no_proxy", "registry.example" if excepted else "")
        registry = Registry(name, login=None, plain_http=True, stop=stop)
        if excepted:
            with pytest.raises(Unreachable):
                registry.find("3")
        else:
            assert registry.find("3")
    assert (set() if excepted else {"Basic YW5uOnNAY3J0"}) == set(logins)


@pytest.mark.parametrize(
    "proxy",
    ["http://ann:s3crt/x@proxy.example:8080", "ann:s3crt@[::1", "proxy.example:port", "http://"],
)
def test_proxy_that_is_no_address_is_told(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """By the variable that names it, and not by what it says: a password may be in it."""
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    name = Reference.parse("registry.example/python:3")
    with pytest.raises(Invalid, match="HTTP_PROXY") as raised:
        Registry(name, login=None, plain_http=True, stop=Event())
    assert not any(word in str(raised.value) for word in ("s3crt", "proxy.example", ":8080"))
    # A traceback would show what that was raised from.
    assert raised.value.__context__ is None


@pytest.mark.parametrize("answer", [PAGE, as_json([]), as_json({"expires_in": 3})])
def test_token_that_is_none_is_told(answer: Answer) -> None:
    """A proxy before the server of the tokens answers with its own page."""
    challenge = {"WWW-Authenticate": 'Bearer realm="http://HOST/token",service="all"'}
    with (
        answering({"/token": answer, "": (401, challenge, b"")}) as host,
        pytest.raises(
            Invalid, match=r"python:3 lookup: token of http://.*/token failed .*there is no token"
        ),
    ):
        registry_at(host).find("3")


def test_upload_that_has_no_place_is_told(tmp_path: Path) -> None:
    """What a registry takes, it takes somewhere."""
    file = tmp_path / "blob"
    file.write_bytes(b"hello")
    blob = descriptor_of("", b"hello")
    with (
        answering({"uploads/": (202, {}, b"")}) as host,
        pytest.raises(Invalid, match=r"push failed .*does not say where an upload goes"),
    ):
        registry_at(host).upload(blob, file)
