"""When jobs are due: pure."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jac_converge.app_runtime.bridge.restspecs import BadDeclaration
from jac_converge.app_runtime.bridge.schedules import Schedule
from jac_converge.app_runtime.ticks import Ticks, ticks_of

YEARS = st.integers(0, 100 * 366 * 86_400_000)
CRONS = [
    "* * * * *",
    "*/5 * * * *",
    "0 3 * * mon-fri",
    "30 4 1,15 * *",
    "0 0 29 feb *",
    "0 0 13 * fri",
]


def ticks(**given_: str | float) -> Ticks:
    """Return the ticks of a schedule."""
    return ticks_of("one", Schedule(**given_))  # type: ignore[arg-type]


def ms(text: str) -> int:
    """Return a moment in UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def shown(moment: int | None) -> str | None:
    """Return a moment as text."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("cron", "now", "last", "following"),
    [
        ("* * * * *", "2026-03-01 10:00:30", "2026-03-01 10:00:00", "2026-03-01 10:01:00"),
        ("*/15 * * * *", "2026-03-01 10:50:00", "2026-03-01 10:45:00", "2026-03-01 11:00:00"),
        ("5/20 * * * *", "2026-03-01 10:50:00", "2026-03-01 10:45:00", "2026-03-01 11:05:00"),
        ("0 3 * * *", "2026-03-01 03:00:00", "2026-03-01 03:00:00", "2026-03-02 03:00:00"),
        ("0 3 * * mon", "2026-03-01 10:00:00", "2026-02-23 03:00:00", "2026-03-02 03:00:00"),
        ("0 3 * * 0", "2026-03-01 10:00:00", "2026-02-23 03:00:00", "2026-03-02 03:00:00"),
        ("0 3 * * sat,sun", "2026-03-01 10:00:00", "2026-03-01 03:00:00", "2026-03-07 03:00:00"),
        ("30 8-10/2 1 jan *", "2026-03-01 10:00:00", "2026-01-01 10:30:00", "2027-01-01 08:30:00"),
        ("0 0 29 2 *", "2026-03-01 10:00:00", "2024-02-29 00:00:00", "2028-02-29 00:00:00"),
        ("0 0 29 2 mon", "2026-03-01 10:00:00", "2026-02-23 00:00:00", "2027-02-01 00:00:00"),
        ("0 0 13 * fri", "2026-03-01 10:00:00", "2026-02-27 00:00:00", "2026-03-06 00:00:00"),
        ("0 0 13 * fri", "2026-03-12 10:00:00", "2026-03-06 00:00:00", "2026-03-13 00:00:00"),
        ("0 0 2 * fri", "2026-03-01 10:00:00", "2026-02-27 00:00:00", "2026-03-02 00:00:00"),
        ("0 0 */2 * mon", "2026-03-01 10:00:00", "2026-02-23 00:00:00", "2026-03-09 00:00:00"),
        ("0 0 31 feb mon", "2026-03-01 10:00:00", "2026-02-23 00:00:00", "2027-02-01 00:00:00"),
    ],
)
def test_cron_is_due_in_utc(cron: str, now: str, last: str, following: str) -> None:
    """Monday is 0, as jaclang has it; a day and a weekday are either, as cron has them."""
    found = ticks(cron=cron)
    assert (last, following) == (shown(found.last(ms(now))), shown(found.next(ms(now))))


@pytest.mark.parametrize("said", [*({"cron": cron} for cron in CRONS), {"interval": 0.7}])
@given(now=YEARS)
def test_ticks_are_the_same_from_both_sides(said: dict[str, str | float], now: int) -> None:
    """There is none between the last and the next, whoever asks when."""
    found = ticks(**said)
    last, following = found.last(now), found.next(now)
    assert following is not None
    assert now < following
    assert following == found.last(following)
    if last is not None:
        assert last <= now
        assert following == found.next(last)


def test_interval_does_not_drift() -> None:
    """Its ticks are the same in every process, whenever that began."""
    found = ticks(interval=5)
    assert [10_000, 15_000] == [found.last(12_345), found.next(12_345)]


def test_date_is_due_once() -> None:
    """In any time zone."""
    found = ticks(date="2026-03-01T12:00:00+02:00")
    at = ms("2026-03-01 10:00:00")
    assert [None, at] == [found.last(at - 1), found.next(at - 1)]
    assert [at, None] == [found.last(at), found.next(at)]


@pytest.mark.parametrize(
    "cron",
    ["", "* * * *", "60 * * * *", "* * 0 * *", "*/0 * * * *", "5-1 * * * *", "x * * * *",
     "* * * * 7", "0 0 31 feb *", "-1 * * * *", "* * * * \u0662"],
)  # fmt: skip
def test_cron_that_makes_no_sense_is_refused(cron: str) -> None:
    """And so is one that is never due."""
    with pytest.raises(BadDeclaration, match="@schedule of one"):
        ticks(cron=cron)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"interval": 0}, "interval 0 is shorter than 0.1 s"),
        ({"interval": float("nan")}, "NaN"),
        ({"date": "tomorrow"}, "Invalid isoformat string"),
    ],
)
def test_schedule_that_makes_no_sense_is_refused(said: dict[str, str | float], told: str) -> None:
    """By the name of the job."""
    with pytest.raises(BadDeclaration, match=f"@schedule of one: .*{told}"):
        ticks(**said)
