"""Fields that a rival changes back as often as we heal them. Pure: the time is an argument.

Two controllers that each put a field right would do so for ever, and roll pods at every turn. After
the third heal the field is left to the rival, as if an ignore rule said so, and the rule is told.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from jac_converge.config.ignore import IgnoreRule
from jac_converge.reconciler.drift import FieldPath, owned_fields, readable, writers_of
from jac_converge.reconciler.ignoring import Rules
from jac_converge.reconciler.objects import Object, ObjectKey
from jac_converge.reconciler.steps import Update

__all__ = ["HEALS", "PAUSE", "QUIET", "WINDOW", "Fight", "Fights"]

HEALS: Final = 3
"""Heals of one field from one manager that make a fight."""

WINDOW: Final = 60.0
"""Seconds within which they count."""

PAUSE: Final = 600.0
"""Seconds after which the field is healed again: the rival may have been told meanwhile."""

QUIET: Final = 60.0
"""Seconds without the rival's value after which its next change is no longer the same fight."""


@dataclass(frozen=True, slots=True)
class _Field:
    key: ObjectKey
    path: FieldPath
    manager: str


@dataclass(slots=True)
class Fight:
    """One field that is left to a rival for a while."""

    rule: IgnoreRule
    since: float
    """Monotonic seconds."""
    away_since: float | None = None
    """Since when the rival does not hold the field; None: it does."""

    @property
    def sentence(self) -> str:
        """What a person should know, with the line to copy."""
        rule = self.rule
        return (
            f"{rule.kind}/{rule.name} {rule.path} was healed {HEALS} times in {WINDOW:g} s, and "
            f"each time {rule.manager} had changed it again; it is left alone for "
            f"{PAUSE / 60:g} min, or until jac.toml changes. To leave it for good: "
            f'[converge.watch] ignore = ["{rule}"]'
        )


class Fights:
    """The fights of one app, and the heals that may become some."""

    def __init__(self) -> None:
        self._heals: dict[_Field, tuple[float, ...]] = {}
        self._fights: dict[_Field, Fight] = {}

    def heal(self, steps: Iterable[Update], now: float) -> tuple[Fight, ...]:
        """Count what was healed.

        Args:
            steps: updates that succeeded.
            now: monotonic seconds.

        Returns:
            The fights that this began.
        """
        fields = dict.fromkeys(field for step in steps for field in _healed_fields(step))
        self._heals = {
            field: recent
            for field, times in self._heals.items()
            if (recent := tuple(at for at in times if now - at < WINDOW))
        }
        begun = []
        for field in fields:
            times = (*self._heals.get(field, ()), now)
            self._heals[field] = times
            if len(times) >= HEALS:
                del self._heals[field]
                self._fights[field] = Fight(_rule(field), now)
                begun.append(self._fights[field])
        return tuple(begun)

    def rules(self, live: Mapping[ObjectKey, Object], now: float) -> Rules:
        """What is left to rivals now; ends the fights that are over.

        Args:
            live: every object, with managedFields.
            now: monotonic seconds.
        """
        for field, fight in tuple(self._fights.items()):
            there = live.get(field.key)
            present = there is not None and field.manager in writers_of(there, field.path)
            away = now - fight.away_since if fight.away_since is not None else 0.0
            if now - fight.since >= PAUSE or away >= QUIET:
                del self._fights[field]
            elif present:
                fight.away_since = None
            elif fight.away_since is None:
                fight.away_since = now
        return tuple(fight.rule for fight in self._fights.values())

    def lines(self, key: ObjectKey) -> tuple[str, ...]:
        """What of one object is left to rivals, as lines of `ignore`."""
        return tuple(str(f.rule) for field, f in self._fights.items() if field.key == key)


def _rule(field: _Field) -> IgnoreRule:
    return IgnoreRule(
        kind=field.key.kind,
        name=field.key.name,
        path=readable(field.path),
        manager=field.manager,
    )


def _healed_fields(step: Update) -> Iterator[_Field]:
    """The fields that a heal took back, with who had them."""
    if step.drift is None:
        return
    own = owned_fields(step.live)
    lists = {place for path in step.drift.lost if (place := _foreign_item(path, own))}
    for path in (*step.drift.lost, *step.drift.added):
        item = _foreign_item(path, own)
        # An item that was swapped for another one (a port's number is its key): the whole list.
        target = item[:-1] if item and any(one[:-1] == item[:-1] for one in lists) else item
        for manager in writers_of(step.live, target or path):
            yield _Field(step.key, target or path, manager)


def _foreign_item(path: FieldPath, own: frozenset[FieldPath]) -> FieldPath | None:
    """The list item around a field of which nothing is ours."""
    for end, step in enumerate(path, start=1):
        item = path[:end]
        if step.startswith("k:") and not any(one[:end] == item for one in own):
            return item
    return None
