"""Which storage the settings ask for, and what it needs."""

import subprocess
import sys
from pathlib import Path

from jac_converge.app_runtime.files.disk import DiskFiles
from jac_converge.app_runtime.files.opening import open_files
from jac_converge.app_runtime.files.s3 import S3Files
from jac_converge.config.load import App, load_app


def app_of(folder: Path, toml: str) -> App:
    """Return an app with this jac.toml."""
    (folder / "app.jac").touch()
    (folder / "jac.toml").write_text(toml)
    return load_app(folder / "app.jac", environ={}, purpose="serve")


def test_files_are_on_disk_by_default(tmp_path: Path) -> None:
    """Beside jac.toml."""
    assert isinstance(open_files(app_of(tmp_path, "")), DiskFiles)


def test_files_are_in_a_bucket_where_one_is_named(tmp_path: Path) -> None:
    """Which is not asked before somebody needs it."""
    app = app_of(tmp_path, '[converge.storage]\nkind = "s3"\nbucket = "shop"\n')
    assert isinstance(open_files(app), S3Files)


def test_own_files_import_nothing_of_weight() -> None:
    """Every app that uses them is imported, by `jac check` as well."""
    code = (
        "import sys, typing, collections.abc; before = set(sys.modules); "
        "import jac_converge.files; print(*sorted(set(sys.modules) - before))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ["jac_converge", "jac_converge.files"] == ran.stdout.split()
