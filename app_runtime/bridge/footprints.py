"""What calls are about to read, by what those like them read before.

Most calls of a walker by the same caller read the same few documents every time, in two steps or
more: first who calls, then what is there. Where the last two calls agreed, the next one reads all
of it in its first step. To expect wrongly costs a few documents that nobody looks at; so a walker
whose argument says where to go is left alone. It changes with the policy of remembering.
"""

import threading
from dataclasses import dataclass
from typing import Final

__all__ = ["Footprints"]

MOST: Final = 32
"""Documents of one footprint; of more, a second round trip is the smaller part of the cost."""

KEPT: Final = 2048
"""Footprints, of 32 ids at most: 6 MB."""

type Key = tuple[str, ...]
"""What was called, and the ids that it read first: those of its caller."""


@dataclass(frozen=True, slots=True)
class _Footprint:
    ids: tuple[str, ...]
    sure: bool
    """Whether the call before read much the same."""


class Footprints:
    """Footprints of one process. Threads may be here at once: the last one to note wins."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[Key, _Footprint] = {}

    def expected(self, key: Key) -> tuple[str, ...]:
        """Return the ids that a call of this key is going to read; none where that is not sure."""
        seen = self._seen.get(key)
        return seen.ids if seen is not None and seen.sure else ()

    def note(self, key: Key, ids: tuple[str, ...]) -> None:
        """Note what a call read after its first step."""
        seen = self._seen.get(key)
        if seen is None and not ids:
            return
        if seen is not None and seen.sure and seen.ids == ids:
            return
        if len(ids) > MOST:
            ids = ()
        sure = seen is not None and _alike(seen.ids, ids)
        with self._lock:
            self._seen[key] = _Footprint(ids, sure)
            while len(self._seen) > KEPT:
                del self._seen[next(iter(self._seen))]


def _alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    both = len({*one} & {*other})
    return 2 * both > max(len(one), len(other))
