"""Which part of a difference jac.toml asks for, and which part is somebody else's doing. Pure.

Decided by what an earlier jac.toml wanted and by who wrote, never by when something was seen. It
changes when another writer turns out to act for us, as the autoscaler does.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from jac_converge.reconciler.differences import Change
from jac_converge.reconciler.drift import (
    Drift,
    FieldPath,
    Left,
    additions,
    drift_of,
    owned_fields,
    readable,
    writers_of,
)
from jac_converge.reconciler.objects import Object
from jac_converge.reconciler.ownership import HANDOVER_MANAGER
from jac_converge.reconciler.snapshot import Baseline

__all__ = ["REPLICAS", "edits_among", "foreign_drift", "leading", "ownership_patch"]

REPLICAS: Final[FieldPath] = ("f:spec", "f:replicas")

_ITEM: Final = re.compile(r"\[[^\]]*\]")
"""An item of a list, which ownership selects by its merge key, and a comparison by its name."""


def foreign_drift(
    live: Object,
    wanted: frozenset[FieldPath],
    baseline: Baseline | None,
    left: Left,
    *,
    autoscaled: bool,
) -> Drift | None:
    """What others did to an object whose description in jac.toml may have changed.

    Args:
        live: as the server has it, with managedFields.
        wanted: the fields that our next apply will own.
        baseline: what the server accepted from us last; None: what we own now counts as that.
        left: what others may add.
        autoscaled: whether an autoscaler of ours is there, which writes the count for us.
    """
    own = owned_fields(live)
    earlier = baseline.fields if baseline else own
    # Also by an update under our own name, which makes nobody a rival.
    written = {path for _, paths in additions(live) for path in paths}
    gained = {
        path
        for path in wanted - own - earlier - written
        if not (writers := writers_of(live, path))
        or (path == REPLICAS and (autoscaled or writers[0] == HANDOVER_MANAGER))
    }
    return drift_of(live, wanted - gained, left, earlier=earlier)


def leading(
    changes: Iterable[Change], drift: Drift | None, wanted: frozenset[FieldPath]
) -> tuple[Change, ...]:
    """Put what somebody touched first, then what we name, and last what only follows from that.

    A Service that becomes a NodePort gets an `externalTrafficPolicy` besides: that is not news.
    """
    touched, named = _touched(drift), _spelled(wanted)
    return tuple(
        sorted(changes, key=lambda c: (not _is_within(c, touched), not _is_within(c, named)))
    )


def edits_among(
    changes: Iterable[Change], drift: Drift | None, wanted: frozenset[FieldPath]
) -> tuple[Change, ...]:
    """The changes that an edit of jac.toml asks for, beside those that put drift back."""
    touched, named = _touched(drift), _spelled(wanted)
    rest = tuple(change for change in changes if not _is_within(change, touched))
    return rest if touched and any(_is_within(change, named) for change in rest) else ()


def _touched(drift: Drift | None) -> frozenset[str]:
    return _spelled((*drift.lost, *drift.added)) if drift else frozenset()


def _spelled(paths: Iterable[FieldPath]) -> frozenset[str]:
    return frozenset(_ITEM.sub("[]", readable(path)) for path in paths)


def _is_within(change: Change, places: frozenset[str]) -> bool:
    """Whether a change is at one of the places, above it or below it."""
    path = _ITEM.sub("[]", change.path)
    return any(
        path == place or path.startswith((f"{place}.", f"{place}[")) or _is_below(place, path)
        for place in places
    )


def _is_below(place: str, path: str) -> bool:
    return place.startswith((f"{path}.", f"{path}["))


def ownership_patch(
    before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Change the entries that differ, and only where they are as they were read.

    Not the version is what is tested: a controller that writes statuses all the time, as during a
    roll-out, would let no patch through.
    """
    if not before:
        yield {"op": "add", "path": "/metadata/managedFields", "value": after}
        return
    new = [entry for entry in after if entry not in before]
    # From behind, so that no removal moves what a later operation names.
    for index, entry in reversed(list(enumerate(before))):
        if entry in after:
            continue
        path = f"/metadata/managedFields/{index}"
        yield {"op": "test", "path": path, "value": entry}
        yield {"op": "remove", "path": path}
    yield from ({"op": "add", "path": "/metadata/managedFields/-", "value": e} for e in new)
