"""What is believed of proxies: pure, on scopes."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Scope

from jac_converge.app_runtime.proxies import TrustedProxies

NETWORKS = ("10.0.0.0/8", "192.0.2.7/32", "fd00::/8")
HOST = (b"host", b"inner:8000")


def seen(
    client: str, *headers: tuple[bytes, bytes], networks: tuple[str, ...] = NETWORKS
) -> dict[str, Any]:
    """Return the scope that an application sees."""
    found: dict[str, Any] = {}

    async def app(scope: Scope, *_: Any) -> None:
        found.update(scope)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(_: Message) -> None:
        return

    scope = {"type": "http", "scheme": "http", "client": (client, 4), "headers": [HOST, *headers]}
    asyncio.run(TrustedProxies(app, networks)(scope, receive, send))
    return found


def forwarded(value: str) -> tuple[bytes, bytes]:
    """Return the header of a proxy."""
    return b"x-forwarded-for", value.encode()


@pytest.mark.parametrize(
    ("proxy", "sent", "client"),
    [
        pytest.param("10.1.2.3", ["8.8.8.8"], "8.8.8.8", id="one-proxy"),
        pytest.param("10.1.2.3", ["9.9.9.9, 8.8.8.8"], "8.8.8.8", id="made-up"),
        pytest.param("10.1.2.3", ["9.9.9.9", "8.8.8.8"], "8.8.8.8", id="two-headers"),
        pytest.param("10.1.2.3", ["8.8.8.8, 192.0.2.7"], "8.8.8.8", id="two-proxies"),
        pytest.param("10.1.2.3", ["8.8.8.8, unknown"], "10.1.2.3", id="hidden"),
        pytest.param("10.1.2.3", ["9.9.9.9, nonsense, 192.0.2.7"], "192.0.2.7", id="in-between"),
        pytest.param("10.1.2.3", ["8.8.8.8:4711"], "8.8.8.8", id="port"),
        pytest.param("10.1.2.3", ["[2001:db8::1]:4711"], "2001:db8::1", id="ipv6"),
        pytest.param("fd00::7", ["2001:db8::1"], "2001:db8::1", id="ipv6-proxy"),
        pytest.param("::ffff:10.1.2.3", ["8.8.8.8"], "8.8.8.8", id="mapped"),
        pytest.param("10.1.2.3", ["10.9.9.9, 10.8.8.8"], "10.9.9.9", id="all-trusted"),
        pytest.param("10.1.2.3", [""], "10.1.2.3", id="empty"),
        pytest.param("10.1.2.3", [], "10.1.2.3", id="none"),
        pytest.param("192.0.2.8", ["8.8.8.8"], "192.0.2.8", id="not-trusted"),
    ],
)
def test_client_is_the_last_that_is_no_proxy(proxy: str, sent: list[str], client: str) -> None:
    """Whatever stands before it."""
    assert client == seen(proxy, *map(forwarded, sent))["client"][0]


def test_nobody_is_believed_by_default() -> None:
    """Not even this machine."""
    headers = [forwarded("8.8.8.8"), (b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"a")]
    found = seen("127.0.0.1", *headers, networks=())
    assert ("127.0.0.1", "http", [HOST, *headers]) == (
        found["client"][0],
        found["scheme"],
        found["headers"],
    )


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"shop.example", b"shop.example"),
        (b"shop.example:8443", b"shop.example:8443"),
        (b"made.up, shop.example", b"shop.example"),
        (b"[2001:db8::1]:80", b"[2001:db8::1]:80"),
        (b"shop.example/path", b"inner:8000"),
        (b"", b"inner:8000"),
    ],
)
def test_scheme_and_host_are_those_that_the_client_asked_for(host: bytes, expected: bytes) -> None:
    """If they make sense."""
    found = seen("10.1.2.3", (b"x-forwarded-proto", b"HTTPS"), (b"x-forwarded-host", host))
    assert ("https", expected) == (found["scheme"], dict(found["headers"])[b"host"])
    assert "http" == seen("10.1.2.3", (b"x-forwarded-proto", b"gopher"))["scheme"]
