"""The table of acceptance tests in CONTRIBUTING names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = 16


def test_acceptance_table_names_tests_that_exist() -> None:
    """A test that is renamed or deleted takes its row with it."""
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("## Acceptance of the reconciler")[2]
    rows = re.findall(r"^\| (\d+) \|.*$", text.partition("\n## ")[0], re.MULTILINE)
    assert [str(number) for number in range(1, ROWS + 1)] == rows
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text)
    assert ROWS <= len(named)
    assert [] == [
        f"{file}::{test}" for file, test in named if f"def {test}(" not in (ROOT / file).read_text()
    ]
