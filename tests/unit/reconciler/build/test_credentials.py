"""Generated secrets: minted once, then kept."""

import base64
import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jac_converge.reconciler.build.credentials import (
    Credentials,
    credentials_from,
    credentials_secret,
    secret_name,
)
from jac_converge.reconciler.errors import Invalid
from tests.unit.reconciler.build.apps import CREDENTIALS, app_with

KEYS = {"jwt-secret", "redis-password", "mongodb-password"}


def tokens() -> Callable[[], str]:
    """Give a source of secrets that tells its calls."""
    numbers = itertools.count(1)
    return lambda: f"token-{next(numbers)}"


def no_token() -> str:
    """Fail where nothing may be minted."""
    raise AssertionError("a secret was minted anew")


def test_credentials_are_minted_when_there_is_no_secret() -> None:
    """Each value is one of its own."""
    minted = credentials_from(None, token=tokens())

    values = {minted.jwt_secret, minted.redis_password, minted.mongodb_password}
    assert {"token-1", "token-2", "token-3"} == values


@given(
    passwords=st.tuples(
        *[st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)] * 3
    )
)
def test_credentials_survive_the_cluster(passwords: tuple[str, str, str]) -> None:
    """What was written is what is read, and nothing is minted again."""
    jwt_secret, redis_password, mongodb_password = passwords
    before = Credentials(
        jwt_secret=jwt_secret, redis_password=redis_password, mongodb_password=mongodb_password
    )

    assert before == credentials_from(credentials_secret(app_with(), before), token=no_token)


@pytest.mark.parametrize("missing", sorted(KEYS))
@pytest.mark.parametrize("empty", [True, False], ids=["emptied", "removed"])
def test_credentials_mint_only_what_is_missing(missing: str, empty: bool) -> None:  # noqa: FBT001
    """A key that somebody dropped comes back; the others stay as they are."""
    secret = credentials_secret(app_with(), CREDENTIALS)
    if empty:
        secret["data"][missing] = ""
    else:
        del secret["data"][missing]

    found = credentials_from(secret, token=tokens())

    changed = {
        key
        for key in KEYS
        if getattr(found, key.replace("-", "_")) != getattr(CREDENTIALS, key.replace("-", "_"))
    }
    assert {missing} == changed
    assert "token-1" == getattr(found, missing.replace("-", "_"))


def test_credentials_are_minted_when_the_secret_is_empty() -> None:
    """A Secret without `data` is one without values."""
    secret = {"kind": "Secret", "metadata": {"name": "shop-credentials"}}

    assert "token-1" == credentials_from(secret, token=tokens()).jwt_secret


def test_credentials_refuse_what_is_not_text() -> None:
    """Bytes that were put there by hand are neither used wrongly nor replaced in silence."""
    secret = credentials_secret(app_with(), CREDENTIALS)
    secret["data"]["jwt-secret"] = base64.b64encode(b"\xff\xfe").decode()

    with pytest.raises(Invalid, match="Secret/shop-credentials read failed") as refused:
        credentials_from(secret, token=no_token)

    assert "jwt-secret" in refused.value.cause


def test_credentials_do_not_show_in_their_repr() -> None:
    """A log line or a traceback with them in it tells nothing."""
    assert "Credentials()" == repr(CREDENTIALS)


def test_credentials_secret_has_the_name_that_is_looked_up() -> None:
    """Else the next apply would mint everything again."""
    secret = credentials_secret(app_with(), CREDENTIALS)

    assert secret_name("shop") == secret["metadata"]["name"]
    assert KEYS | {"redis.conf"} == set(secret["data"])
