"""The moments at which a job is due, in ms since the epoch. Pure.

They follow from the clock alone, so that all workers and pods mean the same ones, and none is late
because the one before took long. It changes with the ways to say when.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from jac_converge.app_runtime.bridge.restspecs import BadDeclaration
from jac_converge.app_runtime.bridge.schedules import Schedule

__all__ = ["Ticks", "ticks_of"]

SHORTEST = 100  # ms between two ticks
DAYS = 5 * 366  # to look for a day; the 29th of February comes within these
DAY, MINUTE = 86_400_000, 60_000  # ms
FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
NAMES: tuple[tuple[str, ...], ...] = (
    (), (), (),
    ("", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    ("mon", "tue", "wed", "thu", "fri", "sat", "sun"),
)  # fmt: skip


class Ticks(Protocol):
    """When something is due."""

    def last(self, now: int) -> int | None:
        """Return the last tick that is not after now; None: there was none."""
        ...

    def next(self, now: int) -> int | None:
        """Return the first tick after now; None: there will be none."""
        ...


def ticks_of(name: str, schedule: Schedule) -> Ticks:
    """Return the ticks of a job.

    Raises:
        BadDeclaration: they cannot be told.
    """
    try:
        if schedule.interval is not None:
            return _every(float(schedule.interval))
        if schedule.date is not None:
            return _Once(at=_ms(_moment(str(schedule.date))))
        return _cron(str(schedule.cron))
    except (ValueError, TypeError, OverflowError) as error:
        raise BadDeclaration(f"@schedule of {name}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Every:
    """Multiples of a length of time since the epoch, and not since some process began."""

    length: int

    def last(self, now: int) -> int | None:
        return now // self.length * self.length

    def next(self, now: int) -> int | None:
        return (now // self.length + 1) * self.length


@dataclass(frozen=True, slots=True, kw_only=True)
class _Once:
    at: int

    def last(self, now: int) -> int | None:
        return self.at if self.at <= now else None

    def next(self, now: int) -> int | None:
        return self.at if self.at > now else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cron:
    """Minutes in UTC, wherever a container believes to be."""

    minutes: tuple[int, ...]
    """Of a day on which there are any, in order."""
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0: Monday."""
    either: bool
    """Whether a day is enough that is one of `days` or of `weekdays`, as cron has it where both are
    said; a field that begins with `*` says nothing."""

    def last(self, now: int) -> int | None:
        for day, start in _days(now, -1):
            found = [start + minute * MINUTE for minute in self.minutes] if self._has(day) else []
            past = [tick for tick in found if tick <= now]
            if past:
                return past[-1]
        return None

    def next(self, now: int) -> int | None:
        for day, start in _days(now, 1):
            found = [start + minute * MINUTE for minute in self.minutes] if self._has(day) else []
            future = [tick for tick in found if tick > now]
            if future:
                return future[0]
        return None

    def _has(self, day: date) -> bool:
        fits = (day.day in self.days, day.weekday() in self.weekdays)
        return day.month in self.months and (any(fits) if self.either else all(fits))


def _days(now: int, step: int) -> Iterator[tuple[date, int]]:
    """Yield days, and when they begin, from today on."""
    start = now // DAY * DAY
    today = datetime.fromtimestamp(start / 1000, UTC).date()
    for count in range(DAYS):
        yield today + timedelta(days=step * count), start + step * count * DAY


def _every(seconds: float) -> _Every:
    length = round(seconds * 1000)
    if length < SHORTEST:
        raise ValueError(f"interval {seconds:g} is shorter than {SHORTEST / 1000:g} s")
    return _Every(length=length)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    # As jaclang reads it: without a time zone, that of the machine.
    return moment.astimezone(UTC)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _cron(text: str) -> _Cron:
    fields = text.split()
    if len(fields) != len(FIELDS):
        raise ValueError(f"cron {text!r} has {len(fields)} fields, and needs 5")
    minutes, hours, days, months, weekdays = (
        _values(field, low, high, names)
        for field, (low, high), names in zip(fields, FIELDS, NAMES, strict=True)
    )
    cron = _Cron(
        minutes=tuple(60 * hour + minute for hour in sorted(hours) for minute in sorted(minutes)),
        days=days,
        months=months,
        weekdays=weekdays,
        either=not any(field.startswith("*") for field in (fields[2], fields[4])),
    )
    if cron.next(0) is None:
        raise ValueError(f"cron {text!r} is never due")
    return cron


def _values(field: str, low: int, high: int, names: tuple[str, ...]) -> frozenset[int]:
    """Read one field: `*`, `5`, `1-5`, `mon`, each with `/step` behind it, and lists of them."""
    found: set[int] = set()
    for part in field.lower().split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        begin = low if span == "*" else _number(first, names)
        end = _number(last, names) if dash else (high if span == "*" or slash else begin)
        stride = int(step) if slash else 1
        if not low <= begin <= end <= high or stride < 1:
            raise ValueError(f"cron: {part!r} is not within {low}-{high}")
        found.update(range(begin, end + 1, stride))
    return frozenset(found)


def _number(text: str, names: tuple[str, ...]) -> int:
    if text and text in names:
        return names.index(text)
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"cron: {text!r} is no number")
    return int(text)
