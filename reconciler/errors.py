"""Everything the cluster can answer instead of what we asked for, as one tree.

    ClusterError
    |-- Transient                 the same request may succeed later
    |   |-- Unreachable           no connection, a broken or a mute one
    |   |-- Throttled             429; carries Retry-After
    |   `-- ServerFault           500, 502, 503, 504
    `-- Terminal                  the same request will fail again
        |-- NoCluster             the kubeconfig names no usable cluster
        |-- Refused               401 or 403: who we are may not do this
        |   `-- Unserved          404: the cluster does not know this kind of object
        |-- Missing               404
        |-- Held                  another process may write to this app, and is at work
        |-- Paused                a person paused the app
        |-- Interrupted           a person ended us in the middle of it
        |-- Conflict              409: the object changed, or is another one, under us
        |-- Gone                  410: the resource version is too old to watch from
        |-- Terminating           the namespace is on its way out
        |-- Immutable             422: this field cannot be changed in place
        `-- Invalid               400, 422, or a 500 that means the manifest is wrong

Whether to retry is decided by class, in `retry.py`, and nowhere else. `classify` is pure.
"""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

__all__ = [
    "ClusterError",
    "Conflict",
    "Gone",
    "Held",
    "Immutable",
    "Interrupted",
    "Invalid",
    "Missing",
    "NoCluster",
    "Paused",
    "Refused",
    "ServerFault",
    "Terminal",
    "Terminating",
    "Throttled",
    "Transient",
    "Unreachable",
    "Unserved",
    "classify",
]

UNKNOWN_BODY_LIMIT = 256
"""Characters of a body that is no Status; the rest is some proxy's HTML page."""


class ClusterError(Exception):
    """A request to the cluster did not do what it was asked.

    Args:
        subject: what it was about: `Deployment/shop apply`.
        cause: the server's words, or the transport's.
        advice: what to do about it; may be empty.
    """

    def __init__(self, subject: str, cause: str, advice: str = "") -> None:
        super().__init__(subject, cause, advice)
        self.subject = subject
        self.cause = cause
        self.advice = advice

    def __str__(self) -> str:
        advice = f"; {self.advice}" if self.advice else ""
        return f"{self.subject} failed ({type(self).__name__}): {self.cause}{advice}"


class Transient(ClusterError):
    """The same request may succeed later."""


class Unreachable(Transient):
    """No connection, a broken one, or one that stays mute."""


class Throttled(Transient):
    """The server asks for patience.

    Args:
        retry_after: seconds the server asks for; None when it does not say.
    """

    def __init__(self, subject: str, cause: str, retry_after: float | None = None) -> None:
        super().__init__(subject, cause)
        self.retry_after = retry_after


class ServerFault(Transient):
    """The server, or something before it, is in trouble."""


class Terminal(ClusterError):
    """The same request will fail again."""


class NoCluster(Terminal):
    """The kubeconfig names no usable cluster."""


class Refused(Terminal):
    """We may not do this.

    Args:
        expired: True for a 401: the login itself was not accepted.
    """

    def __init__(
        self, subject: str, cause: str, advice: str = "", *, expired: bool = False
    ) -> None:
        super().__init__(subject, cause, advice)
        self.expired = expired


class Unserved(Refused):
    """The cluster does not know this kind of object: a person has to install it."""


class Missing(Terminal):
    """There is no such object, or no such namespace."""


class Paused(Terminal):
    """A person paused the app: nothing is written to it until they resume it."""


class Interrupted(Terminal):
    """A person ended us in the middle of it; nobody failed."""


class Conflict(Terminal):
    """The object changed under us, or another one stands in its place: read again."""


class Held(Terminal):
    """Another process holds the app's lease, and keeps renewing it."""


class Gone(Terminal):
    """The resource version is too old: list again."""


class Terminating(Terminal):
    """The namespace is being deleted: wait until it is gone."""


class Immutable(Terminal):
    """A field cannot be changed in place."""


class Invalid(Terminal):
    """The manifest is wrong, or newer than the server."""


_IMMUTABLE = re.compile(
    r"immutable|may not change once set|updates to statefulset spec for fields other than"
)
_UNSERVED = re.compile(r"^404 page not found|could not find the requested resource")
"""The first where the whole API group is not there."""

_EXPIRED = "log in again, or check the credentials of this kubeconfig context"


def classify(subject: str, status: int, body: bytes, headers: Mapping[str, str]) -> ClusterError:
    """Turn an HTTP error answer into one of ours.

    Args:
        subject: what was asked: `Deployment/shop apply`.
        status: the HTTP status, 400 or above.
        body: as received; a Kubernetes Status, or anything a proxy may send.
        headers: for Retry-After (seconds).

    Source: the API server's answers as observed on v1.36; an apply of an unknown field is a 500.
    """
    answer = _status_of(body)
    message = str(answer.get("message", "")).strip() or f"HTTP {status}"
    match status:
        case 401:
            return Refused(subject, message, _EXPIRED, expired=True)
        case 403 if 'User "system:anonymous"' in message:
            # No login reached the server: a plugin that gives none fails like one that expired.
            return Refused(subject, message, _EXPIRED, expired=True)
        case 403 if _has_cause(answer, "NamespaceTerminating"):
            return Terminating(subject, message)
        case 403:
            return Refused(subject, message, "ask for this permission, or use another context")
        case 404 if _UNSERVED.search(message):
            return Unserved(subject, "this cluster does not know this kind of object")
        case 404:
            return Missing(subject, message)
        case 409:
            return Conflict(subject, message)
        case 410:
            return Gone(subject, message)
        case 422 if "metadata.uid: Invalid value" in message:
            # Another object of that name stands there now; nothing about it is immutable to us.
            return Conflict(subject, message)
        case 422 if _IMMUTABLE.search(message):
            return Immutable(subject, message)
        case 429:
            asked = _seconds(headers)
            told = message if asked is None else f"{message} (asks for {asked:g} s of patience)"
            return Throttled(subject, told, asked)
        case 500 if "field not declared in schema" in message:
            return Invalid(subject, message, "the server may be older than this manifest")
        case 500 if "failed to create typed patch object" in message:
            return Invalid(subject, message)
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return ServerFault(subject, message)
        case _:
            return Invalid(subject, message)


def _status_of(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {"message": body[:UNKNOWN_BODY_LIMIT].decode(errors="replace")}
    return answer if isinstance(answer, dict) else {}


def _has_cause(answer: Mapping[str, Any], reason: str) -> bool:
    details = answer.get("details") or {}
    return any(cause.get("reason") == reason for cause in details.get("causes") or ())


def _seconds(headers: Mapping[str, str]) -> float | None:
    value = next((v for k, v in headers.items() if k.lower() == "retry-after"), "")
    return float(value) if value.isdigit() else None
