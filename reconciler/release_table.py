"""The releases of an app as text, or JSON. Pure. It changes when `--history` shows more."""

from typing import Any

from jac_converge.reconciler.releases import History, Release

__all__ = ["history_lines", "release_json"]


def history_lines(history: History) -> list[str]:
    """The releases for people, the latest first: one aligned line each, and why one failed."""
    pinned = history.pin.number if history.pin else None
    cells = [
        (
            f"{release.number}{' (pinned)' if release.number == pinned else ''}",
            release.at,
            release.who,
            release.version.image,
            f"{release.outcome}: {release.reason}" if release.reason else release.outcome,
        )
        for release in reversed(history.releases)
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(4)] if cells else []
    return [
        "  ".join((*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[4]))
        for row in cells
    ]


def release_json(history: History, release: Release) -> dict[str, Any]:
    """One release for programs."""
    return {
        "number": release.number,
        "at": release.at,
        "who": release.who,
        "image": release.version.image,
        "outcome": release.outcome,
        "reason": release.reason,
        "pinned": history.pin is not None and history.pin.number == release.number,
    }
