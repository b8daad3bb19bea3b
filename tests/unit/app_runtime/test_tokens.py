"""Tokens, and the keys that sign them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import monotonic

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from jac_converge.app_runtime.auth.keys import BadKey, keyring, minted_secrets
from jac_converge.app_runtime.auth.tokens import InvalidToken
from tests.unit.app_runtime.signers import (
    CLAIMS,
    KEYS,
    LEEWAY,
    RSA,
    SECRET,
    pem,
    public_pem,
    tokens,
)


def test_token_says_what_was_signed() -> None:
    """Account and version."""
    assert CLAIMS == tokens().check(tokens().sign(CLAIMS))


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
        secrets = set(pool.map(minted_secrets, [file] * 32))
    assert 1 == len(secrets)
    assert [file] == list(file.parent.iterdir())


def test_an_empty_file_of_secrets_is_told(tmp_path: Path) -> None:
    """It is neither an error of ours nor a reason to make new secrets unasked."""
    file = tmp_path / "jwt-secret"
    file.touch()
    with pytest.raises(BadKey, match=f"{file} holds no secret; delete it"):
        minted_secrets(file)


@pytest.mark.parametrize("name", KEYS)
def test_every_algorithm_signs_what_it_checks(name: str) -> None:
    """And what it publishes is enough to check it elsewhere, where there is anything to publish."""
    signer = tokens(keys=KEYS[name])
    token = signer.sign(CLAIMS)
    assert CLAIMS == signer.check(token)
    published = signer.published["keys"]
    assert name.startswith("HS") == (published == [])
    private = {"d", "p", "q", "dp", "dq", "qi", "k"}
    assert [] == [key for key in published if private & key.keys()]
    if published:
        key = jwt.PyJWKSet.from_dict(signer.published)[jwt.get_unverified_header(token)["kid"]]
        payload = jwt.decode(token, key.key, [key.algorithm_name], audience="app")
        assert CLAIMS.account == payload["sub"]


def test_derived_keys_are_the_same_in_every_worker() -> None:
    """Nothing but the secret is shared."""
    for name in ("ES256", "EdDSA"):
        other = tokens(keys=keyring(algorithm=name, secrets_=(SECRET,)))
        assert CLAIMS == other.check(tokens(keys=KEYS[f"derived-{name}"]).sign(CLAIMS))


ROTATIONS = {
    "secret": (KEYS["HS256"], keyring(algorithm="HS256", secrets_=("n" * 64,), previous=(SECRET,))),
    "minted": (KEYS["HS256"], keyring(algorithm="HS256", secrets_=("n" * 64, SECRET))),
    "hash": (KEYS["HS256"], keyring(algorithm="HS512", secrets_=(SECRET,))),
    "hash-to-key": (KEYS["HS256"], keyring(algorithm="EdDSA", secrets_=(SECRET,))),
    "derived-key": (
        KEYS["derived-EdDSA"],
        keyring(algorithm="EdDSA", secrets_=("n" * 64,), previous=(SECRET,)),
    ),
    "private-key": (
        KEYS["RS256"],
        keyring(algorithm="EdDSA", secrets_=("n" * 64,), previous=(RSA,)),
    ),
    "public-key": (
        KEYS["RS256"],
        keyring(algorithm="EdDSA", secrets_=("n" * 64,), previous=(public_pem(RSA),)),
    ),
}


@pytest.mark.parametrize("name", ROTATIONS)
def test_rotation_logs_nobody_out(name: str) -> None:
    """Old tokens are believed, new ones are signed by the new key, which the old ring refuses."""
    old, new = (tokens(keys=keys) for keys in ROTATIONS[name])
    assert CLAIMS == new.check(old.sign(CLAIMS))
    assert CLAIMS == new.check(new.sign(CLAIMS))
    before, after = (jwt.get_unverified_header(one.sign(CLAIMS))["kid"] for one in (old, new))
    assert before != after


@pytest.mark.parametrize("before", ["HS512", "ES256", "EdDSA"])
def test_another_algorithm_for_the_same_secret_logs_nobody_out(before: str) -> None:
    """Back from keys that followed from it, too; nothing of them is published any more."""
    old = tokens(keys=keyring(algorithm=before, secrets_=(SECRET,)))
    now = tokens(keys=keyring(algorithm="HS256", secrets_=(SECRET,)))
    assert CLAIMS == now.check(old.sign(CLAIMS))
    rotated = tokens(keys=keyring(algorithm="HS256", secrets_=("t" * 64,), previous=(SECRET,)))
    assert CLAIMS == rotated.check(old.sign(CLAIMS))
    assert [] == now.published["keys"]


def test_key_that_is_not_listed_any_more_ends_its_tokens() -> None:
    """The way to end everything."""
    with pytest.raises(InvalidToken):
        tokens(secret="n" * 64).check(tokens().sign(CLAIMS))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "exp", "nbf", "iat", "ver", "root", "sid"])
def test_token_without_a_claim_is_refused(claim: str) -> None:
    """None has a default."""
    good = jwt.decode(tokens().sign(CLAIMS), options={"verify_signature": False})
    del good[claim]
    token = jwt.encode(good, SECRET, headers={"kid": KEYS["HS256"].current.id})
    with pytest.raises(InvalidToken):
        tokens().check(token)


@pytest.mark.parametrize(
    ("algorithm", "key", "words"),
    [
        pytest.param("RS256", None, "needs private_key", id="rsa-from-a-secret"),
        pytest.param("RS256", "-----BEGIN PRIVATE KEY-----\nx", "is no PEM", id="no-pem"),
        pytest.param("RS256", public_pem(RSA), "is a public key", id="public"),
        pytest.param("EdDSA", RSA, "is for RS256", id="of-another-algorithm"),
        pytest.param(
            "ES256", pem(ec.generate_private_key(ec.SECP384R1())), "is none of", id="other-curve"
        ),
    ],
)
def test_key_that_cannot_sign_is_told(algorithm: str, key: str | None, words: str) -> None:
    """Without a word of the key itself."""
    with pytest.raises(BadKey, match=words) as raised:
        keyring(algorithm=algorithm, secrets_=(SECRET,), private_key=key)
    assert SECRET not in str(raised.value)


def test_keys_are_not_shown() -> None:
    """In a traceback or a log, if one ever gets there."""
    assert SECRET not in repr(KEYS["HS256"])
