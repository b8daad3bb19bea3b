"""What an image pins: what it may install, and nothing that is installed here beside it."""

import socket
import zipfile
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest

from jac_converge.reconciler.errors import Interrupted
from jac_converge.reconciler.image.dependencies import Lock, install, lock_of


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


def write_wheel(file: Path, version: str) -> None:
    """Write a wheel of the package one, with a module that says its version."""
    with zipfile.ZipFile(file, "w") as zipped:
        folder = f"one-{version}.dist-info"
        zipped.writestr("one.py", f"version = {version!r}\n")
        zipped.writestr(
            f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: one\nVersion: {version}\n"
        )
        zipped.writestr(f"{folder}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        zipped.writestr(f"{folder}/RECORD", "")


def test_wheel_beside_the_app_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever this is run; and another one of the same name makes another image."""
    root, elsewhere = tmp_path / "shop", tmp_path / "elsewhere"
    for folder in (root / "wheels", elsewhere):
        folder.mkdir(parents=True)
    wheel = root / "wheels" / "one-1-py3-none-any.whl"
    write_wheel(wheel, "1")
    (root / "requirements.txt").write_text("./wheels/one-1-py3-none-any.whl\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.chdir(elsewhere)
    found = lock_of(root)
    lock = replace(found, requirements=found.requirements[-1:], pins=())
    target = tmp_path / "target"
    install(lock, python="3.12", platform="linux/amd64", target=target, stop=Event())
    assert "version = '1'\n" == (target / "one.py").read_text()
    write_wheel(wheel, "2")
    assert found.key("3.12", "linux/amd64") != lock_of(root).key("3.12", "linux/amd64")


def test_installation_ends_when_we_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever pip waits for, such as an index that says nothing; and so does pip."""
    stop, lock = Event(), Lock(requirements=("one",))
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(20)  # a pip that asks for nothing must fail this, not hang it
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{mute.getsockname()[1]}/simple")

        def end_when_asked() -> None:
            asked, _ = mute.accept()
            stop.set()
            # Its end is the end of the connection.
            while asked.recv(65536):
                pass
            asked.close()

        asked = Thread(target=end_when_asked, name="index", daemon=True)
        asked.start()
        with pytest.raises(Interrupted, match=r"pip install failed .*told to end"):
            install(lock, python="3.12", platform="linux/amd64", target=tmp_path, stop=stop)
        asked.join(20)
        assert not asked.is_alive()
