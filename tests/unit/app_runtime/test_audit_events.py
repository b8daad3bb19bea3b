"""What the log calls things is written down, for whoever watches it."""

import re
from pathlib import Path

HERE = Path(__file__).parents[3]
PAGE = HERE / "docs" / "reference" / "http.md"


def test_every_event_of_the_log_is_described() -> None:
    """A rule that looks for one that was renamed finds nothing, and nobody notices."""
    source = "".join(file.read_text() for file in (HERE / "app_runtime").rglob("*.py"))
    events = set(re.findall(r'\b(?:audit|again|proven|quietly|enter)\(\s*"([a-z_]+)"', source))
    assert len(events) > 20
    described = set(re.findall(r"`([a-z_]+)`", PAGE.read_text()))
    assert set() == events - described
