"""One bucket, by the protocol of S3: requests, their answers, and what went wrong.

It changes with how S3 is spoken to.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

import urllib3

from jac_converge.app_runtime.files.blobs import PIECE, FilesDown, NoSuchFile
from jac_converge.app_runtime.files.signing import Credentials, Signer, encoded
from jac_converge.config.storage import StorageSettings

__all__ = ["Answer", "Bucket", "parsed", "pieces_of", "tell"]

CONNECT, READ = 5.0, 10.0  # s; a call that waits holds a thread
CONNECTIONS = 32
LONGEST_ERROR = 64 * 1024  # bytes
GOOD = 300  # statuses below
RETRIES = urllib3.Retry(
    total=2, status_forcelist=(500, 502, 503, 504), allowed_methods=None, backoff_factor=0.2,
    raise_on_status=False, redirect=False,
)  # fmt: skip
"""Each request may be repeated: what it does twice is done."""
GONE = frozenset({"NoSuchKey", "NoSuchUpload", "PreconditionFailed"})

type Answer = urllib3.BaseHTTPResponse


class Bucket:
    """Sends signed requests to one bucket."""

    def __init__(self, settings: StorageSettings) -> None:
        """Describe it; nothing is asked yet."""
        name, region = settings.bucket or "", settings.region
        if settings.endpoint_url is not None:
            parts = urlsplit(settings.endpoint_url)
            scheme, host, self._base = parts.scheme, parts.netloc, f"/{name}"
        elif "." in name:  # its certificate would not fit
            scheme, host, self._base = "https", f"s3.{region}.amazonaws.com", f"/{name}"
        else:
            scheme, host, self._base = "https", f"{name}.s3.{region}.amazonaws.com", ""
        self._origin = f"{scheme}://{host}"
        self._host, self._region, self._settings = host, region, settings
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=CONNECTIONS,
            timeout=urllib3.Timeout(connect=CONNECT, read=READ),
            retries=RETRIES,
        )

    def send(
        self,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        stream: bool = False,
    ) -> Answer:
        """Send a request, and return an answer that is good.

        Args:
            method: of HTTP.
            key: of an object; none: to the bucket itself.
            query: not encoded.
            headers: further ones.
            body: all of it.
            stream: leave the body of the answer to be read; whoever does so lets go of it.

        Raises:
            NoSuchFile: there is no such object.
            FilesDown: S3 refused, or did not answer.
        """
        path, asked = self._path(key), query or {}
        signed = self._signer().headers(
            method, path, asked, headers or {}, body, now=datetime.now(UTC)
        )
        url = f"{self._origin}{path}" + (f"?{encoded(asked)}" if asked else "")
        try:
            answer = self._pool.request(
                method, url, headers=signed, body=body or None, preload_content=not stream
            )
        except urllib3.exceptions.HTTPError as error:
            text = f"S3 failed for {key or 'the bucket'} ({type(error).__name__}): {error}"
            raise FilesDown(text) from error
        if answer.status >= GOOD:
            self._refuse(method, key, answer, stream=stream)
        return answer

    def url(self, key: str, *, query: Mapping[str, str], seconds: int) -> str:
        """Return a URL by which whoever has it reads an object for a while."""
        path = self._path(key)
        signed = self._signer().query(path, query, seconds=seconds, now=datetime.now(UTC))
        return f"{self._origin}{path}?{encoded(signed)}"

    def _path(self, key: str) -> str:
        return f"{self._base}/{quote(key, safe='/')}" if key else self._base or "/"

    def _signer(self) -> Signer:
        return Signer(
            credentials=_credentials(self._settings), host=self._host, region=self._region
        )

    def _refuse(self, method: str, key: str, answer: Answer, *, stream: bool) -> None:
        try:
            text = answer.read(LONGEST_ERROR) if stream else answer.data
        finally:
            answer.close()
        code = tell(parsed(text), "Code") or f"HTTP {answer.status}"
        missing = answer.status == 404 and method == "HEAD"  # noqa: PLR2004 - of HTTP; no body
        if code in GONE or missing:
            raise NoSuchFile(f"there is no file {key}")
        raise FilesDown(f"S3 refused {method} {key or 'the bucket'} ({code})")


def pieces_of(answer: Answer) -> Iterator[bytes]:
    """Yield the body of a streamed answer.

    Raises:
        FilesDown: it broke off.
    """
    try:
        yield from answer.stream(PIECE, decode_content=False)
    except urllib3.exceptions.HTTPError as error:
        raise FilesDown(f"S3 broke off ({type(error).__name__}): {error}") from error


def parsed(text: bytes) -> Any:
    """Read an answer; None: it is no XML."""
    with suppress(ET.ParseError):
        return ET.fromstring(text)  # noqa: S314 - of the operator's own server; expat bounds entities
    return None


def tell(element: Any, name: str) -> str:
    """Return the text of the first part of this name, whatever its namespace; none: empty."""
    found = None if element is None else element.find(f"{{*}}{name}")
    return "" if found is None else found.text or ""


def _credentials(settings: StorageSettings) -> Credentials:
    """Find out who we are; credentials of the environment may be other ones each time.

    Raises:
        FilesDown: nobody says.
    """
    secret = settings.secret_access_key
    if settings.access_key_id is not None and secret is not None:
        return Credentials(key_id=settings.access_key_id, secret=secret.get_secret_value())
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    found = [os.environ.get(name) for name in names]
    if found[0] and found[1]:
        token = os.environ.get("AWS_SESSION_TOKEN")
        return Credentials(key_id=found[0], secret=found[1], token=token or None)
    text = "set [converge.storage] access_key_id and secret_access_key"
    raise FilesDown(f"there are no credentials for S3: {text}, or {' and '.join(names)}")
