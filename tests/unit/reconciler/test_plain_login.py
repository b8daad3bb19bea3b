"""Which kubeconfigs are read without the official client: those whose every word is understood."""

import json
from pathlib import Path
from typing import Any

import pytest

from jac_converge.reconciler.plain_login import plain_access

SERVER = {"server": "https://127.0.0.1:1/"}
TOKEN = {"token": "secret"}


def write(folder: Path, cluster: Any = SERVER, user: Any = TOKEN, **more: Any) -> str:
    """Write a kubeconfig with one context, `here`; returns its path."""
    content = {
        "clusters": [{"name": "one", "cluster": cluster}],
        "users": [{"name": "me", "user": user}],
        "contexts": [{"name": "here", "context": {"cluster": "one", "user": "me"}}],
        **more,
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(content))
    return str(file)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine needs to reach the world is no part of a kubeconfig."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_token_is_sent(tmp_path: Path) -> None:
    """To the server, whose URL loses its last slash."""
    access = plain_access("here", write(tmp_path), 2)
    assert access is not None
    assert "https://127.0.0.1:1" == access.server
    assert {"Authorization": "Bearer secret"} == access.header()


def test_first_file_of_two_counts(tmp_path: Path) -> None:
    """As to kubectl."""
    (tmp_path / "other").mkdir()
    first = write(tmp_path)
    second = write(tmp_path / "other", user={"token": "another"})
    access = plain_access("here", f"{first}:{second}", 2)
    assert access is not None
    assert {"Authorization": "Bearer secret"} == access.header()


@pytest.mark.parametrize(
    "user",
    [
        {"exec": {"command": "aws"}},
        {"auth-provider": {"name": "oidc"}},
        {"username": "me", "password": "x"},
        {"tokenFile": "/run/token"},
        {"as": "somebody", "token": "x"},
        {"client-certificate": "absent.pem", "client-key": "absent.key"},
        {"client-certificate-data": "no base64"},
    ],
    ids=lambda user: next(iter(user)),
)
def test_user_who_needs_more_is_left_to_the_client(tmp_path: Path, user: Any) -> None:
    """So is one whose files cannot be used: the client says what is wrong."""
    assert plain_access("here", write(tmp_path, user=user), 2) is None


@pytest.mark.parametrize(
    "cluster",
    [
        {**SERVER, "insecure-skip-tls-verify": True},
        {**SERVER, "tls-server-name": "other"},
        {**SERVER, "proxy-url": "http://127.0.0.1:3128"},
        {**SERVER, "certificate-authority": "absent.pem"},
        {},
        None,
    ],
    ids=["insecure", "server name", "proxy", "authority that is not there", "no server", "nothing"],
)
def test_cluster_that_needs_more_is_left_to_the_client(tmp_path: Path, cluster: Any) -> None:
    """So is one that is none."""
    assert plain_access("here", write(tmp_path, cluster), 2) is None


def test_proxy_of_the_environment_is_left_to_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows when not to use it."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    assert plain_access("here", write(tmp_path), 2) is None


def test_missing_context_is_left_to_the_client(tmp_path: Path) -> None:
    """As is a context of a user that is not there."""
    assert plain_access("there", write(tmp_path), 2) is None
    assert plain_access("here", write(tmp_path, users=[]), 2) is None
