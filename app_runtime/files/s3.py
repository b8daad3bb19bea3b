"""Files as objects of a bucket.

Large ones go in parts, so no more than a part is in memory, and one that is given up is aborted: it
leaves nothing. It changes with how files are kept in a bucket.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote_plus

from jac_converge.app_runtime.files.blobs import FilesDown, Info, NoSuchFile, Source
from jac_converge.app_runtime.files.bucket import Answer, Bucket
from jac_converge.app_runtime.files.keys import BadKey
from jac_converge.app_runtime.files.metadata import kind_of, metadata_in, metadata_out
from jac_converge.app_runtime.files.replies import is_error, parsed, tell
from jac_converge.config.storage import StorageSettings

__all__ = ["S3Files"]

PART = 5 * 1024 * 1024  # bytes, the least that S3 takes; and 10,000 of them are the most
MOST_PARTS = 10_000
MOST_GIVEN_UP = 1000  # uploads that are remembered


class S3Files:
    """The files of one bucket, below a prefix."""

    def __init__(self, settings: StorageSettings) -> None:
        """Describe it; nothing is asked yet.

        Args:
            settings: with a bucket.
        """
        self._bucket, self._prefix = Bucket(settings), settings.prefix
        self._name = settings.bucket or ""
        self._direct = settings.direct_urls
        self._given_up: deque[tuple[str, Mapping[str, str]]] = deque(maxlen=MOST_GIVEN_UP)
        """Uploads that could not be aborted, since S3 did not answer."""

    def write(
        self,
        key: str,
        source: Source,
        *,
        metadata: Mapping[str, str],
        go_on: Callable[[], None],
    ) -> None:
        """Store a file: at once if it is small, else in parts."""
        about = {"content-type": kind_of(key, metadata), **metadata_out(metadata)}
        first = _filled(source, go_on)
        go_on()
        for _ in range(len(self._given_up)):
            with suppress(IndexError):  # another thread was faster
                self._abort(*self._given_up.popleft())
        if len(first) < PART:
            self._bucket.send("PUT", self._at(key), headers=about, body=first)
            return
        answer = self._bucket.send("POST", self._at(key), query={"uploads": ""}, headers=about)
        upload = {"uploadId": tell(parsed(answer.data), "UploadId")}
        try:
            held, first = [first], b""  # so that nobody here has it until the end
            tags = self._send(key, upload, held, source, go_on)
            self._complete(key, upload, tags)
        except BaseException:
            self._abort(key, upload)
            raise

    def _abort(self, key: str, upload: Mapping[str, str]) -> None:
        """Give up what is not whole; where S3 does not answer, later."""
        try:
            self._bucket.send("DELETE", self._at(key), query=upload)
        except NoSuchFile:
            pass
        except FilesDown:
            self._given_up.append((key, upload))

    def _send(
        self,
        key: str,
        upload: Mapping[str, str],
        held: list[bytes],
        source: Source,
        go_on: Callable[[], None],
    ) -> list[str]:
        """Send parts, the first of which is held; returns what each is known by."""
        tags: list[str] = []
        part = held.pop()
        while part:
            if len(tags) == MOST_PARTS:
                raise BadKey(f"{key} is larger than {MOST_PARTS * PART} bytes")
            query = {**upload, "partNumber": str(len(tags) + 1)}
            answer = self._bucket.send("PUT", self._at(key), query=query, body=part)
            tags.append(answer.headers.get("etag", ""))
            go_on()
            part = b""
            part = _filled(source, go_on)
        return tags

    def _complete(self, key: str, upload: Mapping[str, str], tags: list[str]) -> None:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
            for number, tag in enumerate(tags, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        try:
            told = parsed(self._bucket.send("POST", self._at(key), query=upload, body=body).data)
        except NoSuchFile as error:  # asked twice, since the first answer got lost
            raise FilesDown(f"S3 may or may not have put {key} together") from error
        if is_error(told):
            raise FilesDown(f"S3 did not put {key} together ({tell(told, 'Code')})")

    def open(self, key: str) -> "_Object":
        """Open a file."""
        try:
            found = self._bucket.send("HEAD", self._at(key))
        except NoSuchFile:
            self._has_folder(key)  # raises where there is no bucket either, which a HEAD hides
            raise
        return _Object(self._bucket, self._at(key), _info(found))

    def info(self, key: str) -> Info | None:
        """Tell what is known of a file, or that there is such a folder."""
        with suppress(NoSuchFile):
            return _info(self._bucket.send("HEAD", self._at(key)))
        return Info(folder=True) if self._has_folder(key) else None

    def remove(self, key: str) -> bool:
        """Remove a file, and what is in a folder of that name."""
        found = self.info(key)
        if found is None:
            return False
        if not found.folder:
            self._bucket.send("DELETE", self._at(key))
        for name in self.names(key, recursive=True):
            self._bucket.send("DELETE", self._at(name))
        return True

    def names(self, folder: str, *, recursive: bool) -> Iterator[str]:
        """Yield what is in a folder, page by page."""
        start = f"{self._prefix}{folder}/"
        query = {"list-type": "2", "prefix": start, **({} if recursive else {"delimiter": "/"})}
        query["encoding-type"] = "url"  # else a name may be no XML
        while True:
            page = self._page(query)
            found = [tell(one, "Key") for one in page.iterfind("{*}Contents")]
            found += [tell(one, "Prefix") for one in page.iterfind("{*}CommonPrefixes")]
            if tell(page, "EncodingType") == "url":  # some servers do not know it
                found = [unquote_plus(name) for name in found]
            for name in sorted(found):
                if name != start:
                    yield name.removeprefix(self._prefix).rstrip("/")
            if tell(page, "IsTruncated") != "true":
                return
            query = {**query, "continuation-token": tell(page, "NextContinuationToken")}

    def copy(self, key: str, to: str) -> bool:
        """Copy a file, inside of the bucket."""
        if key == to:  # which S3 refuses
            found = self.info(key)
            return found is not None and not found.folder
        source = quote(f"/{self._name}/{self._at(key)}", safe="/")
        try:
            answer = self._bucket.send("PUT", self._at(to), headers={"x-amz-copy-source": source})
        except NoSuchFile:
            return False
        if is_error(told := parsed(answer.data)):
            raise FilesDown(f"S3 did not copy {key} ({tell(told, 'Code')})")
        return True

    def move(self, key: str, to: str) -> bool:
        """Copy a file, and then remove it."""
        if key == to:
            return self.info(key) is not None
        if not self.copy(key, to):
            if self._has_folder(key):
                raise BadKey(f"{key} is a folder; move the files in it")
            return False
        self._bucket.send("DELETE", self._at(key))
        return True

    def close(self) -> None:
        """Ask nothing any more."""
        self._bucket.close()

    def url(self, key: str, *, seconds: int, disposition: str) -> str | None:
        """Return a URL of S3, where clients reach it."""
        if not self._direct:
            return None
        query = {"response-content-disposition": disposition}
        return self._bucket.url(self._at(key), query=query, seconds=seconds)

    def _at(self, key: str) -> str:
        return self._prefix + key

    def _has_folder(self, key: str) -> bool:
        query = {"list-type": "2", "prefix": f"{self._at(key)}/", "max-keys": "1"}
        query["encoding-type"] = "url"
        return self._page(query).find("{*}Contents") is not None

    def _page(self, query: Mapping[str, str]) -> Any:
        page = parsed(self._bucket.send("GET", query=query).data)
        if is_error(page):
            raise FilesDown(f"S3 did not list the bucket ({tell(page, 'Code') or 'no XML'})")
        return page


class _Object:
    """One object, as it was when it was opened."""

    def __init__(self, bucket: Bucket, key: str, info: Info) -> None:
        self.info = info
        self._bucket, self._key = bucket, key
        self._answer: Answer | None = None

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield its bytes, as they come."""
        end = self.info.size if stop is None else stop
        if start >= end:
            return
        # The same object, or none: else a piece of another one would follow.
        headers = {"range": f"bytes={start}-{end - 1}", "if-match": self.info.etag}
        self._answer = self._bucket.send("GET", self._key, headers=headers, stream=True)
        yield from self._bucket.pieces(self._answer)

    def close(self) -> None:
        """Hang up."""
        if self._answer is not None:
            self._answer.close()
            self._answer.release_conn()


def _filled(source: Source, go_on: Callable[[], None]) -> bytes:
    """Read one part, which a source may give in smaller pieces."""
    part = bytearray()
    while len(part) < PART and (piece := source.read(PART - len(part))):
        part += piece
        go_on()
    return bytes(part)


def _info(answer: Answer) -> Info:
    headers = answer.headers
    modified = parsedate_to_datetime(headers["last-modified"]).timestamp()
    size, etag = int(headers.get("content-length", "0")), headers.get("etag", "")
    return Info(
        size=size,
        modified=modified,
        created=modified,
        etag=etag,
        metadata=metadata_in(headers),
    )
