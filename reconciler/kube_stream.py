"""One watch over HTTP: an answer that does not end, as events.

It changes when the API server tells events in another way.
"""

import json
import logging
from collections.abc import Iterator

import urllib3
from urllib3.exceptions import HTTPError, ReadTimeoutError

from jac_converge.reconciler.errors import ServerFault, Unreachable, classify
from jac_converge.reconciler.objects import Kind
from jac_converge.reconciler.position import Bookmark, Changed

__all__ = ["KubeWatchStream"]

logger = logging.getLogger(__name__)


class KubeWatchStream:
    """One HTTP answer that does not end, read line by line."""

    def __init__(self, subject: str, kind: Kind, response: urllib3.BaseHTTPResponse) -> None:
        self._subject = subject
        self._kind = kind
        self._response = response
        self._closed = False

    def __iter__(self) -> Iterator[Changed | Bookmark]:
        """See `WatchStream`."""
        rest = b""
        try:
            for chunk in self._response.stream(1 << 20):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (self._event(line) for line in lines if line)
        except ReadTimeoutError as exc:
            raise Unreachable(self._subject, "no word, not even a bookmark, for 75 s") from exc
        except HTTPError as exc:
            # A stream that we closed ourselves ends in the middle of a chunk; that is its end.
            if not self._closed:
                raise Unreachable(self._subject, f"the connection broke ({exc})") from exc
        finally:
            self._response.close()

    def close(self) -> None:
        """See `WatchStream`; the reading thread wakes with the end of the stream."""
        self._closed = True
        try:
            self._response.shutdown()
        except (OSError, ValueError, RuntimeError):
            # It ended by itself in this moment.
            logger.debug("watch was closed already", extra={"subject": self._subject})

    def _event(self, line: bytes) -> Changed | Bookmark:
        try:
            event = json.loads(line)
            kind, obj = event["type"], event["object"]
        except (ValueError, KeyError, TypeError) as exc:
            raise ServerFault(self._subject, f"it is not a watch event: {line[:80]!r}") from exc
        if kind == "BOOKMARK":
            return Bookmark(obj["metadata"]["resourceVersion"])
        if kind == "ERROR":
            raise classify(self._subject, int(obj.get("code") or 500), json.dumps(obj).encode(), {})
        return Changed(kind, obj)
