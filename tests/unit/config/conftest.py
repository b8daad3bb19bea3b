"""A folder with an app in it, for tests of what its jac.toml says."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with an app in it."""
    (tmp_path / "main.jac").touch()
    return tmp_path
