"""A roll-back by hand: which release it means, and why some cannot be restored. Pure.

It changes nothing but the record; whoever keeps the app converged does the rest, also a watch that
runs elsewhere.
"""

from dataclasses import replace

from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.releases import History, Pin, Release, obstacle
from jac_converge.reconciler.version import Version

__all__ = ["rolled_back"]


def rolled_back(history: History, version: Version, number: int | None) -> History:
    """Pin a release in place of what jac.toml says; the very release that says it ends the pin.

    Args:
        history: so far.
        version: what jac.toml says.
        number: of the release; None: the last healthy one before the one in force.

    Raises:
        Invalid: there is no such release, or it cannot be restored.
    """
    pinned = history.pinned(version)
    release = _before(history, pinned) if number is None else history.numbered(number)
    if release is None:
        raise _refusal(number, _missing(history, number))
    in_force = pinned or (history.releases[-1] if history.releases else None)
    if release == in_force:
        raise _refusal(release.number, f"{release} is in force already")
    if release.version.mark == version.mark:
        return _tried_again(history, version)
    if release.outcome != "healthy":
        raise _refusal(release.number, f"{release} was not healthy: {release.reason}")
    if why := obstacle(release, version):
        raise _refusal(release.number, why)
    pin = Pin(number=release.number, instead_of=version.mark, by_hand=True)
    return replace(history, pin=pin)


def _before(history: History, pinned: Release | None) -> Release | None:
    newest = history.releases[-1].number if history.releases else 0
    limit = pinned.number if pinned else newest
    good = (r for r in history.releases if r.outcome == "healthy" and r.number < limit)
    return max(good, key=lambda release: release.number, default=None)


def _tried_again(history: History, version: Version) -> History:
    """Without the pin; what failed is on trial again, so that it may fail again."""
    releases = tuple(
        replace(release, outcome="retried")
        if release.version.mark == version.mark and release.outcome == "failed"
        else release
        for release in history.releases
    )
    return History(releases=releases)


def _refusal(number: int | None, cause: str) -> Invalid:
    subject = "rollback" if number is None else f"rollback to release {number}"
    return Invalid(subject, cause, "see jac scale --history")


def _missing(history: History, number: int | None) -> str:
    if number is None:
        return "no healthy release came before the one in force"
    numbers = ", ".join(str(release.number) for release in history.releases)
    return f"the record has no such release, but {numbers or 'none at all'}"
