"""The codes of problems, and the page that lists them."""

import re
from pathlib import Path

import pytest

from jac_converge.app_runtime.problems import CODES

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "http.md"


@pytest.mark.parametrize(("status", "code"), CODES.items())
def test_usual_code_of_a_status_is_documented(status: int, code: str) -> None:
    """In the table that clients are written by."""
    rows = re.findall(rf"^\| {status} \|([^|]*)\|", PAGE.read_text(), re.MULTILINE)
    assert any(f"`{code}`" in row for row in rows), rows
