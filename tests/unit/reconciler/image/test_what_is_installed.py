"""What an image pins: what it may install, and nothing that is installed here beside it."""

from pathlib import Path

from jac_converge.reconciler.image.dependencies import lock_of


def names(lines: tuple[str, ...]) -> set[str]:
    """Of pins."""
    return {line.partition("==")[0] for line in lines}


def test_lock_pins_what_requirements_lead_to(tmp_path: Path) -> None:
    """Through extras (redis[hiredis], pyjwt[crypto]) too; another linter makes no other image."""
    pinned = names(lock_of(tmp_path).pins)
    assert {"fastapi", "jaclang", "redis", "hiredis", "pyjwt", "cryptography"} <= pinned
    assert set() == pinned & {"pytest", "ruff", "mypy", "kubernetes", "rich", "jac-converge"}


def test_lock_pins_what_the_app_asks_for(tmp_path: Path) -> None:
    """In the version that is here, with what that needs."""
    (tmp_path / "requirements.txt").write_text("pytest  # in pods too\n")
    assert {"pytest", "pluggy"} <= names(lock_of(tmp_path).pins)
