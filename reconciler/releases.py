"""What was rolled out, how it went, and what is pinned: the record of one app's releases. Pure.

A release is the app's pod template and the configuration it reads, as we described them. Of secrets
only a keyed hash of each is kept: enough to tell whether one changed, too little to guess it. The
record is a ConfigMap: it says no more than the Deployment and its ConfigMap do, so whoever may read
those may read it, and a destroy takes it along. It changes when a release has to remember more.
"""

import base64
import gzip
import hashlib
import hmac
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from jac_converge.config.load import App
from jac_converge.reconciler.build.manifest import manifest
from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.health import Health
from jac_converge.reconciler.objects import Object, ObjectKey, key_of

__all__ = [
    "History",
    "Pin",
    "Release",
    "Version",
    "history_from",
    "judged",
    "record_key",
    "record_object",
    "version_of",
]

KEPT: Final = 10
"""Releases in the record; with a few kB each, compressed, far below the 1 MiB of a ConfigMap."""

_KEY: Final = "releases.json.gz"

type Outcome = Literal["healthy", "failed", "retried"]
"""retried: it failed, and somebody asked to try it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Everything that makes an app's pods what they are."""

    template: Object
    """The pod template, as we describe it."""
    config: Mapping[str, str]
    """What the pods read from the ConfigMap."""
    secrets: Mapping[str, str]
    """Name of each secret variable -> keyed hash of its value."""

    @property
    def mark(self) -> str:
        """A hash; equal for equal versions."""
        text = json.dumps([self.template, dict(self.config)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def image(self) -> str:
        """Of the app's container."""
        return str(self.template["spec"]["containers"][0]["image"])


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

    def numbered(self, number: int) -> Release | None:
        """The release of a number."""
        return next((r for r in self.releases if r.number == number), None)


def version_of(desired: Iterable[Object], app_name: str, *, key: str) -> Version:
    """Take an app's version out of its desired objects.

    Args:
        desired: as `build` describes it.
        app_name: name of the app.
        key: secret of the app, for the hashes of its secrets.
    """
    objects = {key_of(obj): obj for obj in desired}
    template = objects[ObjectKey("Deployment", app_name)]["spec"]["template"]
    config, secrets = (objects[source].get("data") or {} for source in _sources(template))
    return Version(
        template=template, config=config, secrets={n: _hashed(key, n, secrets[n]) for n in secrets}
    )


def _sources(template: Object) -> tuple[ObjectKey, ObjectKey]:
    """The ConfigMap and the Secret that the app's container takes its environment from."""
    config, secrets = template["spec"]["containers"][0]["envFrom"]
    return (
        ObjectKey("ConfigMap", config["configMapRef"]["name"]),
        ObjectKey("Secret", secrets["secretRef"]["name"]),
    )


def _hashed(key: str, name: str, value: str) -> str:
    return hmac.new(key.encode(), f"{name}={value}".encode(), hashlib.sha256).hexdigest()


def judged(history: History, version: Version, health: Health, *, at: str, who: str) -> History:
    """Note how the roll-out of a version stands; the same history when there is nothing new.

    A release that was healthy once stays so: what befalls it later is no failed roll-out.

    Args:
        history: so far.
        version: what is rolled out.
        health: of the app's Deployment.
        at: now, RFC 3339.
        who: who rolls it out.
    """
    if health.state == "progressing" or history.pinned(version):
        return history
    outcome: Outcome = "healthy" if health.state == "current" else "failed"
    newest = history.releases[-1] if history.releases else None
    same = newest is not None and newest.version.mark == version.mark
    if newest and same and newest.outcome in {"healthy", outcome}:
        return replace(history, pin=None)
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
