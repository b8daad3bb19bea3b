"""How fast one loop may ask."""

from dataclasses import dataclass, field

import pytest

from jac_converge.reconciler.pace import BURST, RATE, Pace


@dataclass
class Time:
    """A clock that only waiting and the test move."""

    now: float = 100.0
    waited: list[float] = field(default_factory=list)

    def clock(self) -> float:
        """Seconds."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Sleep."""
        self.waited.append(round(seconds, 6))
        self.now += seconds


@pytest.mark.parametrize(
    ("requests", "waits"),
    [
        pytest.param([(0.0, 1)], [], id="one"),
        pytest.param([(0.0, BURST)], [], id="a burst"),
        pytest.param([(0.0, BURST + 3)], [1 / RATE] * 3, id="beyond the burst, at the rate"),
        pytest.param([(0.0, BURST), (1.0, int(RATE))], [], id="tokens come back"),
        pytest.param(
            [(0.0, BURST), (1.0, int(RATE) + 1)], [1 / RATE], id="no more than time passed"
        ),
        pytest.param(
            [(0.0, BURST), (1e6, BURST + 1)], [1 / RATE], id="and never more than a burst"
        ),
        pytest.param([(1.0, 1)] * 50, [], id="single requests never wait"),
    ],
)
def test_pace_waits_for_what_is_beyond_burst_and_rate(
    requests: list[tuple[float, int]], waits: list[float]
) -> None:
    """Each row: seconds of quiet, then requests at once."""
    time = Time()
    pace = Pace(clock=time.clock, wait=time.wait)
    for quiet, count in requests:
        time.now += quiet
        for _ in range(count):
            pace()
    assert waits == time.waited


def test_pace_queues_those_who_wait_at_the_same_time() -> None:
    """Threads that ask in one moment go one after the other, not all after the first wait."""
    time = Time()
    waits: list[float] = []
    pace = Pace(clock=time.clock, wait=lambda seconds: waits.append(round(seconds, 6)))
    for _ in range(BURST + 3):
        pace()
    assert [1 / RATE, 2 / RATE, 3 / RATE] == waits


def test_pace_keeps_the_long_run_rate() -> None:
    """A storm of a minute gets through at the rate, after its burst."""
    time = Time()
    pace = Pace(clock=time.clock, wait=time.wait)
    for _ in range(BURST + 600):
        pace()
    assert time.now - 100.0 == pytest.approx(600 / RATE)
