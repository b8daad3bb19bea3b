"""Who the client is, and what it asked for, where a proxy stands between.

A proxy tells in `X-Forwarded-For`, `-Proto` and `-Host`; a client could as well, so only those are
believed whose address is among the trusted. It changes with what proxies tell.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["TrustedProxies"]

KNOWN = 4096  # addresses of which it is remembered whether they are trusted
HOST = re.compile(rb"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")

type Headers = Iterable[tuple[bytes, bytes]]


class TrustedProxies:
    """ASGI middleware that puts what a trusted proxy tells in place of what it is itself."""

    def __init__(self, app: ASGIApp, networks: Sequence[str]) -> None:
        """Wrap an application.

        Args:
            app: sees the client.
            networks: of the proxies; none: nobody is believed.
        """
        self._app = app
        self._networks = [ipaddress.ip_network(one) for one in networks]
        self._trusts = lru_cache(KNOWN)(self._is_trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        client = scope.get("client")
        if self._networks and client and self._trusts(client[0]):
            scope = self._forwarded(scope)
        await self._app(scope, receive, send)

    def _is_trusted(self, address: str) -> bool:
        found = _address(address)
        return found is not None and any(found in network for network in self._networks)

    def _forwarded(self, scope: Scope) -> Scope:
        changed = dict(scope)
        if (client := self._client(scope["headers"])) is not None:
            changed["client"] = (client, 0)
        scheme = _last(scope["headers"], b"x-forwarded-proto").lower().decode("latin-1")
        if scheme in ("http", "https", "ws", "wss"):
            secure = scheme in ("https", "wss")
            kind = "ws" if scope["type"] == "websocket" else "http"
            changed["scheme"] = kind + "s" * secure
        host = _last(scope["headers"], b"x-forwarded-host")
        if HOST.fullmatch(host):
            others = [pair for pair in scope["headers"] if pair[0] != b"host"]
            changed["headers"] = [(b"host", host), *others]
        return changed

    def _client(self, headers: Headers) -> str | None:
        """Return the last address that is not one of our proxies; before it may stand anything."""
        client = None
        for value in reversed(_values(headers, b"x-forwarded-for")):
            hop = _hop(value)
            if hop is None:
                break
            client = hop
            if not self._trusts(hop):
                break
        return client


def _values(headers: Headers, wanted: bytes) -> list[bytes]:
    """Return the values of a list that may be spread over several headers."""
    joined = b",".join(value for name, value in headers if name == wanted)
    return [value.strip() for value in joined.split(b",")]


def _last(headers: Headers, wanted: bytes) -> bytes:
    """Return what the proxy next to us told."""
    return _values(headers, wanted)[-1]


def _hop(value: bytes) -> str | None:
    """Return the address in one place of `X-Forwarded-For`, which may have a port."""
    text = value.decode("latin-1")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    found = _address(text)
    return None if found is None else str(found)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if "%" in text:
        return None  # what follows may be anything, and ends up in logs
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A server that listens on :: gets IPv4 clients like this.
    return getattr(found, "ipv4_mapped", None) or found
