"""One writer per app: a Lease in the app's namespace, held by the process that may write.

Expiry is judged by what this process itself saw change, on its own monotonic clock, so a wrong
wall clock on either side steals nothing.

Source: client-go's tools/leaderelection.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Final

from jac_converge.reconciler.cluster import Cluster
from jac_converge.reconciler.errors import Conflict, Held, Throttled
from jac_converge.reconciler.objects import LEASE, Object
from jac_converge.reconciler.ownership import labels_of, lease_name
from jac_converge.reconciler.pause import Pause, pause_of

__all__ = ["DURATION", "RENEWAL", "Lease", "renewal_of"]

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
        wall: seconds since the epoch, for the end of a pause, and for sleep of the machine.
        duration: seconds after which others may take it when it was not renewed.
    """

    def __init__(
        self,
        *,
        app_name: str,
        cluster: Cluster,
        holder: str,
        clock: Callable[[], float],
        wall: Callable[[], float] = time.time,
        duration: float = DURATION,
    ) -> None:
        self._app_name = app_name
        self._cluster = cluster
        self.holder = holder
        self._clock = clock
        self._wall = wall
        self._duration = duration
        self._lock = Lock()
        self._seen: _Seen | None = None
        self._mine: Object | None = None
        self._latest: Object | None = None
        """As last seen, whoever holds it."""
        self._renewed = 0.0
        """When, on the monotonic clock."""
        self._renewed_at = 0.0
        """When, on the wall clock."""
        self._asked: Throttled | None = None
        self._asked_until = 0.0
        """Until when, on the monotonic clock, the server wants to be left alone."""
        self.rival: str | None = None
        """Who holds it, when we do not."""
        self.rival_lives = False
        """Whether we saw that rival renew it; if not, it may be a dead one's."""

    @property
    def name(self) -> str:
        """Of the Lease object."""
        return lease_name(self._app_name)

    @property
    def paused(self) -> Pause | None:
        """Whether a person paused the app, as far as the lease was read."""
        return pause_of(self._latest, self._wall())

    @property
    def held(self) -> bool:
        """Whether we may write now; False as soon as a rival could have taken it."""
        # Linux stops the monotonic clock while the machine sleeps, so a lease that a rival took
        # meanwhile would still look fresh; the wall clock goes on.
        since = max(self._clock() - self._renewed, self._wall() - self._renewed_at)
        return self._mine is not None and since < _duration_of(self._mine)

    def acquire(self) -> bool:
        """Take it if it is free or expired, renew it if it is ours.

        Returns:
            Whether we hold it now.

        Raises:
            ClusterError: the server refuses, or cannot be reached; `Missing` without a namespace;
                `Throttled`, without a request, as long as it wants none.
        """
        with self._lock:
            now, at = self._clock(), self._wall()
            if self._asked and (left := self._asked_until - now) > 0:
                raise Throttled(self._asked.subject, self._asked.cause, left)
            try:
                self._renew_or_take(now)
            except Throttled as error:
                # Whoever calls comes by the clock, and sooner than some servers want.
                self._asked, self._asked_until = error, now + (error.retry_after or 0.0)
                raise
            if self._mine is not None:
                self._latest = self._mine
                self._renewed, self._renewed_at = now, at
                self.rival, self.rival_lives = None, False
            return self._mine is not None

    def _renew_or_take(self, now: float) -> None:
        for _ in range(2):
            # A conflict: somebody wrote it between our look and our write. That may have been
            # ourselves, in a request whose answer was lost; so look once more.
            try:
                self._mine = self._renew() if self._mine else self._take(now)
            except Conflict:
                self._mine = None
            else:
                return

    @property
    def obstacle(self) -> Held | Conflict:
        """Why we do not hold it: a rival at work, or one that may be dead."""
        # Nobody is known where each of our writes met one of somebody else's.
        subject = f"Lease/{self.name} acquire"
        rival = f"{self.rival or 'another process'} keeps this app converged"
        if self.rival_lives:
            return Held(subject, rival, "end it there first")
        return Conflict(
            subject, rival, f"it is free {_duration_of(self._latest):g} s after that has ended"
        )

    def release(self, *, forget_pause: bool = False) -> None:
        """Let the next one in at once; nothing happens when we do not hold it.

        Args:
            forget_pause: the app is gone, and so is whatever paused it.
        """
        with self._lock:
            mine, self._mine = self._mine, None
            for _ in range(2):
                if mine is None:
                    return
                try:
                    if forget_pause or not pause_of(mine, self._wall()):
                        self._cluster.delete(mine, unchanged=True)
                    else:
                        self._cluster.apply(self._object(mine, holder=None))
                except Conflict:
                    # A rival has it already, or somebody paused the app since we renewed.
                    mine = self._if_still_ours()
                else:
                    return

    def _if_still_ours(self) -> Object | None:
        live = self._cluster.get(LEASE, self.name)
        return live if live and _holder_of(live) == self.holder else None

    def _renew(self) -> Object:
        return self._cluster.apply(self._object(self._mine, self.holder))

    def _take(self, now: float) -> Object | None:
        live = self._cluster.get(LEASE, self.name)
        if live is None:
            return self._cluster.create(self._object(None, self.holder))
        self._latest = live
        holder = _holder_of(live)
        if holder not in {None, self.holder} and not self._expired(live, holder, now):
            return None
        return self._cluster.apply(self._object(live, self.holder))

    def _expired(self, live: Object, holder: str, now: float) -> bool:
        version = live["metadata"]["resourceVersion"]
        changed = self._seen is None or self._seen.version != version
        self.rival_lives = self.rival == holder and (self.rival_lives or changed)
        self.rival = holder
        if self._seen is None or changed:
            self._seen = _Seen(version, now)
        return now - self._seen.at >= _duration_of(live)

    def _object(self, live: Object | None, holder: str | None) -> Object:
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
                # Empty for nobody, as client-go does: left out, our create would still own it.
                "holderIdentity": holder or "",
                "leaseDurationSeconds": int(self._duration),
                "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }


def renewal_of(live: Object | None) -> float:
    """Seconds between two renewals of a lease, by its own word; two may fail."""
    return _duration_of(live) * RENEWAL / DURATION


def _duration_of(live: Object | None) -> float:
    """What whoever wrote it last said; the usual where nobody did."""
    return float(((live or {}).get("spec") or {}).get("leaseDurationSeconds") or DURATION)


def _holder_of(live: Object) -> str | None:
    holder = (live.get("spec") or {}).get("holderIdentity")
    return str(holder) if holder else None
