"""Files with logins that somebody edited by hand: what is wrong with one is told, not raised."""

from pathlib import Path

import pytest

from jac_converge.reconciler.errors import Refused
from jac_converge.reconciler.image.logins import find_login, told_of

HOST = "registry.example"


def login_in(folder: Path, text: str) -> tuple[object, str]:
    """Look for a login in a config.json, and what is told of that file."""
    file = folder / "config.json"
    file.write_text(text)
    environ = {"DOCKER_CONFIG": str(folder), "XDG_CONFIG_HOME": str(folder)}
    return find_login(HOST, "team/shop", environ), told_of(file)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param('{"auths":', "it is not JSON: Expecting value", id="half a file"),
        pytest.param("\x00\u20ac", "it is not JSON", id="noise"),
        pytest.param("[]", "it is no JSON object", id="a list"),
        pytest.param('{"auths": ["a"]}', 'its "auths" is no JSON object', id="a list of logins"),
        pytest.param('{"credHelpers": "a"}', 'its "credHelpers" is no JSON', id="one helper"),
        pytest.param('{"auths": {"registry.example": ["a"]}}', "", id="an entry that is none"),
        pytest.param('{"auths": {"registry.example": {"auth": ["a"]}}}', "", id="a list as login"),
        pytest.param('{"auths": {"registry.example": {"username": 1}}}', "", id="a number"),
        pytest.param('{"auths": null}', "", id="nothing"),
    ],
)
def test_file_that_is_broken_has_no_login(tmp_path: Path, text: str, problem: str) -> None:
    """And is named together with why, so nobody looks for a missing one."""
    login, told = login_in(tmp_path, text)
    assert login is None
    assert told.startswith(f"{tmp_path / 'config.json'}{' (' if problem else ''}{problem}")
    assert bool(problem) == told.endswith(")")


def test_file_that_is_not_there_is_just_named(tmp_path: Path) -> None:
    """Most of them are not."""
    assert str(tmp_path / "auth.json") == told_of(tmp_path / "auth.json")
    assert "(it cannot be read: " in told_of(tmp_path)


def test_helper_that_answers_anything_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without what it answered."""
    program = tmp_path / "docker-credential-vault"
    program.write_text("#!/bin/sh\necho open sesame\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(Refused, match="vault did not answer with a login; run") as refused:
        login_in(tmp_path, '{"credHelpers": {"registry.example": "vault"}}')
    assert "sesame" not in str(refused.value)
