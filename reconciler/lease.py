"""One writer per app: a Lease in the app's namespace, held by the process that may write.

Expiry is judged by what this process itself saw change, on its own monotonic clock, so a wrong
wall clock on either side steals nothing.

Source: client-go's tools/leaderelection.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Final

from jac_converge.reconciler.cluster import Cluster
from jac_converge.reconciler.errors import Conflict, Held
from jac_converge.reconciler.objects import LEASE, Object
from jac_converge.reconciler.ownership import labels_of

__all__ = ["DURATION", "RENEWAL", "Lease"]

DURATION: Final = 30.0
"""Seconds after which a lease that nobody renewed may be taken."""

RENEWAL: Final = 10.0
"""Seconds between renewals: two may fail."""


@dataclass(slots=True)
class _Seen:
    version: str
    at: float


class Lease:
    """The right to write to one app.

    Args:
        app_name: the app.
        cluster: where the lease lives.
        holder: who we are, for the others to read: `ann@laptop:4711`.
        clock: monotonic seconds.
    """

    def __init__(
        self, *, app_name: str, cluster: Cluster, holder: str, clock: Callable[[], float]
    ) -> None:
        self._app_name = app_name
        self._cluster = cluster
        self.holder = holder
        self._clock = clock
        self._lock = Lock()
        self._seen: _Seen | None = None
        self._mine: Object | None = None
        self._renewed = 0.0
        self.rival: str | None = None
        """Who holds it, when we do not."""
        self.rival_lives = False
        """Whether we saw that rival renew it; if not, it may be a dead one's."""

    @property
    def name(self) -> str:
        """Of the Lease object."""
        return f"{self._app_name}-writer"

    @property
    def held(self) -> bool:
        """Whether we may write now; False as soon as a rival could have taken it."""
        return self._mine is not None and self._clock() - self._renewed < DURATION

    def acquire(self) -> bool:
        """Take it if it is free or expired, renew it if it is ours.

        Returns:
            Whether we hold it now.

        Raises:
            ClusterError: the server refuses, or cannot be reached; `Missing` without a namespace.
        """
        with self._lock:
            now = self._clock()
            for _ in range(2):
                # A conflict: somebody wrote it between our look and our write. That may have been
                # ourselves, in a request whose answer was lost; so look once more.
                try:
                    self._mine = self._renew() if self._mine else self._take(now)
                    break
                except Conflict:
                    self._mine = None
            if self._mine is not None:
                self._renewed, self.rival, self.rival_lives = now, None, False
            return self._mine is not None

    @property
    def obstacle(self) -> Held | Conflict:
        """Why we do not hold it: a rival at work, or one that may be dead."""
        subject, rival = f"Lease/{self.name} acquire", f"{self.rival} keeps this app converged"
        if self.rival_lives:
            return Held(subject, rival, "end it there first")
        return Conflict(subject, rival, f"it is free {DURATION:g} s after that has ended")

    def release(self) -> None:
        """Let the next one in at once; nothing happens when we do not hold it."""
        with self._lock:
            if self._mine is None:
                return
            mine, self._mine = self._mine, None
            try:
                self._cluster.delete(mine, unchanged=True)
            except Conflict:
                # A rival has it already: nothing of ours is left to release.
                return

    def _renew(self) -> Object:
        return self._cluster.apply(self._object(self._mine))

    def _take(self, now: float) -> Object | None:
        live = self._cluster.get(LEASE, self.name)
        if live is None:
            return self._cluster.create(self._object(None))
        holder = live["spec"].get("holderIdentity")
        if holder not in {None, self.holder} and not self._expired(live, holder, now):
            return None
        return self._cluster.apply(self._object(live))

    def _expired(self, live: Object, holder: str, now: float) -> bool:
        version = live["metadata"]["resourceVersion"]
        changed = self._seen is None or self._seen.version != version
        self.rival_lives = self.rival == holder and (self.rival_lives or changed)
        self.rival = holder
        if self._seen is None or changed:
            self._seen = _Seen(version, now)
        return now - self._seen.at >= DURATION

    def _object(self, live: Object | None) -> Object:
        # The version makes this a compare-and-set: of two that try, one gets a conflict.
        guard = {"resourceVersion": live["metadata"]["resourceVersion"]} if live else {}
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.name,
            "metadata": {
                "name": self.name,
                "labels": labels_of(self._app_name, "reconciler"),
                **guard,
            },
            "spec": {
                "holderIdentity": self.holder,
                "leaseDurationSeconds": int(DURATION),
                "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }
