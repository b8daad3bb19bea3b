"""What was built is taken again where nothing changed since, and only there."""

import os
from pathlib import Path

import pytest

from jac_converge.config.load import Problem
from jac_converge.reconciler.errors import Missing
from tests.unit.reconciler.image.production_case import case_in


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
