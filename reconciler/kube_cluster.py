"""`Cluster` over HTTP.

Requests and answers are raw JSON over a connection pool, because the official client's
typed models lose fields in a round trip and its watches lose their place. Every HTTP or transport
error leaves here as one of `errors.py`.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError

from jac_converge.reconciler.authorship import ownership_patch
from jac_converge.reconciler.encoding import encoded
from jac_converge.reconciler.errors import (
    ClusterError,
    Invalid,
    Missing,
    NoCluster,
    Refused,
    ServerFault,
    Unreachable,
    Unserved,
    classify,
)
from jac_converge.reconciler.kubeconfig import context_name
from jac_converge.reconciler.login import Login
from jac_converge.reconciler.objects import LEASE, Kind, Object, kind_named
from jac_converge.reconciler.ownership import FIELD_MANAGER
from jac_converge.reconciler.position import Listed
from jac_converge.reconciler.watch_stream import KubeWatchStream, StreamedLines

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

__all__ = ["USUAL", "KubeCluster", "Limits", "connect"]


logger = logging.getLogger(__name__)


UNARY_TIMEOUT: Final = urllib3.Timeout(connect=3.05, read=10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much, how long and how fast."""

    pace: Callable[[], None] = lambda: None
    """Called before every request but a watch; may wait."""
    page: int = 500
    """Objects per page of a list."""
    silence: urllib3.Timeout = urllib3.Timeout(connect=3.05, read=75.0)  # noqa: RUF009 - not mutated
    """Of a watch: bookmarks come each 60 s, so 75 s without a byte mean that the peer is dead."""


