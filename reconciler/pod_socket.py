"""A websocket through the API server into a pod. The only importer of websockets here.

It changes when the API server wants to be dialled another way.
"""

from collections.abc import Mapping
from ssl import SSLContext
from typing import Any

import urllib3
from urllib3.util.ssl_ import create_urllib3_context
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from jac_converge.reconciler.errors import Unreachable, classify
from jac_converge.reconciler.ownership import FIELD_MANAGER

__all__ = ["open_socket"]


def open_socket(
    subject: str,
    url: str,
    pool: urllib3.PoolManager,
    headers: Mapping[str, str],
    protocol: str,
) -> ClientConnection:
    """Open one, with the certificates and the proxy of a pool of connections.

    Args:
        subject: of errors.
        url: of the API server; https, or http where a proxy of this machine speaks for us.
        pool: made for that server.
        headers: say who asks.
        protocol: the subprotocol.

    Raises:
        ClusterError: the server refuses, or does not answer.
    """
    known = pool.connection_pool_kw
    tls = _tls(known) if url.startswith("https:") else None
    try:
        return connect(
            f"ws{url.removeprefix('http')}",
            ssl=tls,
            server_hostname=known.get("server_hostname") if tls else None,
            subprotocols=[Subprotocol(protocol)],
            additional_headers=headers,
            user_agent_header=FIELD_MANAGER,
            compression=None,
            proxy=str(pool.proxy) if pool.proxy else None,
            max_size=None,
        )
    except InvalidStatus as exc:
        answer = exc.response
        headers = dict(answer.headers.raw_items())
        raise classify(subject, answer.status_code, bytes(answer.body), headers) from exc
    except (OSError, WebSocketException) as exc:
        cause = f"no connection into the pod ({type(exc).__name__}: {exc})"
        raise Unreachable(subject, cause) from exc


def _tls(known: Mapping[str, Any]) -> SSLContext:
    """What the pool verifies servers with, and proves itself by."""
    if isinstance(context := known.get("ssl_context"), SSLContext):
        return context
    context = create_urllib3_context(cert_reqs=known.get("cert_reqs"))
    if known.get("assert_hostname") is False:
        context.check_hostname = False
    if known.get("ca_certs") or known.get("ca_cert_data"):
        context.load_verify_locations(known.get("ca_certs"), cadata=known.get("ca_cert_data"))
    else:
        context.load_default_certs()
    if certificate := known.get("cert_file"):
        context.load_cert_chain(certificate, known.get("key_file"))
    return context
