"""What was rolled out, how it went, and what is pinned: the record of one app's releases. Pure.

The record is a ConfigMap: it says no more than the Deployment and its ConfigMap do, so whoever may
read those may read it, and a destroy takes it along. It changes when a release has to remember
more.
"""

import base64
import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from jac_converge.config.load import App
from jac_converge.reconciler.build.manifest import manifest
from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.health import Health
from jac_converge.reconciler.objects import Object, ObjectKey, key_of
from jac_converge.reconciler.version import Version

__all__ = [
    "History",
    "Pin",
    "Release",
    "history_from",
    "judged",
    "obstacle",
    "record_key",
    "record_object",
]

KEPT: Final = 10
"""Releases in the record; with a few kB each, compressed, far below the 1 MiB of a ConfigMap."""

_KEY: Final = "releases.json.gz"

type Outcome = Literal["healthy", "failed", "retried"]
"""retried: it failed, and somebody asked to try it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One version that was rolled out, and how that ended."""

    number: int
    at: str
    """When its outcome was known: RFC 3339, UTC."""
    who: str
    """`ann@laptop`."""
    outcome: Outcome
    reason: str
    """Why it failed; empty when it did not."""
    version: Version

    def __str__(self) -> str:
        return f"release {self.number} ({self.version.image})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A release that stands in for what jac.toml says, until jac.toml says something else."""

    number: int
    instead_of: str
    """Mark of the version that is not to be deployed."""
    by_hand: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The releases of one app, oldest first."""

    releases: tuple[Release, ...] = ()
    pin: Pin | None = None

    def pinned(self, version: Version) -> Release | None:
        """The release that stands in for a version; None: nothing does."""
        if self.pin is None or self.pin.instead_of != version.mark:
            return None
        return self.numbered(self.pin.number)

    def told(self, version: Version) -> str:
        """What stands in for a version, why, and what to do; empty when nothing does."""
        pinned = self.pinned(version)
        if pinned is None or self.pin is None:
            return ""
        same = [r for r in self.releases if r.version.mark == version.mark]
        again = f"jac scale --rollback --release {same[-1].number}" if same else ""
        if self.pin.by_hand or not same:
            back = f"; {again} ends that" if again else ""
            return f"{pinned} is pinned in place of it, until jac.toml changes{back}"
        return (
            f"{same[-1]} failed: {same[-1].reason}; {pinned} was restored, and stays until "
            f"jac.toml changes; correct what is wrong there, or try it again by {again}"
        )

    @property
    def last_good(self) -> Release | None:
        """The latest release that was healthy."""
        return next((r for r in reversed(self.releases) if r.outcome == "healthy"), None)

    def numbered(self, number: int) -> Release | None:
        """The release of a number."""
        return next((r for r in self.releases if r.number == number), None)


def judged(
    history: History, version: Version, health: Health, *, at: str, who: str, rollback: bool
) -> History:
    """Note how the roll-out of a version stands; the same history when there is nothing new.

    A release that was healthy once stays so: what befalls it later is no failed roll-out.

    Args:
        history: so far.
        version: what is rolled out.
        health: of the app's Deployment.
        at: now, RFC 3339.
        who: who rolls it out.
        rollback: whether the last good release takes the place of a version that fails.
    """
    if health.state == "progressing" or history.pinned(version):
        return history
    outcome: Outcome = "healthy" if health.state == "current" else "failed"
    newest = history.releases[-1] if history.releases else None
    same = newest is not None and newest.version.mark == version.mark
    if newest and same and newest.outcome == "healthy":
        return replace(history, pin=None)
    if newest and same and newest.outcome == outcome:
        noted = replace(history, pin=None)
    else:
        noted = _noted(history, version, health, at=at, who=who)
    # What somebody rolled back to is better than what they rolled back from.
    before = history.numbered(history.pin.number) if history.pin else None
    good = before or noted.last_good
    if outcome == "healthy" or not rollback or good is None or obstacle(good, version):
        return noted
    return replace(noted, pin=Pin(number=good.number, instead_of=version.mark, by_hand=False))


def obstacle(release: Release, version: Version) -> str:
    """Why a release cannot take the place of a version; empty when it can.

    Of its secrets it knows hashes only, so they have to be what they were.
    """
    then, now = release.version.secrets, version.secrets
    changed = sorted(name for name in then if then[name] != now.get(name))
    if not changed:
        return ""
    return (
        f"{release} cannot be restored, because {', '.join(changed)} had another value then; "
        "secrets are not kept: give that value again"
    )


def _noted(history: History, version: Version, health: Health, *, at: str, who: str) -> History:
    newest = history.releases[-1] if history.releases else None
    same = newest is not None and newest.version.mark == version.mark
    outcome: Outcome = "healthy" if health.state == "current" else "failed"
    release = Release(
        number=newest.number + (not same) if newest else 1,
        at=at,
        who=who,
        outcome=outcome,
        reason="" if outcome == "healthy" else health.sentence,
        version=version,
    )
    before = history.releases[:-1] if same else history.releases
    return History(releases=_kept((*before, release)))


def _kept(releases: tuple[Release, ...]) -> tuple[Release, ...]:
    """The last ones; a healthy one is always among them, if there ever was one."""
    last = releases[-KEPT:]
    if any(release.outcome == "healthy" for release in last):
        return last
    good = [release for release in releases if release.outcome == "healthy"]
    return (*good[-1:], *releases[-KEPT + len(good[-1:]) :])


def record_key(app_name: str) -> ObjectKey:
    """The object that keeps the record.

    >>> str(record_key("shop"))
    'ConfigMap/shop-releases'
    """
    return ObjectKey("ConfigMap", f"{app_name}-releases")


def record_object(app: App, history: History) -> Object:
    """The object that keeps a history."""
    text = json.dumps(asdict(history), sort_keys=True)
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return manifest(
        "ConfigMap", app, "app", name=record_key(app.name).name, binaryData={_KEY: packed}
    )


def history_from(record: Object) -> History:
    """Read a record.

    Raises:
        Invalid: somebody wrote something else there.
    """
    try:
        packed = base64.b64decode(record["binaryData"][_KEY])
        told = json.loads(gzip.decompress(packed))
        pin = Pin(**told["pin"]) if told["pin"] else None
        return History(releases=tuple(map(_release, told["releases"])), pin=pin)
    except (KeyError, TypeError, ValueError, OSError, EOFError, zlib.error) as exc:
        raise Invalid(
            f"{key_of(record)} read",
            f"it is no record of releases ({type(exc).__name__}); a new one is begun",
        ) from exc


def _release(told: Mapping[str, Any]) -> Release:
    return Release(**{**told, "version": Version(**told["version"])})
