"""The threat model names tests that are there."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "explanation" / "threat-model.md"


def test_every_test_of_the_threat_model_is_there() -> None:
    """A defence whose test was renamed or removed is none any more."""
    named = set(re.findall(r"`([\w/]+\.py)`", PAGE.read_text()))
    assert len(named) > 10
    assert [] == sorted(name for name in named if not (TESTS / name).is_file())
