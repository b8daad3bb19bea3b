"""One repository of one registry, by the OCI distribution API: the only speaker of it.

Every answer that is no success becomes a `ClusterError`, so `retry.py` decides about it as about
everything else. It changes when registries turn out to answer in another way.

Source: OCI distribution specification v1.1; distribution/distribution, token authentication.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from http import HTTPStatus
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, Final
from urllib.parse import unquote, urlencode, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry, Timeout
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import Url, make_headers, parse_url

from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.image.authorization import Authorization
from jac_converge.reconciler.image.logins import Login, find_login, login_files
from jac_converge.reconciler.image.manifest import (
    INDEXES,
    MANIFESTS,
    Descriptor,
    Image,
    descriptor_of,
)
from jac_converge.reconciler.image.reference import Reference
from jac_converge.reconciler.image.refusals import answered, broken
from jac_converge.reconciler.retry import retried

__all__ = ["Registry", "open_registry"]

CHUNK: Final = 8 << 20
"""bytes of one part, where a registry does not take a blob whole"""

_PIECE: Final = 1 << 16
"""bytes of a download; small, since what came of one that broke off does not count"""

_PATIENCE = 60.0
"""Seconds to keep trying one request while its error is transient, and nothing comes."""

_FIRST_PATIENCE = 3.0
"""The same before the registry answered once: then it is more likely a wrong address."""

_TIMEOUT = Timeout(connect=10.0, read=60.0)

_REDIRECTS = Retry(connect=0, read=0, status=0, other=0, redirect=5)

_TLS = 443
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def open_registry(
    reference: Reference, environ: Mapping[str, str], *, plain_http: bool, stop: Event
) -> "Registry":
    """Open a repository with the login that docker, podman or buildah would use.

    Raises:
        Refused: a credential helper is not there, or fails.
        Invalid: the proxy of this machine is no address.
    """
    return Registry(
        reference,
        login=find_login(reference.registry, reference.repository, environ),
        plain_http=plain_http,
        stop=stop,
        looked_in=tuple(login_files(environ)),
    )


class Registry:
    """Reads and writes one repository.

    Args:
        reference: names the repository; its version does not matter.
        login: who we are; None: nobody.
        plain_http: speak without TLS; on the loopback that is so anyway.
        stop: ends every wait.
        looked_in: where a login was looked for, to be told when one is missing.
        clock: seconds, from whenever on.

    Raises:
        Invalid: the proxy of this machine is no address.
    """

    def __init__(
        self,
        reference: Reference,
        *,
        login: Login | None,
        plain_http: bool,
        stop: Event,
        looked_in: tuple[Path, ...] = (),
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.reference = reference
        self._stop = stop
        self._clock = clock
        self._patience = _FIRST_PATIENCE
        parts = urlsplit(f"//{reference.server}")
        near = parts.hostname in _LOOPBACK
        scheme = "http" if plain_http or (near and parts.port != _TLS) else "https"
        self._pool = _direct() if near else _pool_to(scheme, reference)
        self._url = f"{scheme}://{reference.server}/v2/{reference.repository}/"
        self._authorization = Authorization(self._pool, reference, login, looked_in)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def find(self, version: str) -> Descriptor | None:
        """Refer to a manifest, without reading it; None: there is none."""
        subject = f"{self._named(version)} lookup"
        with closing(
            self._ask("HEAD", f"manifests/{version}", subject, headers=_ACCEPT, ok=(200, 404))
        ) as answer:
            digest = answer.headers.get("Docker-Content-Digest", "")
            if answer.status == HTTPStatus.NOT_FOUND:
                return None
            media_type = answer.headers.get("Content-Type", "")
            size = int(answer.headers.get("Content-Length", 0))
        if digest:
            return Descriptor(media_type=media_type, digest=digest, size=size)
        media_type, content = self.manifest(version)
        return descriptor_of(media_type, content)

    def manifest(self, version: str) -> tuple[str, bytes]:
        """Read a manifest or an index: its media type, and its bytes."""
        subject = f"{self._named(version)} pull"
        with closing(self._ask("GET", f"manifests/{version}", subject, headers=_ACCEPT)) as answer:
            return answer.headers.get("Content-Type", "").partition(";")[0], answer.read()

    def download(self, digest: str, store: Callable[[Iterator[bytes]], Path]) -> Path:
        """Read a blob; again from its beginning where the connection broke.

        Args:
            digest: of the blob.
            store: takes its pieces; returns where they are.
        """
        transfer = _Transfer(self._clock)
        call = partial(self._download, digest, store, transfer)
        return retried(
            call,
            stop=self._stop,
            patience=self._patience,
            # What came before it broke off may have taken minutes, and was no waiting.
            busy=lambda: transfer.seconds,
            clock=self._clock,
        )

    def has(self, digest: str) -> bool:
        """Whether the repository has a blob."""
        subject = f"{self._named(digest)} lookup"
        with closing(
            self._ask("HEAD", f"blobs/{digest}", subject, ok=(200, 404), writes=True)
        ) as answer:
            return answer.status == HTTPStatus.OK

    def mount(self, digest: str, repository: str) -> bool:
        """Take a blob over from another repository of the same registry; False: it does not."""
        subject = f"{self._named(digest)} mount from {repository}"
        query = urlencode({"mount": digest, "from": repository})
        self._authorization.also_read(repository)
        with closing(
            self._ask("POST", f"blobs/uploads/?{query}", subject, ok=(201, 202, 404), writes=True)
        ) as answer:
            if answer.status == HTTPStatus.CREATED:
                return True
            if place := answer.headers.get("Location"):
                self._cancel(urljoin(self._url, place), subject)
            return False

    def upload(self, descriptor: Descriptor, path: Path) -> None:
        """Send a blob; whole, or in parts where the registry does not take so much at once."""
        subject = f"{self._named(descriptor.digest)} push"
        call = partial(self._upload, descriptor, path, subject)
        retried(call, stop=self._stop, patience=self._patience)

    def put(self, image: Image, version: str) -> None:
        """Write a manifest, when every blob that it names is there."""
        subject = f"{self._named(version)} push"
        headers = {"Content-Type": image.media_type}
        with closing(
            self._ask(
                "PUT",
                f"manifests/{version}",
                subject,
                headers=headers,
                body=image.manifest,
                ok=(200, 201),
                writes=True,
            )
        ):
            pass

    def _named(self, version: str) -> str:
        mark = "@" if version.startswith("sha256:") else ":"
        return f"{self.reference.registry}/{self.reference.repository}{mark}{version}"

    def _download(
        self, digest: str, store: Callable[[Iterator[bytes]], Path], transfer: "_Transfer"
    ) -> Path:
        subject = f"{self._named(digest)} pull"
        url = urljoin(self._url, f"blobs/{digest}")
        with closing(
            self._once("GET", url, subject, {}, body=None, ok=(200,), writes=False)
        ) as answer:
            return store(transfer.pieces(answer, subject))

    def _upload(self, descriptor: Descriptor, path: Path, subject: str) -> None:
        place = self._begin(subject)
        query = urlencode({"digest": descriptor.digest})
        whole = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(descriptor.size),
        }
        with path.open("rb") as content:
            sent = self._send(
                "PUT", _with(place, query), subject, whole, content, ok=(201, 202, 413)
            )
        if sent.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return
        place, start = self._begin(subject), 0
        with path.open("rb") as content:
            while part := content.read(CHUNK):
                headers = {
                    "Content-Type": "application/octet-stream",
                    "Content-Range": f"{start}-{start + len(part) - 1}",
                    "Content-Length": str(len(part)),
                }
                answer = self._send("PATCH", place, subject, headers, part, ok=(202, 204))
                place = urljoin(place, answer.headers.get("Location", place))
                start += len(part)
        self._send("PUT", _with(place, query), subject, {"Content-Length": "0"}, b"", ok=(201, 202))

    def _begin(self, subject: str) -> str:
        answer = self._send(
            "POST", urljoin(self._url, "blobs/uploads/"), subject, {}, b"", ok=(202,)
        )
        if not (place := answer.headers.get("Location")):
            raise Invalid(subject, "the registry does not say where an upload goes")
        return urljoin(self._url, place)

    def _cancel(self, url: str, subject: str) -> None:
        self._send("DELETE", url, subject, {}, b"", ok=range(200, 500))

    def _send(
        self, method: str, url: str, subject: str, headers: dict[str, str], body: Any, *, ok: Any
    ) -> BaseHTTPResponse:
        """Send once, read the answer; an upload is retried from its beginning, by its caller."""
        with closing(
            self._once(method, url, subject, headers, body=body, ok=ok, writes=True)
        ) as answer:
            answer.read()
            return answer

    def _ask(
        self,
        method: str,
        path: str,
        subject: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        ok: Any = (200,),
        writes: bool = False,
    ) -> BaseHTTPResponse:
        url = urljoin(self._url, path)
        call = partial(
            self._once, method, url, subject, headers or {}, body=body, ok=ok, writes=writes
        )
        return retried(call, stop=self._stop, patience=self._patience)

    def _once(
        self,
        method: str,
        url: str,
        subject: str,
        headers: dict[str, str],
        *,
        body: Any,
        ok: Any,
        writes: bool,
    ) -> BaseHTTPResponse:
        ours = urlsplit(url).netloc == urlsplit(self._url).netloc
        for last in (False, True):
            # An address outside of the registry was signed by it, and gets no login of ours.
            login = self._authorization.header(writes=writes) if ours else {}
            try:
                answer = self._pool.request(
                    method,
                    url,
                    headers={**headers, **login},
                    body=body,
                    preload_content=False,
                    redirect=method in ("GET", "HEAD"),
                    retries=_REDIRECTS if method in ("GET", "HEAD") else False,
                )
            except (HTTPError, LocationParseError, OSError) as exc:
                raise broken(subject, exc) from exc
            self._patience = _PATIENCE
            if answer.status in ok:
                return answer
            text = _text(answer)
            answer.close()
            if answer.status == HTTPStatus.UNAUTHORIZED and ours and not last:
                challenge = answer.headers.get("WWW-Authenticate", "")
                if self._authorization.answer(challenge, subject, writes=writes):
                    if hasattr(body, "seek"):
                        body.seek(0)
                    continue
            break
        raise answered(
            subject,
            answer.status,
            text,
            answer.headers,
            self._authorization.told,
        )


_ACCEPT = {"Accept": ", ".join((*MANIFESTS, *INDEXES))}


def _direct() -> PoolManager:
    return PoolManager(timeout=_TIMEOUT, retries=False)


def _pool_to(scheme: str, reference: Reference) -> PoolManager:
    """Go through the proxy that this machine has for a server, as pip finds it, if we speak to it.

    Raises:
        Invalid: it is no address.
    """
    proxies = {} if proxy_bypass(reference.server) else getproxies()
    kind = scheme if proxies.get(scheme) else "all"
    proxy = proxies.get(kind, "")
    if not proxy or ("://" in proxy and not proxy.startswith(("http://", "https://"))):
        return _direct()
    try:
        url = parse_url(proxy if "://" in proxy else f"http://{proxy}")
    except LocationParseError:
        url = Url()
    if not url.host:
        # Neither what it says nor why that cannot be read is told: a password may be in both.
        advice = "write it as http://user:password@host:port, with what is special in it as %XX"
        cause = f"the proxy in {kind.upper()}_PROXY is no address"
        raise Invalid(f"{reference.registry} lookup", cause, advice)
    headers = make_headers(proxy_basic_auth=unquote(url.auth)) if url.auth else None
    place = url._replace(auth=None).url
    return ProxyManager(place, proxy_headers=headers, timeout=_TIMEOUT, retries=False)


class _Transfer:
    """How long the pieces of a blob took to come, in all tries together."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.seconds = 0.0

    def pieces(self, answer: BaseHTTPResponse, subject: str) -> Iterator[bytes]:
        last = self._clock()
        try:
            for piece in answer.stream(_PIECE):
                now = self._clock()
                self.seconds, last = self.seconds + now - last, now
                yield piece
        except HTTPError as exc:
            raise broken(subject, exc) from exc


def _text(answer: BaseHTTPResponse) -> bytes:
    try:
        return answer.read(4096)
    except HTTPError:
        return b""


def _with(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}"
