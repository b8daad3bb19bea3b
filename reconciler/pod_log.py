"""The log of one pod, read on where a connection broke.

It changes when kubelets give logs another way.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from jac_converge.reconciler.app_pods import CONTAINER
from jac_converge.reconciler.watch_stream import StreamedLines

__all__ = ["LogLine", "PodLog"]


class _Lines(Protocol):
    def lines(self, subject: str, path: str, query: Mapping[str, str]) -> StreamedLines:
        """See `KubeCluster.lines`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line that a pod wrote."""

    pod: str
    at: str
    """RFC 3339, with nine digits behind the second: sorts by time as text."""
    text: str


class PodLog:
    """The log of a pod's app; remembers how far it was read.

    Args:
        cluster: the app's namespace.
        pod: its name.
        tail: lines of the past to begin with; None: all that its node has kept.
    """

    def __init__(self, cluster: _Lines, pod: str, *, tail: int | None = None) -> None:
        self.pod = pod
        self._cluster = cluster
        self._tail = tail
        self._read = ""
        self._stream: StreamedLines | None = None

    def read(self, *, follow: bool = False) -> Iterator[LogLine]:
        """Give what was not given before.

        Args:
            follow: until the container ends.

        Raises:
            ClusterError: there is no such pod, it has not started, or the connection broke.
        """
        query = {"container": CONTAINER, "timestamps": "true"}
        if follow:
            query["follow"] = "true"
        if self._read:
            # It counts whole seconds: what was read of that one comes again, and is left out.
            query["sinceTime"] = self._read
        elif self._tail is not None:
            query["tailLines"] = str(self._tail)
        subject = f"Pod/{self.pod} log"
        self._stream = self._cluster.lines(subject, f"pods/{self.pod}/log", query)
        for line in self._stream:
            at, _, text = line.decode(errors="replace").partition(" ")
            if at > self._read:
                self._read = at
                yield LogLine(pod=self.pod, at=at, text=text)

    def close(self) -> None:
        """End a reading in another thread."""
        if self._stream is not None:
            self._stream.close()
