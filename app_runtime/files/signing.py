"""Requests to S3, signed: AWS Signature Version 4, for a header or for a URL. Pure.

Source: "Signature Calculations" of the S3 API Reference. It changes with that scheme.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

__all__ = ["Credentials", "Signer", "encoded"]

ALGORITHM, ENDING = "AWS4-HMAC-SHA256", "aws4_request"
UNSIGNED = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who we are to S3."""

    key_id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    """Of credentials that end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Signs requests to one host, in one region."""

    credentials: Credentials
    host: str
    region: str

    def headers(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        *,
        now: datetime,
    ) -> dict[str, str]:
        """Return the headers of a request, with its signature.

        Args:
            method: of HTTP.
            path: encoded.
            query: not encoded.
            headers: that are sent, and signed.
            body: all of it.
            now: in UTC.
        """
        stamp, digest = f"{now:%Y%m%dT%H%M%SZ}", hashlib.sha256(body).hexdigest()
        sent = {
            **{name.lower(): value for name, value in headers.items()},
            "host": self.host,
            "x-amz-content-sha256": digest,
            "x-amz-date": stamp,
        }
        if self.credentials.token is not None:
            sent["x-amz-security-token"] = self.credentials.token
        asked = (method, path, encoded(query))
        signature = self._signature(asked, sent, digest, stamp)
        scope, names = self._scope(stamp), ";".join(sorted(sent))
        sent["authorization"] = (
            f"{ALGORITHM} Credential={self.credentials.key_id}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        return sent

    def query(
        self, path: str, query: Mapping[str, str], *, seconds: int, now: datetime
    ) -> dict[str, str]:
        """Return the query of a URL that whoever has it may GET for a while."""
        stamp = f"{now:%Y%m%dT%H%M%SZ}"
        signed = {
            **query,
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self.credentials.key_id}/{self._scope(stamp)}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": "host",
        }
        if self.credentials.token is not None:
            signed["X-Amz-Security-Token"] = self.credentials.token
        asked = ("GET", path, encoded(signed))
        signature = self._signature(asked, {"host": self.host}, UNSIGNED, stamp)
        return {**signed, "X-Amz-Signature": signature}

    def _scope(self, stamp: str) -> str:
        return f"{stamp[:8]}/{self.region}/s3/{ENDING}"

    def _signature(
        self, asked: tuple[str, str, str], headers: Mapping[str, str], digest: str, stamp: str
    ) -> str:
        """Sign method, path and query, headers, and the hash of a body."""
        names = sorted(headers)
        lines = [f"{name}:{' '.join(headers[name].split())}\n" for name in names]
        canonical = "\n".join((*asked, "".join(lines), ";".join(names), digest))
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        text = "\n".join((ALGORITHM, stamp, self._scope(stamp), hashed))
        key = f"AWS4{self.credentials.secret}".encode()
        for part in (stamp[:8], self.region, "s3", ENDING):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()


def encoded(query: Mapping[str, str]) -> str:
    """Return a query as it is signed and sent.

    >>> encoded({"prefix": "a b/", "list-type": "2"})
    'list-type=2&prefix=a%20b%2F'
    """
    pairs = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)
