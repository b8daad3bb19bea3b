"""Tokens and the secret that signs them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest

from jac_converge.app_runtime.auth.tokens import (
    LEEWAY,
    Claims,
    InvalidToken,
    Tokens,
    minted_secret,
)

SECRET = "s" * 64
CLAIMS = Claims(account="account:1", version=3, root="0" * 32)


def tokens(*, age: float = 0.0, audience: str = "app", secret: str = SECRET) -> Tokens:
    """Make tokens that were signed s ago and live for 60 s."""
    from time import time  # noqa: PLC0415

    return Tokens(
        secret=secret,
        algorithm="HS256",
        audience=audience,
        lifetime=60,
        clock=lambda: time() - age,
    )


def test_token_says_what_was_signed() -> None:
    """Account and version."""
    assert CLAIMS == tokens().check(tokens().sign(CLAIMS))


@pytest.mark.parametrize(
    "signer",
    [
        pytest.param(tokens(age=60 + LEEWAY + 1), id="expired"),
        pytest.param(tokens(age=-LEEWAY - 5), id="from-the-future"),
        pytest.param(tokens(audience="other"), id="other-app"),
        pytest.param(tokens(secret="t" * 64), id="other-secret"),
    ],
)
def test_token_of_another_time_or_place_is_invalid(signer: Tokens) -> None:
    """It speaks for nobody here."""
    with pytest.raises(InvalidToken):
        tokens().check(signer.sign(CLAIMS))


def test_believed_token_expires() -> None:
    """What was checked once is not believed for longer than it says."""
    checking, token = tokens(), tokens(age=60 + LEEWAY - 2).sign(CLAIMS)
    assert CLAIMS == checking.check(token)

    def refused() -> bool:
        try:
            checking.check(token)
        except InvalidToken:
            return True
        return False

    deadline = monotonic() + 10
    while not refused():
        assert monotonic() < deadline


def test_no_more_tokens_are_remembered_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that make room are checked anew."""
    monkeypatch.setattr("jac_converge.app_runtime.auth.tokens.REMEMBERED", 2)
    checking = tokens()
    signed = {tokens().sign(replace(CLAIMS, version=number)): number for number in range(5)}
    for _ in range(2):
        assert list(signed.values()) == [checking.check(token).version for token in signed]
    assert 2 == len(checking._believed)


def test_secret_is_minted_once(tmp_path: Path) -> None:
    """Of many that start at once, all read the same; nothing else is left behind."""
    file = tmp_path / "new" / "jwt-secret"
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(minted_secret, [file] * 32))
    assert 1 == len(secrets)
    assert [file] == list(file.parent.iterdir())
