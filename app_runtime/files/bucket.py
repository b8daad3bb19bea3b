"""One bucket, by the protocol of S3: requests, their answers, and what went wrong.

A server that is mute costs those who are on the way one time-out, and everybody after that nothing,
until a probe has had an answer. Not all threads of a process wait for it at once, so calls without
files go on. It changes with how S3 is spoken to.
"""

import io
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from jac_converge.app_runtime.files.blobs import PIECE, FilesDown, NoSuchFile
from jac_converge.app_runtime.files.keys import BadKey
from jac_converge.app_runtime.files.replies import Refusal
from jac_converge.app_runtime.files.signing import Credentials, Signer, encoded
from jac_converge.app_runtime.forks import begin_anew_in_children
from jac_converge.app_runtime.stores.breaker import Breaker
from jac_converge.config.storage import StorageSettings

__all__ = ["Answer", "Bucket"]

AT_ONCE = 48  # requests of one process: three in four of the threads of its calls
PATIENCE = 0.5  # s to wait for one of those to end
ALIVE = urllib3.Timeout(connect=1.0, read=1.0)  # s for a sign of life
LONGEST_WAIT = 5.0  # s between two probes
LONGEST_ERROR = 64 * 1024  # bytes
GOOD = 300  # statuses below

type Answer = urllib3.BaseHTTPResponse


def _now() -> datetime:
    return datetime.now(UTC)


class _Again(urllib3.Retry):
    """Repeats what broke, and not what had no answer in time: nobody is waited for three times."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: Answer | None = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """Count an attempt."""
        late = (urllib3.exceptions.TimeoutError, TimeoutError)
        if error is not None and any(isinstance(one, late) for one in (error, *error.args)):
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)


RETRIES = _Again(
    total=2, status_forcelist=(500, 502, 503, 504), allowed_methods=None, backoff_factor=0.2,
    raise_on_status=False, redirect=False, respect_retry_after_header=False,
)  # fmt: skip
"""Each request may be repeated: what it does twice is done. A `Retry-After` may be of hours."""


class Bucket:
    """Sends signed requests to one bucket."""

    def __init__(
        self,
        settings: StorageSettings,
        *,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        """Describe it; nothing is asked yet.

        Args:
            settings: with a bucket.
            clock: in UTC; a request is good for a quarter of an hour.
        """
        self._clock = clock
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
        self.begin_anew()
        begin_anew_in_children(self)

    def begin_anew(self) -> None:
        """Know no connection, and of no outage; what there was is neither used nor closed."""
        settings = self._settings
        limits = urllib3.Timeout(connect=settings.connect_timeout, read=settings.read_timeout)
        self._pool = urllib3.PoolManager(
            num_pools=1, maxsize=AT_ONCE, timeout=limits, retries=RETRIES
        )
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._breaker = Breaker(
            self._probe,
            subject="S3",
            down=FilesDown,
            meanwhile="files are refused until it answers",
            longest_wait=LONGEST_WAIT,
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
            BadKey: no object can have this name.
            FilesDown: S3 refused, or did not answer.
        """
        path, asked = self._path(key), query or {}
        signed = self._signer().headers(method, path, asked, headers or {}, body, now=self._clock())
        url = f"{self._origin}{path}" + (f"?{encoded(asked)}" if asked else "")
        with self._place(), self._telling(f"S3 failed for {key or 'the bucket'}"):
            # Of a file, each piece may take the time-out; of bytes, all of them together.
            answer = self._pool.request(
                method,
                url,
                headers={**signed, "content-length": str(len(body))} if body else signed,
                body=io.BytesIO(body) if body else None,
                preload_content=not stream,
            )
            if answer.status >= GOOD:
                self._refuse(method, key, answer, stream=stream)
        return answer

    def pieces(self, answer: Answer) -> Iterator[bytes]:
        """Yield the body of a streamed answer.

        Raises:
            FilesDown: it broke off.
        """
        with self._telling("S3 broke off"):
            yield from answer.stream(PIECE, decode_content=False)

    def url(self, key: str, *, query: Mapping[str, str], seconds: int) -> str:
        """Return a URL by which whoever has it reads an object for a while."""
        path = self._path(key)
        signed = self._signer().query(path, query, seconds=seconds, now=self._clock())
        return f"{self._origin}{path}?{encoded(signed)}"

    def close(self) -> None:
        """Ask nothing any more."""
        self._breaker.close()
        self._pool.clear()

    def _path(self, key: str) -> str:
        return f"{self._base}/{quote(key, safe='/')}" if key else self._base or "/"

    def _signer(self) -> Signer:
        return Signer(
            credentials=_credentials(self._settings), host=self._host, region=self._region
        )

    def _refuse(self, method: str, key: str, answer: Answer, *, stream: bool) -> None:
        try:
            body = answer.read(LONGEST_ERROR) if stream else answer.data
        finally:
            answer.close()
        refusal = Refusal(
            method=method,
            status=answer.status,
            headers=answer.headers,
            body=body,
            region=self._region,
            now=self._clock(),
        )
        if refusal.gone:
            raise NoSuchFile(f"there is no file {key}")
        if refusal.of_the_name:  # it comes from a client, behind a prefix and a folder of ours
            raise BadKey(f"S3 does not take this name ({refusal.code})")
        raise FilesDown(refusal.text(key or "the bucket"))

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Have one of the places; a crowd before a slow server takes no more threads than those."""
        self._breaker.check()
        if not self._places.acquire(timeout=PATIENCE):
            raise FilesDown(f"{AT_ONCE} requests to S3 are under way, and none of them ends")
        try:
            yield
        finally:
            self._places.release()

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        """Tell what breaks in words of ours, and see whether anybody is there at all."""
        try:
            yield
        except HTTPError as error:
            down = FilesDown(f"{what} ({type(error).__name__}): {error}")
            # One slow answer is no outage: it is asked once more, for next to nothing.
            if not self._answers():
                self._breaker.trip(down)
            raise down from error

    def _answers(self) -> bool:
        """Ask for a sign of life; whatever it says is one, so nothing is signed."""
        self._pool.clear()  # what is idle may be to a server that is no more
        try:
            self._pool.request(
                "HEAD", f"{self._origin}{self._base or '/'}", timeout=ALIVE, retries=False
            )
        except HTTPError:
            return False
        return True

    def _probe(self) -> None:
        if not self._answers():
            raise FilesDown("S3 does not answer")


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
