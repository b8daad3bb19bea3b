"""A store that is not asked while it is known not to answer.

Whoever is on the way when the server hangs waits for its time-out; everybody after that is told at
once, until a probe has had an answer. It changes with what counts as no answer.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from jac_converge.app_runtime.stores.breaker import Breaker
from jac_converge.app_runtime.stores.document import (
    Document,
    DocumentStore,
    Unavailable,
    WriteBatch,
)

__all__ = ["Guarded"]

LONGEST_WAIT = 2.0  # s between probes: all that an app does waits for this


class Guarded:
    """A `DocumentStore` behind a circuit breaker."""

    def __init__(
        self,
        store: DocumentStore,
        *,
        subject: str,
        answers: Callable[[], bool],
        is_silence: Callable[[Unavailable], bool],
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        """Begin closed.

        Args:
            store: what is asked.
            subject: its name, for the log and the error.
            answers: asks for a sign of life, within about a second.
            is_silence: says whether an error means that nobody answered.
            sleep: called with s between probes.
        """
        self._store = store
        self._subject = subject
        self._answers = answers
        self._is_silence = is_silence
        self._breaker = Breaker(
            self._probe,
            subject=subject,
            down=Unavailable,
            meanwhile="nothing is served from it until it answers",
            longest_wait=LONGEST_WAIT,
            sleep=sleep,
        )

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Read documents."""
        if not ids:
            return {}
        with self._asking():
            return self._store.get(ids)

    def find(self, kind: str) -> list[Document]:
        """Read all documents of a kind."""
        with self._asking():
            return self._store.find(kind)

    def near(self, group: str, stamp: int, limit: int) -> list[Document]:
        """Read ahead in a group."""
        with self._asking():
            return self._store.near(group, stamp, limit)

    def scan(self, after: str, limit: int) -> list[Document]:
        """Read documents in the order of their ids."""
        with self._asking():
            return self._store.scan(after, limit)

    def commit(self, batch: WriteBatch) -> None:
        """Write a batch."""
        if not batch:
            return
        with self._asking():
            self._store.commit(batch)

    @contextmanager
    def exclusive(self) -> Iterator[DocumentStore]:
        """Give itself: the stores that are servers lock nobody out."""
        yield self

    def ping(self) -> None:
        """Ask for a sign of life."""
        with self._asking():
            self._store.ping()

    def close(self) -> None:
        """Close it; no more probes."""
        self._breaker.close()
        self._store.close()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        self._breaker.check()
        try:
            yield
        except Unavailable as error:
            # One slow answer is no outage: the server is asked once more, for next to nothing.
            if self._is_silence(error) and not self._answers():
                self._breaker.trip(error)
            raise

    def _probe(self) -> None:
        if not self._answers():
            raise Unavailable(f"{self._subject} does not answer")
