"""What a tier has done since this process began, for whoever wants to look.

It changes when more is worth counting.
"""

import threading
from dataclasses import dataclass, field

__all__ = ["Tally"]


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of one tier; they only grow."""

    hits: int = 0
    """Documents that were asked for and found."""
    misses: int = 0
    """Documents that were asked for and not found."""
    round_trips: int = 0
    bytes_in: int = 0
    """Received, without the framing of the protocol."""
    bytes_out: int = 0
    errors: int = 0
    """Operations that the tier could not do."""
    conflicts: int = 0
    """Commits that lost a race."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(
        self,
        *,
        hits: int = 0,
        misses: int = 0,
        round_trips: int = 0,
        bytes_in: int = 0,
        bytes_out: int = 0,
        errors: int = 0,
        conflicts: int = 0,
    ) -> None:
        """Count up, from any thread."""
        with self._lock:
            self.hits += hits
            self.misses += misses
            self.round_trips += round_trips
            self.bytes_in += bytes_in
            self.bytes_out += bytes_out
            self.errors += errors
            self.conflicts += conflicts
