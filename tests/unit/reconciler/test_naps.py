"""When two clocks that part mean that the machine was asleep."""

import pytest

from jac_converge.reconciler.naps import NAP, Naps


@pytest.mark.parametrize(
    ("monotonic", "wall", "expected"),
    [
        pytest.param(0.0, 0.0, 0.0, id="no time passed"),
        pytest.param(3600.0, 3600.0, 0.0, id="awake for an hour"),
        pytest.param(1.0, NAP, 0.0, id="a clock that was set a little"),
        pytest.param(1.0, 1.0 + 47 * 60, 47.0, id="asleep"),
        pytest.param(1.0, -3600.0, 0.0, id="a clock that was set back"),
    ],
)
def test_naps_tell_sleep_from_everything_else(
    monotonic: float, wall: float, expected: float
) -> None:
    """And tell each sleep once."""
    now = {"monotonic": 100.0, "wall": 1_700_000_000.0}
    naps = Naps(clock=lambda: now["monotonic"], wall=lambda: now["wall"])
    now = {"monotonic": now["monotonic"] + monotonic, "wall": now["wall"] + wall}
    assert (expected, 0.0) == (round(naps.minutes(), 6), naps.minutes())
