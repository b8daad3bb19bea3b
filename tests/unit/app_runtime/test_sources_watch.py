"""What counts as a source of an app."""

from pathlib import Path

import pytest

from jac_converge.app_runtime.sources_watch import Sources


def test_saved_made_and_removed_files_are_noticed(tmp_path: Path) -> None:
    """Modules anywhere in the project, jac.toml also before it exists."""
    toml, app, part = tmp_path / "jac.toml", tmp_path / "app.jac", tmp_path / "sub" / "part.jac"
    part.parent.mkdir()
    app.write_text("a")
    part.write_text("b")
    sources = Sources(tmp_path, tmp_path, (toml,))
    assert [] == sources.changed()
    app.write_text("longer")
    part.unlink()
    toml.write_text("")
    assert [app, toml, part] == sources.changed()
    assert [] == sources.changed()


@pytest.mark.parametrize(
    "name", ["part.py", "sub/part.py", "view.tsx", "style.css", "assets/a.png", "assets/sub/b"]
)
def test_all_that_an_app_is_made_of_is_a_source(tmp_path: Path, name: str) -> None:
    """Modules of Python, and what its pages are bundled from; assets are beside jac.toml."""
    folder = tmp_path / "source"
    file = (tmp_path if name.startswith("assets/") else folder) / name
    file.parent.mkdir(parents=True)
    file.write_text("a")
    sources = Sources(folder, tmp_path, ())
    file.write_text("longer")
    assert [file] == sources.changed()


def test_other_files_are_not_sources(tmp_path: Path) -> None:
    """Nor is what lies in hidden folders and environments."""
    sources = Sources(tmp_path, tmp_path, ())
    (tmp_path / "notes.txt").write_text("")
    for folder in (".jac", "node_modules", "venv", "env"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pyvenv.cfg").write_text("")
        (tmp_path / folder / "x.py").write_text("")
    assert [] == sources.changed()


def test_replaced_file_is_noticed(tmp_path: Path) -> None:
    """Editors write a new file and move it over the old one."""
    app, new = tmp_path / "app.jac", tmp_path / "app.jac~"
    app.write_text("a")
    sources = Sources(tmp_path, tmp_path, ())
    new.write_text("b")
    new.rename(app)
    assert [app] == sources.changed()
