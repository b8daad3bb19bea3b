"""What cannot be built is told by the file that is wrong, in one line."""

from pathlib import Path

from jac_converge.reconciler.image.production import notes_on_sources, sources_of
from tests.unit.reconciler.image.production_case import case_in


def test_links_to_folders_are_noted(tmp_path: Path) -> None:
    """They are left out; a virtual environment always is."""
    case = case_in(tmp_path)
    assert () == notes_on_sources(case.app)
    for name in ("library", "venv"):
        (tmp_path / name).mkdir()
        (case.app.root / name).symlink_to(tmp_path / name)
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    (tmp_path / "library" / "one.jac").write_text("")
    (note,) = notes_on_sources(case.app)
    assert "left out of the image, since links lead there: library; put" in note
    assert {"base.tar", "jac.toml", "shop.jac"} == sources_of(case.app).keys()
