"""A test run on a machine that lacks a server says so, and is red only where nobody would read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TEST = "tests/contract/test_store_servers.py::test_mongo_refuses_a_duplicate"


@pytest.mark.parametrize(
    ("ci", "code", "verdict"),
    [pytest.param("", 0, "1 skipped", id="laptop"), pytest.param("true", 1, "1 error", id="ci")],
)
def test_run_names_a_missing_server(ci: str, code: int, verdict: str, tmp_path: Path) -> None:
    """Skipped with its reason on a laptop, an error with the same reason in CI."""
    absent = tmp_path / "mongowire"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TEST],
        cwd=REPOSITORY,
        env=os.environ | {"CI": ci, "JAC_CONVERGE_MONGOWIRE": str(absent), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert code == done.returncode
    assert verdict in done.stdout
    assert f"JAC_CONVERGE_MONGOWIRE names {absent}, which is no program" in done.stdout
