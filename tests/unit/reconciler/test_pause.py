"""The pause on a Lease: what counts as one, and until when."""

from typing import Any

import pytest

from jac_converge.reconciler.pause import BY, UNTIL, Pause, pause_of, seconds_of

NOON = 1_800_000_000.0  # 2027-01-15T08:00:00Z


def lease(**notes: str) -> dict[str, Any]:
    """A Lease with annotations."""
    return {"metadata": {"name": "shop-writer", "annotations": notes}}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(None, None, id="no lease"),
        pytest.param({"metadata": {"name": "shop-writer"}}, None, id="no annotation"),
        pytest.param(
            lease(**{UNTIL: "2027-01-15T08:00:01Z", BY: "ann"}),
            Pause(by="ann", until="2027-01-15T08:00:01Z"),
            id="not over",
        ),
        pytest.param(lease(**{UNTIL: "2027-01-15T08:00:00Z", BY: "ann"}), None, id="over"),
        pytest.param(
            lease(**{UNTIL: "resumed", BY: "ann"}), Pause(by="ann", until="resumed"), id="no end"
        ),
        pytest.param(
            lease(**{UNTIL: "tea time"}), Pause(by="somebody", until="resumed"), id="own words"
        ),
    ],
)
def test_pause_of_a_lease(found: dict[str, Any] | None, expected: Pause | None) -> None:
    """What cannot be read pauses, rather than writes."""
    assert expected == pause_of(found, NOON)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400)]
)
def test_duration_is_read(text: str, seconds: int) -> None:
    """A number and a unit."""
    assert seconds == seconds_of(text)


@pytest.mark.parametrize("text", ["", "10", "m", "0m", "-1m", "1w", "1.5h", "10 m", "999999d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Guessing a unit would pause for the wrong time."""
    with pytest.raises(ValueError, match="10m"):
        seconds_of(text)


def test_pause_without_an_end_is_null_for_programs() -> None:
    """Not a word that looks like a time."""
    assert {"by": "ann", "until": None} == Pause(by="ann", until="resumed").as_json
