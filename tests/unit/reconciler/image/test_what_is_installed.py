"""What an image pins: what it may install, and nothing that is installed here beside it."""

import socket
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


def test_installation_ends_when_we_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever pip waits for, such as an index that says nothing; and so does pip."""
    stop, lock = Event(), Lock(requirements=("one",))
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{mute.getsockname()[1]}/simple")

        def end_when_asked() -> None:
            asked, _ = mute.accept()
            stop.set()
            # Its end is the end of the connection.
            while asked.recv(65536):
                pass
            asked.close()

        asked = Thread(target=end_when_asked, name="index")
        asked.start()
        with pytest.raises(Interrupted, match=r"pip install failed .*told to end"):
            install(lock, python="3.12", platform="linux/amd64", target=tmp_path, stop=stop)
        asked.join(20)
        assert not asked.is_alive()
