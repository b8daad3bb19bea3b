"""What was built is taken again where nothing changed since, and only there."""

import os
from pathlib import Path

from jac_converge.config.load import Problem
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
