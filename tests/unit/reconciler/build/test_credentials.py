"""Generated secrets: minted once, then kept."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jac_converge.config.load import App
from jac_converge.config.rules import weakness
from jac_converge.reconciler.build import build
from jac_converge.reconciler.build.app import credentials_in
from jac_converge.reconciler.build.credentials import (
    Credentials,
    credentials_from,
    credentials_secret,
    encoded,
    secret_name,
)
from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.objects import Object, key_of
from tests.unit.reconciler.build.apps import CREDENTIALS, app_with

KEYS = {"jwt-secret", "redis-password", "mongodb-password"}
KEPT = Credentials(
    jwt_secret="a-jwt-secret-of-enough-bytes-for-it",
    redis_password="a-redis-password",
    mongodb_password="a-mongodb-password",
)


def minted(key: str) -> str:
    """Give a secret that tells whose it is."""
    return f"minted: {key}"


def none_minted(key: str) -> str:
    """Fail where nothing may be minted."""
    raise AssertionError(f"{key} was minted anew")


def with_value(key: str, value: str | bytes | None) -> Object:
    """The live Secret after somebody wrote one value, or took it away."""
    secret = credentials_secret(app_with(), KEPT)
    if value is None:
        del secret["data"][key]
    else:
        raw = value.encode() if isinstance(value, str) else value
        secret["data"][key] = base64.b64encode(raw).decode()
    return secret


def test_credentials_are_minted_when_there_is_no_secret() -> None:
    """Each value is one of its own."""
    found = credentials_from(None, mint=minted)

    assert {key: minted(key) for key in KEYS} == found.values


def text(least: int) -> st.SearchStrategy[str]:
    """Text that one can rely on."""
    anything = st.text(st.characters(exclude_categories=["Cs"]), min_size=least, max_size=least + 9)
    return anything.filter(lambda it: not weakness(it, needs="a test", least=least))


@given(passwords=st.tuples(text(32), text(16), text(16)))
def test_credentials_survive_the_cluster(passwords: tuple[str, str, str]) -> None:
    """What was written is what is read, and nothing is minted again."""
    jwt_secret, redis_password, mongodb_password = passwords
    before = Credentials(
        jwt_secret=jwt_secret, redis_password=redis_password, mongodb_password=mongodb_password
    )

    assert before == credentials_from(credentials_secret(app_with(), before), mint=none_minted)


BAD = {
    "removed": None,
    "emptied": "",
    "a byte": "x",
    "a byte too short": "fifteen-bytes-!",
    "published": "supersecretkey_for_testing_only!",
    "no text": b"\xff\xfe",
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("key", sorted(KEYS))
def test_credentials_put_back_what_nobody_should_rely_on(
    key: str, value: str | bytes | None
) -> None:
    """As it was, where that is known; the others stay as they are."""
    secret = with_value(key, value)

    assert KEPT == credentials_from(secret, known=KEPT.values, mint=none_minted)


@pytest.mark.parametrize("value", [None, "", "x"], ids=["removed", "emptied", "a byte"])
@pytest.mark.parametrize("key", sorted(KEYS))
def test_credentials_mint_only_what_is_missing(key: str, value: str | None) -> None:
    """Where nobody knows what it was."""
    found = credentials_from(with_value(key, value), mint=minted)

    assert {**KEPT.values, key: minted(key)} == found.values


def test_credentials_take_a_new_value_for_a_wish() -> None:
    """So one rotates a secret: what is long enough counts, whatever was known."""
    new = "another-jwt-secret-of-enough-bytes-"

    found = credentials_from(with_value("jwt-secret", new), known=KEPT.values, mint=none_minted)

    assert {**KEPT.values, "jwt-secret": new} == found.values


def test_credentials_know_how_long_the_algorithm_wants_its_secret() -> None:
    """The server would refuse what is shorter, and no pod would start."""
    secret = credentials_secret(app_with(), KEPT)

    assert minted("jwt-secret") == credentials_from(secret, mint=minted, jwt_bytes=64).jwt_secret


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param({"jwt-secret": "x"}, minted("jwt-secret"), id="of the tokens: minted"),
        pytest.param({"mongodb-password": "x"}, "x", id="of the database: kept"),
    ],
)
def test_credentials_rely_on_what_is_known_only_where_they_must(
    known: dict[str, str], expected: str
) -> None:
    """The database opens by no other password, however short; for tokens there is a better one."""
    ((key, _),) = known.items()

    assert expected == credentials_from(with_value(key, ""), known=known, mint=minted).values[key]


def test_credentials_are_minted_when_the_secret_is_empty() -> None:
    """A Secret without `data` is one without values."""
    secret = {"kind": "Secret", "metadata": {"name": "shop-credentials"}}

    assert {key: minted(key) for key in KEYS} == credentials_from(secret, mint=minted).values


def test_credentials_refuse_what_is_not_text() -> None:
    """Bytes that were put there by hand are neither used wrongly nor replaced in silence."""
    secret = with_value("jwt-secret", b"\xff\xfe")

    with pytest.raises(Invalid, match="Secret/shop-credentials read failed") as refused:
        credentials_from(secret, mint=none_minted)

    assert "jwt-secret" in refused.value.cause


def test_credentials_are_in_the_environment_of_the_pods() -> None:
    """Whatever characters they have; so a process that begins knows what was there before."""
    credentials = Credentials(
        jwt_secret="any", redis_password="a/b@c d", mongodb_password="d:e?f%20"
    )
    objects = {str(key_of(it)): it for it in build(app_with(), credentials)}

    assert credentials.values == credentials_in(app_with(), objects["Secret/shop-secrets"])


@pytest.mark.parametrize(
    "app",
    [
        pytest.param(
            app_with(
                database={
                    "mongodb_uri": "mongodb://root:theirs@mongo.example/shop",
                    "redis_url": "redis://:theirs@redis.example:6379/0",
                },
                jwt={"secret": "a-secret-that-was-given-by-the-user"},
            ),
            id="everything was given",
        ),
    ],
)
def test_credentials_are_not_what_was_given(app: App) -> None:
    """The password of somebody else's database is none that we keep."""
    objects = {str(key_of(it)): it for it in build(app, KEPT)}

    assert {} == credentials_in(app, objects["Secret/shop-secrets"])


@pytest.mark.parametrize(
    "secrets",
    [
        pytest.param(None, id="no Secret"),
        pytest.param({"data": encoded({"MONGODB_URI": "mongodb://[broken"})}, id="no URL"),
        pytest.param({"data": {"JWT_SECRET": "//4="}}, id="no text"),
    ],
)
def test_credentials_are_not_in_an_environment_that_cannot_be_read(secrets: Object | None) -> None:
    """It may be somebody's edit, too."""
    assert {} == credentials_in(app_with(), secrets)


def test_credentials_do_not_show_in_their_repr() -> None:
    """A log line or a traceback with them in it tells nothing."""
    assert "Credentials()" == repr(CREDENTIALS)


def test_credentials_secret_has_the_name_that_is_looked_up() -> None:
    """Else the next apply would mint everything again."""
    secret = credentials_secret(app_with(), CREDENTIALS)

    assert secret_name("shop") == secret["metadata"]["name"]
    assert KEYS | {"redis.conf"} == set(secret["data"])
