"""Counts of wrong passwords and the like, as documents: few, bounded, and forgotten with time.

All workers and pods share them and a restart forgets none. What is counted has an entry of its own,
so nobody waits for somebody else; a document has many, and the one that has been still for longest
makes room. It changes with how a count becomes a wait.
"""

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import time
from typing import Any

from jac_converge.app_runtime.stores import Conflict, Document, DocumentStore, WriteBatch
from jac_converge.app_runtime.stores.rewriting import rewrite

__all__ = ["Limit", "Tallies", "TooMany", "wait_after"]

BUCKETS = 4096
ENTRIES = 64  # of one document
MOST_OVER = 30  # tries beyond the free ones that are remembered
TRIES = 8
KEY = "throttle:key"


class TooMany(Exception):
    """Too much went wrong; `wait` is how long the next try has to wait, in s."""

    def __init__(self, wait: float) -> None:
        wait = max(1.0, wait)
        super().__init__(f"too many tries; the next one may come in {wait:.0f} s")
        self.wait = wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What may be tried, and how often."""

    document: str
    entry: str
    free: int
    """Tries before anybody waits."""
    longest: float
    """s between two tries at most."""
    decay: float
    """s after which one try is forgotten."""
    strict: bool = True
    """Refuse what comes before its time; else it is only counted, for who slows it down."""


class Tallies:
    """The counts in one store. Every method may wait for it; call it from a thread."""

    def __init__(self, store: DocumentStore, clock: Callable[[], float] = time) -> None:
        self._store = store
        self._clock = clock
        self._key = b""

    def check(self, *limits: Limit) -> None:
        """Refuse a try before its time, and count nothing.

        Raises:
            TooMany: it has to wait.
        """
        found = self._store.get({limit.document for limit in limits})
        now, waits = self._clock(), [0.0]
        for limit in limits:
            stored = found.get(limit.document)
            if stored is not None and limit.strict:
                waits.append(_entry(stored, limit)["until"] - now)
        if max(waits) > 0:
            raise TooMany(max(waits))

    def count(self, *limits: Limit) -> dict[str, float]:
        """Count a try before it is made, so that of many at once each is one.

        Args:
            limits: of one document.

        Returns:
            Entry -> count, with this one.

        Raises:
            TooMany: it has to wait, or there are too many at once to count.
        """
        counts: dict[str, float] = {}

        def counted(stored: Document | None) -> Document:
            found = stored or Document(id=limits[0].document, kind="throttle", body={})
            entries = dict(found.body.get("entries", {}))
            now = self._clock()
            for limit in limits:
                before = _entry(found, limit)
                if limit.strict and before["until"] > now:
                    raise TooMany(before["until"] - now)
                count = min(_left(before, limit, now), limit.free + MOST_OVER) + 1
                counts[limit.entry] = count
                until = now + wait_after(count, limit)
                entries[limit.entry] = {"count": count, "last": now, "until": until}
            return found._replace(body={**found.body, "entries": _bounded(entries, now)})

        try:
            rewrite(self._store, limits[0].document, counted, tries=TRIES)
        except Conflict as error:
            raise TooMany(1.0) from error
        return counts

    def take_back(self, document: str, forgotten: str, fewer: str = "", *, known: str = "") -> None:
        """Forget a try that went well.

        Args:
            document: where it was counted.
            forgotten: entry of which nothing stays.
            fewer: entry that has one less.
            known: entry to remember as one that went well.
        """

        def changed(stored: Document | None) -> Document | None:
            if stored is None:
                return None
            entries = dict(stored.body["entries"])
            entries.pop(forgotten, None)
            if one := entries.get(fewer):
                count = max(0, one["count"] - 1)
                entries[fewer] = one | {"count": count, "until": min(one["until"], self._clock())}
            body = {**stored.body, "entries": entries}
            if known:
                kept = {**stored.body.get("known", {}), known: self._clock()}
                body["known"] = dict(sorted(kept.items(), key=lambda one: one[1])[-ENTRIES // 4 :])
            return stored._replace(body=body)

        try:
            rewrite(self._store, document, changed, tries=TRIES)
        except Conflict:
            return  # others were counted all the time: what they did stays, and so does this one

    def known(self, document: str, entry: str) -> bool:
        """Say whether something went well there before."""
        stored = self._store.get([document]).get(document)
        return stored is not None and entry in stored.body.get("known", {})

    def digest(self, *parts: str) -> str:
        """Make the name of an entry, at which nobody can aim."""
        if not self._key:
            self._key = self._shared_key()
        text = "\0".join(parts).casefold().encode("utf-8", "replace")
        return hmac.digest(self._key, text, "sha256").hex()[:16]

    def bucket(self, *parts: str) -> int:
        """Choose the document of something that has none of its own."""
        return int(self.digest(*parts), 16) % BUCKETS

    def _shared_key(self) -> bytes:
        """Return the key of the hash; the first of all workers makes it."""
        while (stored := self._store.get([KEY]).get(KEY)) is None:
            body: dict[str, Any] = {"key": secrets.token_hex(16)}
            try:
                made = Document(id=KEY, kind="throttle", body=body)
                self._store.commit(WriteBatch(creates=(made,)))
            except Conflict:
                continue  # another worker was faster
        return bytes.fromhex(stored.body["key"])


def wait_after(count: float, limit: Limit) -> float:
    """Say how long the next try has to wait, in s: twice as long each time.

    >>> limit = Limit(document="", entry="", free=5, longest=300, decay=600)
    >>> [wait_after(count, limit) for count in (4, 5, 6, 13, 14, 5000)]
    [0.0, 1.0, 2.0, 256.0, 300, 300]
    """
    # The exponent has a bound of its own: a float does not go up to 2 ** 1100.
    return min(limit.longest, 2.0 ** min(count - limit.free, 30)) if count >= limit.free else 0.0


def _entry(stored: Document, limit: Limit) -> Mapping[str, float]:
    nothing = {"count": 0, "last": 0.0, "until": 0.0}
    found: Mapping[str, float] = stored.body.get("entries", {}).get(limit.entry, nothing)
    return found


def _left(entry: Mapping[str, float], limit: Limit, now: float) -> float:
    """Say how many tries are not forgotten yet; a long wait is no reason to forget."""
    still = max(0.0, now - max(entry["last"], entry["until"]))
    return max(0, entry["count"] - int(still / limit.decay))


def _bounded(entries: dict[str, Any], now: float) -> dict[str, Any]:
    """Leave out what has been still for longest, and who still waits last of all."""
    if len(entries) <= ENTRIES:
        return entries
    oldest_first = sorted(
        entries, key=lambda one: (entries[one]["until"] > now, entries[one]["last"])
    )
    return {one: entries[one] for one in oldest_first[len(entries) - ENTRIES :]}
