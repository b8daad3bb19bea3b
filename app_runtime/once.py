"""What may be used once, whichever worker or pod is asked: a mark in the store, while it matters.

The marks are kept in a fixed number of documents, and one is only made for somebody who has logged
in at a provider or can sign, so nobody fills the store with them. It changes with how uses are
remembered.
"""

import hashlib
from collections.abc import Callable
from time import time

from jac_converge.app_runtime.stores import Document, DocumentStore
from jac_converge.app_runtime.stores.rewriting import rewrite

__all__ = ["Once"]

BUCKETS = 256
TRIES = 10  # against others who mark something in the same document


class Once:
    """Remembers uses. Every method may wait for the store; call it from a thread."""

    def __init__(self, store: DocumentStore, *, clock: Callable[[], float] = time) -> None:
        """Remember them in a store; `clock`: s since the epoch."""
        self._store = store
        self._clock = clock

    def used(self, thing: str) -> bool:
        """Say whether it was used before."""
        key, mark = _place(thing)
        stored = self._store.get([key]).get(key)
        return stored is not None and mark in stored.body["used"]

    def use(self, thing: str, *, lasting: float) -> bool:
        """Use it; False: somebody did before.

        Args:
            thing: a secret or not, only its hash is kept.
            lasting: s after which it is of no use anyway.

        Raises:
            Conflict: others used other things all the time.
        """
        first = False

        def marked(stored: Document | None) -> Document | None:
            nonlocal first
            found = self._marked(stored, thing, lasting)
            first = found is not None
            return found

        rewrite(self._store, _place(thing)[0], marked, tries=TRIES)
        return first

    def mark(self, thing: str, *, lasting: float) -> Document | None:
        """Return what makes it used once it is stored, for who stores more with it.

        Args:
            thing: a secret or not, only its hash is kept.
            lasting: s after which it is of no use anyway.

        Returns:
            A document at the version it was read at; None: somebody used it before.
        """
        key = _place(thing)[0]
        return self._marked(self._store.get([key]).get(key), thing, lasting)

    def _marked(self, stored: Document | None, thing: str, lasting: float) -> Document | None:
        key, mark = _place(thing)
        found = stored or Document(id=key, kind="once", body={"used": {}})
        now, used = self._clock(), found.body["used"]
        if mark in used:
            return None
        kept = {one: until for one, until in used.items() if until > now}
        return found._replace(body={"used": kept | {mark: now + lasting}})


def _place(thing: str) -> tuple[str, str]:
    digest = hashlib.sha256(thing.encode()).hexdigest()
    return f"once:{int(digest[:8], 16) % BUCKETS}", digest[8:40]
