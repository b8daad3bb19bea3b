"""The login of a context by certificate or token, which needs no more than TLS.

Whatever else a kubeconfig asks for is `client_login`'s: this reads it only where it understands
every word.
"""

import tempfile
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext
from typing import Any, Final
from urllib.request import getproxies

import urllib3
from urllib3.util.ssl_ import create_urllib3_context

from jac_converge.reconciler.kubeconfig import documents, entry_of

__all__ = ["Access", "plain_access"]

_CLUSTER: Final = frozenset({"server", "certificate-authority", "certificate-authority-data"})
_USER: Final = frozenset(
    {
        "client-certificate",
        "client-certificate-data",
        "client-key",
        "client-key-data",
        "token",
    }
)
_NO_MATTER: Final = frozenset({"extensions"})
"""Notes of the tools that wrote the kubeconfig."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The way to one API server, as one login."""

    server: str
    """Its URL, without a slash at the end."""
    pool: urllib3.PoolManager
    header: Callable[[], dict[str, str]]
    """Says who asks; may renew a login that ends, so one thread at a time."""


def plain_access(context: str, place: str, connections: int) -> Access | None:
    """Log in as a context says.

    Args:
        context: its name.
        place: of the kubeconfig.
        connections: to keep in the pool.

    Returns:
        None where that takes more than this knows, or where something is wrong: the official
        client says what.
    """
    found = tuple(documents(place))
    try:
        _, chosen = entry_of(found, "contexts", context)
        cluster_file, cluster = entry_of(found, "clusters", chosen["cluster"])
        user_file, user = entry_of(found, "users", chosen["user"])
        if _asks_more(cluster, _CLUSTER) or _asks_more(user, _USER) or _proxy_of(cluster["server"]):
            return None
        tls = _tls(_absolute(cluster, cluster_file.parent), _absolute(user or {}, user_file.parent))
    except (AttributeError, TypeError, KeyError, ValueError, OSError):
        return None
    token = (user or {}).get("token")
    header: dict[str, str] = {"Authorization": f"Bearer {token}"} if token else {}
    pool = urllib3.PoolManager(maxsize=connections, retries=False, ssl_context=tls)
    return Access(server=cluster["server"].rstrip("/"), pool=pool, header=lambda: header)


def _asks_more(given: Mapping[str, Any] | None, known: frozenset[str]) -> bool:
    return bool((given or {}).keys() - known - _NO_MATTER)


def _proxy_of(server: str) -> str | None:
    proxies = getproxies()
    return proxies.get(server.partition(":")[0]) or proxies.get("all")


def _absolute(given: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Paths start from the kubeconfig that has them."""
    files = ("certificate-authority", "client-certificate", "client-key")
    return {key: str(folder / value) if key in files else value for key, value in given.items()}


def _tls(cluster: Mapping[str, str], user: Mapping[str, str]) -> SSLContext:
    """Make one context for all connections; each would read the certificates anew."""
    context = create_urllib3_context()
    if authority := cluster.get("certificate-authority-data"):
        context.load_verify_locations(cadata=b64decode(authority).decode())
    elif authority := cluster.get("certificate-authority"):
        context.load_verify_locations(authority)
    else:
        context.load_default_certs()
    # Data before files, as the official client has it. OpenSSL takes files only.
    with tempfile.TemporaryDirectory() as folder:
        for key in ("client-certificate", "client-key"):
            if data := user.get(f"{key}-data"):
                file = Path(folder, key)
                file.touch(0o600)
                file.write_bytes(b64decode(data))
                user = {**user, key: str(file)}
        if certificate := user.get("client-certificate"):
            context.load_cert_chain(certificate, user.get("client-key"))
    return context