USUAL: Final = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The pinned cluster: fixed when the command starts, so that nothing ambient redirects it."""

    context: str
    server: str
    namespace: str
    selector: str


def connect(
    *,
    context: str | None,
    namespace: str,
    selector: str,
    config_file: str | None = None,
    limits: Limits = USUAL,
) -> "KubeCluster":
    """Pin a cluster.

    Args:
        context: of the kubeconfig; None for its current one.
        namespace: the app's.
        selector: label selector of the app's objects.
        config_file: the kubeconfig; None for KUBECONFIG, else the usual place.
        limits: how much to ask for at once, and how fast.

    Raises:
        NoCluster: there is no kubeconfig, or no such context in it.
    """
    chosen = context_name(context, config_file)
    login = Login(chosen, config_file)
    target = Target(context=chosen, server=login.server, namespace=namespace, selector=selector)
    return KubeCluster(target, login, limits)


class KubeCluster:
    """`Cluster` over a pool of connections."""

    def __init__(self, target: Target, login: Login, limits: Limits = USUAL) -> None:
        self.target = target
        self._login = login
        self._limits = limits

    def beside(
        self, *, namespace: str, selector: str, pace: Callable[[], None] | None = None
    ) -> "KubeCluster":
        """Another namespace, or another selection, of the same cluster through the same login.

        Args:
            namespace: empty for all of them; then there is nothing to be got or written.
            selector: label selector.
            pace: of its own; None: the same one.
        """
        target = replace(self.target, namespace=namespace, selector=selector)
        limits = self._limits if pace is None else replace(self._limits, pace=pace)
        return KubeCluster(target, self._login, limits)

    def get(self, kind: Kind, name: str) -> Object | None:
        """See `Cluster.get`."""
        try:
            return self._request(f"{kind.name}/{name} get", "GET", self._path(kind, name))
        except (Missing, Unserved):
            return None

    def list_kind(self, kind: Kind, version: str = "") -> Listed:
        """See `Cluster.list_kind`."""
        query = {**self._selection(kind), "limit": str(self._limits.page)}
        if version:
            query |= {"resourceVersion": version}
        items: list[Object] = []
        while True:
            subject = f"{kind.plural} list"
            page = self._page(subject, kind, query)
            if "items" not in page or "resourceVersion" not in page["metadata"]:
                raise ServerFault(subject, "the answer is no list")
            # The items of a list carry neither kind nor apiVersion.
            items += (
                {"apiVersion": kind.api_version, "kind": kind.name, **i} for i in page["items"]
            )
            rest = page["metadata"].get("continue")
            if not rest:
                return Listed(tuple(items), page["metadata"]["resourceVersion"])
            query = {**self._selection(kind), "limit": str(self._limits.page), "continue": rest}

    def first(self, kind: Kind) -> Object | None:
        """One object of a kind without namespaces, whichever; None where there is none."""
        page = self._page(f"{kind.plural} list", kind, {"limit": "1"})
        return next(iter(page.get("items") or ()), None)

    def _page(self, subject: str, kind: Kind, query: Mapping[str, str]) -> Object:
        try:
            return self._request(subject, "GET", self._path(kind), query=query)
        except (Missing, Unserved) as error:
            if "/" in kind.api_version:
                raise
            # Every cluster knows these, and lists none where there is none.
            raise NoCluster(
                subject,
                f"what answers at {self.target.server} is no Kubernetes API server (HTTP 404)",
                f"check the server of context {self.target.context}, or give another --context",
            ) from error

    def watch(self, kind: Kind, version: str, seconds: int) -> KubeWatchStream:
        """See `Cluster.watch`."""
        query = {
            **self._selection(kind),
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        subject = f"{kind.plural} watch"
        response = self._send(subject, "GET", self._path(kind), query=query, stream=True)
        return KubeWatchStream(subject, response)

    def apply(self, obj: Object, *, manager: str = FIELD_MANAGER, dry_run: bool = False) -> Object:
        """See `Cluster.apply`."""
        kind, name = _kind_of(obj), obj["metadata"]["name"]
        query = {"fieldManager": manager, "force": "true"}
        if dry_run:
            query |= {"dryRun": "All"}
        return self._request(
            f"{kind.name}/{name} apply",
            "PATCH",
            self._path(kind, name),
            query=query,
            body=obj,
            content_type="application/apply-patch+yaml",
        )

    def create(self, obj: Object) -> Object:
        """See `Cluster.create`."""
        kind = _kind_of(obj)
        return self._request(
            f"{kind.name}/{obj['metadata']['name']} create",
            "POST",
            self._path(kind),
            query={"fieldManager": FIELD_MANAGER},
            body=obj,
            content_type="application/json",
        )

    def patch_ownership(self, obj: Object, fields: list[dict[str, Any]]) -> Object:
        """See `Cluster.patch_ownership`."""
        metadata = obj["metadata"]
        same = {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]}
        changed = ownership_patch(metadata.get("managedFields") or [], fields)
        return self.patch(obj, [same, *changed])

    def patch(self, obj: Object, operations: list[dict[str, Any]]) -> Object:
        """See `Cluster.patch`."""
        kind, name = _kind_of(obj), obj["metadata"]["name"]
        return self._request(
            f"{kind.name}/{name} patch",
            "PATCH",
            self._path(kind, name),
            body=operations,
            content_type="application/json-patch+json",
        )

    def delete(self, obj: Object, *, unchanged: bool = False, alone: bool = False) -> None:
        """See `Cluster.delete`."""
        kind, metadata = _kind_of(obj), obj["metadata"]
        same = ("uid", "resourceVersion") if unchanged else ("uid",)
        options = {
            "propagationPolicy": "Orphan" if alone else "Background",
            "preconditions": {name: metadata[name] for name in same},
        }
        try:
            self._request(
                f"{kind.name}/{metadata['name']} delete",
                "DELETE",
                self._path(kind, metadata["name"]),
                body=options,
                content_type="application/json",
            )
        except Missing:
            logger.debug("object was gone already", extra={"subject": metadata["name"]})

    def lines(self, subject: str, path: str, query: Mapping[str, str]) -> StreamedLines:
        """GET an answer that may not end, line by line.

        Args:
            subject: of errors.
            path: below the app's namespace, such as `pods/shop-1/log`.
            query: its parameters.
        """
        below = f"/api/v1/namespaces/{self.target.namespace}/{path}"
        return StreamedLines(subject, self._send(subject, "GET", below, query=query, stream=True))

    def dial(
        self, subject: str, path: str, query: Sequence[tuple[str, str]], protocol: str
    ) -> "ClientConnection":
        """Open a websocket; arguments as of `lines`, and its subprotocol.

        Here, because it is the pinned cluster's, by the pinned login.
        """
        # Not at the top: nothing else speaks by websocket.
        from jac_converge.reconciler.pod_socket import open_socket  # noqa: PLC0415

        below = f"/api/v1/namespaces/{self.target.namespace}/{path}?{urlencode(query)}"
        url = f"{self.target.server}{below}"
        access, login = self._login.current()
        try:
            return open_socket(subject, url, access.pool, login, protocol)
        except Refused as error:
            if not error.expired:
                raise
            self._login.renew(access)
        access, login = self._login.current()
        return open_socket(subject, url, access.pool, login, protocol)

    def reauthenticate(self) -> None:
        """See `Cluster.reauthenticate`."""
        self._login.renew()

    def check_identity(self) -> None:
        """See `Cluster.check_identity`."""
        path = "/api/v1/namespaces/kube-system"
        try:
            found = str(self._request("cluster identity read", "GET", path)["metadata"]["uid"])
        except Refused as error:
            # Who may not read that namespace is pinned by context and URL alone.
            logger.debug("cluster is not pinned by identity", extra={"cause": error})
            return
        if self._login.identity not in {None, found}:
            raise NoCluster(
                "cluster identity check",
                f"another cluster than before answers as {self.target.server}",
                "start again if that is meant",
            )
        self._login.identity = found

    def _path(self, kind: Kind, name: str = "") -> str:
        group = "api" if "/" not in kind.api_version else "apis"
        one = kind.namespaced and self.target.namespace
        scope = f"/namespaces/{self.target.namespace}" if one else ""
        tail = f"/{quote(name)}" if name else ""
        return f"/{group}/{kind.api_version}{scope}/{kind.plural}{tail}"

    def _selection(self, kind: Kind) -> dict[str, str]:
        if kind.name == "Namespace" and not self.target.namespace:
            return {}
        if kind.name == "Namespace":
            return {"fieldSelector": f"metadata.name={self.target.namespace}"}
        return {"labelSelector": self.target.selector}

    def _request(
        self,
        subject: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str | None = None,
    ) -> Object:
        response = self._send(
            subject, method, path, query=query, body=body, content_type=content_type
        )
        try:
            answer = json.loads(response.data)
        except ValueError as exc:
            raise _not_the_server(subject) from exc
        if not isinstance(answer, dict) or not isinstance(answer.get("metadata"), dict):
            raise _not_the_server(subject)
        return answer

    def _send(
        self,
        subject: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str | None = None,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """One request; a login that expired is renewed once."""
        payload = None if body is None else encoded(body)
        url = f"{self.target.server}{path}{f'?{urlencode(query)}' if query else ''}"
        for renewed in (False, True):
            if not stream:
                self._limits.pace()
            access, login = self._login.current()
            headers = {"Accept": "application/json", "User-Agent": FIELD_MANAGER, **login}
            if content_type:
                headers["Content-Type"] = content_type
            try:
                response: urllib3.BaseHTTPResponse = access.pool.request(
                    method,
                    url,
                    body=payload,
                    headers=headers,
                    timeout=self._limits.silence if stream else UNARY_TIMEOUT,
                    preload_content=not stream,
                    retries=False,
                )
                if response.status < HTTPStatus.BAD_REQUEST:
                    return response
                error = classify(subject, response.status, response.data, response.headers)
            except HTTPError as exc:
                raise _unreachable(subject, self.target.server, exc) from exc
            if renewed or not (isinstance(error, Refused) and error.expired):
                break
            self._login.renew(access)
        raise error


def _kind_of(obj: Object) -> Kind:
    return LEASE if obj["kind"] == "Lease" else kind_named(obj["kind"])


def _not_the_server(subject: str) -> ServerFault:
    # Such as the log-in page of a hotel's network, with a 200. Not quoted: it may hold a secret.
    return ServerFault(subject, "the answer is not the API server's, but some proxy's")


def _unreachable(subject: str, server: str, exc: HTTPError) -> ClusterError:
    cause = exc.reason if isinstance(exc, MaxRetryError) and exc.reason else exc
    text = str(cause)
    if "certificate verify failed" in text or "CERTIFICATE_VERIFY_FAILED" in text:
        return Invalid(subject, f"{server} is not who it says it is ({text})")
    return Unreachable(
        subject,
        f"{server} does not answer ({type(cause).__name__})",
        "is the cluster running, and is this the right context?",
    )
