"""What S3 says, and what an operator is told when it refuses. Pure.

It changes when an error of S3 deserves better words.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from xml.etree import ElementTree as ET

__all__ = ["Refusal", "is_error", "parsed", "tell"]

GONE = frozenset({"NoSuchKey", "NoSuchUpload", "PreconditionFailed"})
BAD_NAMES = frozenset({"KeyTooLongError", "XMinioInvalidObjectName"})
MOST_SKEW = 600  # s; S3 takes 900
FORBIDDEN, NOT_FOUND = 403, 404

_KEYS = "check [converge.storage] access_key_id and secret_access_key"
_RIGHTS = (
    "the keys need s3:GetObject, s3:PutObject, s3:DeleteObject, s3:ListBucket and "
    "s3:AbortMultipartUpload on the bucket, and have to be right"
)
_ADVICE = {
    "AccessDenied": _RIGHTS,
    "ExpiredToken": "the credentials have ended; give new ones",
    "InvalidAccessKeyId": f"it does not know the key; {_KEYS}",
    "InvalidToken": "AWS_SESSION_TOKEN is not that of the keys",
    "NoSuchBucket": "make the bucket, or check [converge.storage] bucket and endpoint_url",
    "SignatureDoesNotMatch": f"{_KEYS}; and that no proxy changes the Host of requests",
    "SlowDown": "it has too much to do",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer of S3 that is no success."""

    method: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    region: str
    """That we sign for."""
    now: datetime

    @property
    def code(self) -> str:
        """What S3 calls it; of an answer without a body, MinIO says it in a header."""
        return (
            tell(parsed(self.body), "Code")
            or self.headers.get("x-minio-error-code")
            or f"HTTP {self.status}"
        )

    @property
    def gone(self) -> bool:
        """Whether there is no such object; a `HEAD` has no body to say which is not there."""
        silent = self.method == "HEAD" and self.code == f"HTTP {NOT_FOUND}"
        return silent or self.code in GONE

    @property
    def of_the_name(self) -> bool:
        """Whether it is the name of the object that S3 does not take."""
        return self.code in BAD_NAMES

    def text(self, what: str) -> str:
        """Say what was refused, and what to do.

        >>> body, now = b"<Error><Code>ExpiredToken</Code></Error>", datetime(2026, 1, 1)
        >>> said = Refusal(method="PUT", status=400, headers={}, body=body, region="r", now=now)
        >>> said.text("a.png")
        'S3 refused PUT a.png (ExpiredToken): the credentials have ended; give new ones'
        """
        advice = self._region() or self._skew() or _ADVICE.get(self.code)
        if advice is None and self.status == FORBIDDEN:
            advice = _RIGHTS
        said = f"S3 refused {self.method} {what} ({self.code})"
        return f"{said}: {advice}" if advice else said

    def _region(self) -> str | None:
        """Say where the bucket is, where that is elsewhere."""
        named = tell(parsed(self.body), "Region") or self.headers.get("x-amz-bucket-region", "")
        if named and named != self.region:
            return f'the bucket is in another region; set [converge.storage] region = "{named}"'
        if self.code in ("PermanentRedirect", "TemporaryRedirect", "HTTP 301", "HTTP 307"):
            return "the bucket is elsewhere; check [converge.storage] region and endpoint_url"
        return None

    def _skew(self) -> str | None:
        """Say how wrong the clock is, where that is why."""
        if self.status != FORBIDDEN:
            return None
        skew = 0.0
        with suppress(KeyError, TypeError, ValueError):
            theirs = parsedate_to_datetime(self.headers["date"])
            skew = (self.now - theirs).total_seconds()
        if self.code != "RequestTimeTooSkewed" and abs(skew) < MOST_SKEW:
            return None
        way = "ahead of" if skew > 0 else "behind"
        return f"the clock of this machine is {abs(skew):.0f} s {way} that of S3; set it right"


def parsed(text: bytes) -> Any:
    """Read an answer; None: it is no XML."""
    with suppress(ET.ParseError):
        return ET.fromstring(text)  # noqa: S314 - of the operator's own server; expat bounds entities
    return None


def tell(element: Any, name: str) -> str:
    """Return the text of the first part of this name, whatever its namespace; none: empty."""
    found = None if element is None else element.find(f"{{*}}{name}")
    return "" if found is None else found.text or ""


def is_error(element: Any) -> bool:
    """Say whether an answer is an error or nothing, though its status is 200: some take long."""
    return element is None or element.tag.rpartition("}")[2] == "Error"
