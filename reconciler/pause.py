"""Pausing an app: loops go on watching, tell drift, and write nothing.

The pause is an annotation of the app's Lease, so it reaches every loop, on any machine, and stays
when they end. It has a field manager of its own: who renews the lease leaves it as it is.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from jac_converge.reconciler.cluster import Cluster
from jac_converge.reconciler.errors import Conflict
from jac_converge.reconciler.objects import LEASE, Object
from jac_converge.reconciler.ownership import labels_of, lease_name

__all__ = ["Pause", "pause", "pause_of", "resume", "seconds_of"]

PAUSE_MANAGER: Final = "jac-converge-pause"
UNTIL: Final = "jac-converge/paused-until"
BY: Final = "jac-converge/paused-by"

_RESUMED: Final = "resumed"
"""Stands for the time of a pause that has none."""

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Who paused an app, and until when."""

    by: str
    until: str
    """RFC 3339, or `resumed`."""

    @property
    def sentence(self) -> str:
        """For people."""
        return f"paused by {self.by} until {self.until}"

    @property
    def as_json(self) -> dict[str, Any]:
        """For programs: `until` is null when the pause has no end of its own."""
        return {"by": self.by, "until": None if self.until == _RESUMED else self.until}


def seconds_of(text: str) -> int:
    """Read a duration.

    Raises:
        ValueError: it is none.

    >>> seconds_of("10m")
    600
    """
    found = re.fullmatch(r"([1-9][0-9]{0,4})([smhd])", text)
    if found is None:
        raise ValueError(f"must be a duration such as 90s, 10m, 2h or 1d, not {text!r}")
    return int(found[1]) * _SECONDS[found[2]]


def pause_of(lease: Object | None, now: float) -> Pause | None:
    """The pause that a Lease carries, unless it is over.

    Args:
        lease: None when there is none.
        now: seconds since the epoch.
    """
    notes = (lease or {}).get("metadata", {}).get("annotations") or {}
    until = notes.get(UNTIL)
    if until is None:
        return None
    by = str(notes.get(BY, "somebody"))
    try:
        over = datetime.fromisoformat(until).astimezone(UTC).timestamp() <= now
    except ValueError:
        # Not a time: somebody's own words, or ours for a pause without an end.
        return Pause(by=by, until=_RESUMED)
    return None if over else Pause(by=by, until=until)


def pause(cluster: Cluster, app_name: str, *, by: str, now: float, seconds: int | None) -> Pause:
    """Pause an app, or change its pause.

    Args:
        cluster: where the app is.
        app_name: the app.
        by: who, for the others to read.
        now: seconds since the epoch.
        seconds: how long; None: until it is resumed.

    Raises:
        ClusterError: it cannot be written; `Missing` without a namespace.
    """
    end = datetime.fromtimestamp(now + seconds, UTC) if seconds else None
    until = end.strftime("%Y-%m-%dT%H:%M:%SZ") if end else _RESUMED
    marked = _lease(app_name)
    marked["metadata"] |= {
        "labels": labels_of(app_name, "reconciler"),
        "annotations": {UNTIL: until, BY: by},
    }
    cluster.apply(marked, manager=PAUSE_MANAGER)
    return Pause(by=by, until=until)


def resume(cluster: Cluster, app_name: str, *, now: float) -> Pause | None:
    """End a pause; returns the one that was.

    Raises:
        ClusterError: it cannot be written.
    """
    live = cluster.get(LEASE, lease_name(app_name))
    if live is None or UNTIL not in (live["metadata"].get("annotations") or {}):
        return None
    freed = cluster.apply(_lease(app_name), manager=PAUSE_MANAGER)
    if not (freed.get("spec") or {}).get("holderIdentity"):
        try:
            cluster.delete(freed, unchanged=True)
        except Conflict:
            # A loop took it in this moment: now it is that loop's.
            return pause_of(live, now)
    return pause_of(live, now)


def _lease(app_name: str) -> Object:
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.name,
        "metadata": {"name": lease_name(app_name)},
    }
