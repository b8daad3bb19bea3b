"""How long others leave a commit record alone whose writer is at work.

A writer that takes long renews its record: who waits sees that it is alive. A record that stays as
it is for the length of its lease has a writer that is dead, or as good as. The lease follows the
writer's own pace, so a slow way to the server is no death either, and one that was quick and
died is out of the way as soon as ever. It changes with that policy.
"""

from jac_converge.app_runtime.stores.mongo_rows import Row
from jac_converge.app_runtime.stores.mongo_sending import Patience

__all__ = ["Lease", "lease_of"]

SHARE = 4
"""A record is renewed after this part of its lease, and its lease is at least as many times as long
as a command takes: the one on its way then, the renewal, and something to spare."""


class Lease:
    """The lease of the records of one commit, of which it has one at a time."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._seconds = patience.lease
        self._longest = max(patience.longest_lease, patience.lease)
        self._renewed = self._answered = patience.clock()
        self._slowest = 0.0
        self._beats = 0

    def begin(self) -> Row:
        """Begin with a new record; returns what it says more than others take for granted."""
        self._renewed = self._answered = self._patience.clock()
        return {"lease": self._seconds} if self._seconds > self._patience.lease else {}

    def due(self) -> bool:
        """Note that a command was answered; say whether it is time to renew the record."""
        now = self._patience.clock()
        self._slowest, self._answered = max(self._slowest, now - self._answered), now
        return now - self._renewed >= self._seconds / SHARE

    def renewal(self) -> Row:
        """Return what the record says from now on."""
        self.grow()
        self._renewed = self._answered
        self._beats += 1
        return {"beat": self._beats, "lease": self._seconds}

    def grow(self) -> bool:
        """Make the lease as long as our pace asks for; say whether it was too short."""
        wanted = min(SHARE * self._slowest, self._longest)
        if wanted <= self._seconds:
            return False
        self._seconds = min(max(wanted, 2 * self._seconds), self._longest)
        return True


def lease_of(record: Row, patience: Patience) -> float:
    """Return for how long others leave a record alone that stays as it is, in s."""
    return max(patience.lease, min(record.get("lease", 0), patience.longest_lease))
