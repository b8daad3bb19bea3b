"""What a registry answers instead of what it was asked -> one of our errors, with what to do.

It changes when a registry says something that is understood wrongly.

Source: OCI distribution specification, "Error Codes".
"""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError, SSLError

from jac_converge.reconciler.errors import (
    UNKNOWN_BODY_LIMIT,
    ClusterError,
    Invalid,
    Missing,
    Refused,
    ServerFault,
    Throttled,
    Unreachable,
)

__all__ = ["answered", "broken", "unreadable_answers"]

_NO_REASON: Final = "it gave no reason"

_UNSAID: Final = {
    401: "it does not let us in",
    403: "it does not allow that",
    404: "it has nothing of that name",
    429: "it wants fewer requests",
}
"""What an answer without words means: to a HEAD, none has any."""


def answered(
    subject: str, status: int, body: bytes, headers: Mapping[str, str], login: str
) -> ClusterError:
    """Classify an answer.

    Args:
        subject: what was asked: `registry.example/shop:1 push`.
        status: 400 or above, or one that nobody expected.
        body: as received.
        headers: for Retry-After.
        login: who we said we are, in words.
    """
    cause = f"{_words(body) or _UNSAID.get(status, _NO_REASON)} (HTTP {status}, {login})"
    host = subject.partition("/")[0]
    match status:
        case 401:
            return Refused(subject, cause, f"run `docker login {host}`", expired=True)
        case 403:
            advice = "ask for the right to this repository, or name another one in jac.toml"
            return Refused(subject, cause, advice)
        case 404:
            advice = "check the name; some registries want a repository to be created first"
            return Missing(subject, cause, advice)
        case 429:
            after = headers.get("Retry-After", "")
            return Throttled(subject, cause, float(after) if after.isdigit() else None)
        case 500 | 502 | 503 | 504:
            return ServerFault(subject, cause)
        case _:
            return Invalid(subject, cause)


def broken(subject: str, exc: Exception) -> ClusterError:
    """Classify what kept a request from being answered."""
    reason: Any = exc.reason if isinstance(exc, MaxRetryError) else exc
    if isinstance(reason, SSLError | ssl.SSLError):
        text = str(reason)
        if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
            advice = "if it has no TLS on purpose, set [converge.kubernetes.image_build] plain_http"
            return Refused(subject, "it does not speak TLS", advice)
        if "CERTIFICATE_VERIFY_FAILED" in text:
            why = text.rpartition("CERTIFICATE_VERIFY_FAILED] ")[2]
            cause = f"its certificate is not trusted: {why}"
            return Refused(subject, cause, "name the file of its authority in SSL_CERT_FILE")
    if isinstance(reason, HTTPError) and "Name or service not known" in str(reason):
        return Unreachable(subject, str(reason), "check the name of the registry")
    if isinstance(reason, NewConnectionError):
        cause = str(reason).rpartition(": ")[2]
        advice = "check that the registry runs, and its name and port in jac.toml"
        return Unreachable(subject, cause, advice)
    return Unreachable(subject, f"{type(reason).__name__}: {reason}")


@contextmanager
def unreadable_answers(subject: str, cause: str, advice: str = "") -> Iterator[None]:
    """Raise what comes of an answer in another form, such as a proxy's page, as one of our errors.

    Raises:
        Invalid: something in the block is not there, or not what it has to be.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise Invalid(subject, f"{cause} ({type(exc).__name__}: {exc})", advice) from exc


def _words(body: bytes) -> str:
    try:
        errors = json.loads(body)["errors"]
        said = [f"{error['code']}: {error.get('message', '')}".strip(": ") for error in errors]
        return "; ".join(said)
    except (ValueError, KeyError, TypeError):
        return body[:UNKNOWN_BODY_LIMIT].decode(errors="replace").strip()
