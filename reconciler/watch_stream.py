"""HTTP answers that do not end, read line by line: watches, and the logs of pods.

It changes when the API server streams another way.
"""

import json
import logging
from collections.abc import Iterator

import urllib3
from urllib3.exceptions import HTTPError, ReadTimeoutError

from jac_converge.reconciler.errors import ServerFault, Unreachable, classify
from jac_converge.reconciler.position import Bookmark, Changed

__all__ = ["KubeWatchStream", "StreamedLines"]

logger = logging.getLogger(__name__)


class StreamedLines:
    """The lines of one answer, as they come."""

    def __init__(self, subject: str, response: urllib3.BaseHTTPResponse) -> None:
        self._subject = subject
        self._response = response
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield each line that is not empty, without its end.

        Raises:
            Unreachable: the connection broke, or stayed mute for too long.
        """
        rest = b""
        try:
            for chunk in self._response.stream(1 << 20):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line for line in lines if line)
        except ReadTimeoutError as exc:
            raise Unreachable(self._subject, "no word, not even a bookmark, for 75 s") from exc
        except HTTPError as exc:
            # A stream that we closed ourselves ends in the middle of a chunk; that is its end.
            if not self._closed:
                raise Unreachable(self._subject, f"the connection broke ({exc})") from exc
        finally:
            self._response.close()

    def close(self) -> None:
        """End it from any thread, at once; the reading thread wakes with its end."""
        self._closed = True
        try:
            self._response.shutdown()
        except (OSError, ValueError, RuntimeError):
            # It ended by itself in this moment.
            logger.debug("stream was closed already", extra={"subject": self._subject})


class KubeWatchStream:
    """What happens to the objects of one kind."""

    def __init__(self, subject: str, response: urllib3.BaseHTTPResponse) -> None:
        self._subject = subject
        self._lines = StreamedLines(subject, response)

    def __iter__(self) -> Iterator[Changed | Bookmark]:
        """See `WatchStream`."""
        return map(self._event, self._lines)

    def close(self) -> None:
        """See `WatchStream`."""
        self._lines.close()

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
