"""What was built is taken again where nothing changed since, and only there."""

import io
import os
from pathlib import Path

import pytest

from jac_converge.app_runtime.auth.keys import minted_secrets
from jac_converge.app_runtime.files.disk import DiskFiles
from jac_converge.app_runtime.stores.shelf import Shelf
from jac_converge.config.load import Problem, load_app
from jac_converge.reconciler.errors import Missing
from jac_converge.reconciler.image.production import sources_of
from tests.unit.reconciler.image.production_case import TOML, case_in


def test_image_is_not_noted_for_files_that_changed_meanwhile(tmp_path: Path) -> None:
    """Packages take minutes to install, in which somebody saves the app, and takes it back."""
    case = case_in(tmp_path)
    first, stamp = case.code.read_text(), case.code.stat().st_mtime_ns

    def saved(file: Path) -> list[Problem]:
        file.write_text(first.replace("hi", "ho"))
        return []

    other = case.make(saved)
    case.code.write_text(first)
    os.utime(case.code, ns=(stamp, stamp))
    one = case.make()
    assert other.image.digest != one.image.digest
    assert one.image.digest == case.make(saved).image.digest
    assert first == case.code.read_text()


def test_base_of_another_platform_is_refused(tmp_path: Path) -> None:
    """Also where no index tells its images apart: that it is for another machine stands inside."""
    with pytest.raises(
        Missing, match="it is for linux/amd64, and the image is to be for linux/arm"
    ):
        case_in(tmp_path).make(platform="linux/arm64")


def test_base_that_does_not_say_which_python_it_has_is_noted(tmp_path: Path) -> None:
    """Each time: nothing cheaper than a pod could tell whether it has one at all."""
    case = case_in(tmp_path, env=())
    notes = [case.make().notes[0] for _ in range(2)]
    said = "the base image does not say which Python it has (PYTHON_VERSION), and is taken to have"
    assert [said, said] == [note[: len(said)] for note in notes]


@pytest.mark.parametrize("folder", ["", "data/", "./kept/"])
def test_what_serving_keeps_here_is_in_no_image(tmp_path: Path, folder: str) -> None:
    """The documents and files of whoever tried the app here, and the secret of their tokens."""
    root = case_in(tmp_path).app.root
    (root / "jac.toml").write_text(f'{TOML}[converge.database]\nshelf_db_path = "{folder}shop"\n')
    app = load_app(root / "shop.jac", environ={})
    (root / folder).resolve().mkdir(exist_ok=True)
    (root / folder / "prices.json").write_text("{}")
    before = sources_of(app).keys()
    shelf = Shelf(root / folder / "shop")
    minted_secrets(root / folder / "jwt-secret")
    files = DiskFiles(root)
    for key in ("storage/deep/photo.jpg", "own-files/0123/letter.txt"):
        files.write(key, io.BytesIO(b"private"), metadata={}, go_on=lambda: None)
    assert "shop.jac" in before
    assert before == sources_of(app).keys()
    shelf.close()
    assert before == sources_of(app).keys()
