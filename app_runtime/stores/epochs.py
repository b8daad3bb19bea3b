"""Which epoch it is: one small document of the store, on which all processes agree.

It is *open*, and names the one server that is the cache, or *closed*: then nobody reads a cache,
and nobody needs one to write. It only ever goes from open to closed to open, each under a new
random name, by compare-and-set. It changes with how processes agree on their cache.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from jac_converge.app_runtime.stores.cache import Epoch
from jac_converge.app_runtime.stores.document import Conflict, Document, DocumentStore, WriteBatch

__all__ = ["BEAT", "ID", "REOPEN", "TIMELY", "TRUST", "Epochs", "Sight"]

ID, KIND = "cache-epoch", "cache"
TRUST = 2.0  # s that a sight counts, from before it was asked for
CALM = 2.5  # s after which nobody trusts an older sight, however slow its clock
REOPEN = 3.0  # s that a closed epoch must have been left alone, before it is opened; above CALM
TIMELY = 4.0  # s from before the sight to the end of its commit; below COLD, however slow the clock
BEAT = 1.0  # s between two signs of one that writes while the cache is out of its reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The document as it was at one moment."""

    name: str
    """Of the epoch; empty where there never was one."""
    epoch: Epoch | None
    """None: closed."""
    version: int
    beats: int
    asked: float
    """s, by our clock, before the store was asked."""
    calm_at: float
    """s from which nobody trusts an epoch from before this one."""
    since: float
    """s at which this version was first seen."""


class Epochs:
    """What one process knows of the epoch."""

    def __init__(
        self, store: DocumentStore, *, clock: Callable[[], float], token: Callable[[], str]
    ) -> None:
        """Begin with nothing seen.

        Args:
            store: where the document is.
            clock: s, from anywhere; it also counts while the machine sleeps.
            token: makes a name that nobody else ever makes.
        """
        self._store = store
        self._clock = clock
        self._token = token
        self._lock = threading.Lock()
        self._last: Sight | None = None

    def trusted(self) -> Sight | None:
        """Return the last sight while it counts."""
        last = self._last
        return last if last is not None and self._clock() < last.asked + TRUST else None

    def ageing(self) -> bool:
        """Say whether it is time for another look."""
        last = self._last
        return last is None or self._clock() > last.asked + TRUST / 2

    def look(self) -> Sight:
        """Read the document.

        Raises:
            Unavailable: the store does not answer.
        """
        asked = self._clock()
        document = self._store.get([ID]).get(ID)
        with self._lock:
            # Two threads may look at once; the older answer may win, and counts for less long.
            sight = self._last = self._sight(document, asked)
        return sight

    def open(self, sight: Sight, epoch: Epoch) -> None:
        """Have a closed epoch followed by an open one, if nobody was faster."""
        self._write(sight, name=epoch.name, server=epoch.server, beats=0)

    def close(self, sight: Sight) -> None:
        """Have an open epoch followed by a closed one, if nobody was faster."""
        self._write(sight, name=self._token(), server=None, beats=0)

    def beat(self, sight: Sight) -> None:
        """Keep a closed epoch closed a while longer, if nobody was faster."""
        self._write(sight, name=sight.name or self._token(), server=None, beats=sight.beats + 1)

    def _sight(self, document: Document | None, asked: float) -> Sight:
        now, last = self._clock(), self._last
        version = 0 if document is None else document.version
        body = {} if document is None else document.body
        name = body.get("name", "")
        server = body.get("server")
        same = last is not None and last.name == name
        if last is not None and same:
            calm_at = last.calm_at
        else:
            # Where there never was an epoch, nobody ever trusted one.
            calm_at = now if last is None and version == 0 else now + CALM
        return Sight(
            name=name,
            epoch=None if server is None else Epoch(name=name, server=server),
            version=version,
            beats=body.get("beats", 0),
            asked=asked,
            calm_at=calm_at,
            since=last.since if last is not None and same and last.version == version else now,
        )

    def _write(self, sight: Sight, *, name: str, server: str | None, beats: int) -> None:
        body = {"name": name, "server": server, "beats": beats}
        document = Document(id=ID, kind=KIND, body=body, version=sight.version)
        if sight.version == 0:
            batch = WriteBatch(creates=(document,))
        else:
            batch = WriteBatch(updates=(document,))
        try:
            self._store.commit(batch)
        except Conflict:
            return  # whoever wrote it did so after our sight; the next look tells
