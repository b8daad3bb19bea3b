"""Tokens, and the keys that sign them."""

import base64
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import monotonic, time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from jac_converge.app_runtime.auth.keys import BadKey, Keyring, keyring, minted_secrets
from jac_converge.app_runtime.auth.tokens import LONGEST, Claims, InvalidToken, Tokens

SECRET, LEEWAY = "s" * 64, 5
CLAIMS = Claims(account="account:1", version=3, root="0" * 32, session="ab")


def tokens(
    *,
    age: float = 0.0,
    audience: str = "app",
    secret: str = SECRET,
    issuer: str = "jac-converge",
    keys: Keyring | None = None,
) -> Tokens:
    """Make tokens that were signed s ago and live for 60 s."""
    return Tokens(
        keys or keyring(algorithm="HS256", secrets_=(secret,)),
        issuer=issuer,
        audience=audience,
        lifetime=60,
        leeway=LEEWAY,
        clock=lambda: time() - age,
    )


def pem(key: Any) -> str:
    """Write a private key as PEM."""
    form, encoding = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    return str(key.private_bytes(encoding, form, serialization.NoEncryption()).decode())


def public_pem(private: str) -> str:
    """Write the public half of a private key as PEM."""
    key = serialization.load_pem_private_key(private.encode(), None).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form).decode()


RSA = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
KEYS = {
    "HS256": keyring(algorithm="HS256", secrets_=(SECRET,)),
    "HS512": keyring(algorithm="HS512", secrets_=(SECRET,)),
    "RS256": keyring(algorithm="RS256", secrets_=(SECRET,), private_key=RSA),
    "ES256": keyring(
        algorithm="ES256",
        secrets_=(SECRET,),
        private_key=pem(ec.generate_private_key(ec.SECP256R1())),
    ),
    "EdDSA": keyring(
        algorithm="EdDSA",
        secrets_=(SECRET,),
        private_key=pem(ed25519.Ed25519PrivateKey.generate()),
    ),
    "derived-ES256": keyring(algorithm="ES256", secrets_=(SECRET,)),
    "derived-EdDSA": keyring(algorithm="EdDSA", secrets_=(SECRET,)),
}


def test_token_says_what_was_signed() -> None:
    """Account and version."""
    assert CLAIMS == tokens().check(tokens().sign(CLAIMS))


@pytest.mark.parametrize(
    "signer",
    [
        pytest.param(tokens(age=60 + LEEWAY + 1), id="expired"),
        pytest.param(tokens(age=-LEEWAY - 5), id="from-the-future"),
        pytest.param(tokens(audience="other"), id="other-app"),
        pytest.param(tokens(issuer="other"), id="other-issuer"),
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


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _hs256(header: dict[str, Any], payload: str, key: bytes) -> str:
    """Sign as HS256 whatever the key is: PyJWT would refuse a PEM."""
    signed = f"{_part(header)}.{payload}"
    digest = hmac.digest(key, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _attacks() -> dict[str, tuple[Tokens, str]]:
    plain, asymmetric = tokens(), tokens(keys=KEYS["RS256"])
    good, signed = plain.sign(CLAIMS), asymmetric.sign(CLAIMS)
    head, body, tail = good.split(".")
    header = jwt.get_unverified_header(good)
    rs_header, rs_body = jwt.get_unverified_header(signed), signed.split(".")[1]
    key = SECRET.encode()
    kids = {
        "path": "../../../../dev/null",
        "sql": "' UNION SELECT 'x",
        "empty": "",
        "list": ["a"],
        "number": 1,
        "null": None,
        "url": "https://attacker.example/jwks.json",
    }
    outside = {"jku": "https://attacker.example/jwks.json", "x5u": "https://attacker.example/c"}
    return {
        **{
            f"kid-{name}": (plain, _hs256(header | {"kid": kid}, body, b""))
            for name, kid in kids.items()
        },
        "alg-none": (plain, f"{_part(header | {'alg': 'none'})}.{body}."),
        "alg-None": (plain, f"{_part(header | {'alg': 'nOnE'})}.{body}."),
        "alg-none-with-signature": (plain, f"{_part(header | {'alg': 'none'})}.{body}.{tail}"),
        "alg-list": (plain, f"{_part(header | {'alg': ['HS256']})}.{body}.{tail}"),
        "no-alg": (plain, f"{_part({'kid': header['kid']})}.{body}.{tail}"),
        "no-kid": (plain, _hs256({"alg": "HS256"}, body, key)),
        "other-hash": (plain, jwt.encode({}, SECRET, "HS512", headers={"kid": header["kid"]})),
        "hs-with-public-key": (
            asymmetric,
            _hs256(rs_header | {"alg": "HS256"}, rs_body, public_pem(RSA).encode()),
        ),
        "hs-with-public-key-stripped": (
            asymmetric,
            _hs256(rs_header | {"alg": "HS256"}, rs_body, public_pem(RSA).strip().encode()),
        ),
        "hs-with-published-key": (
            asymmetric,
            _hs256(
                rs_header | {"alg": "HS256"},
                rs_body,
                json.dumps(asymmetric.published["keys"][0]).encode(),
            ),
        ),
        "jwk-in-header": (
            asymmetric,
            _hs256(
                rs_header | {"alg": "HS256", "jwk": {"kty": "oct", "k": "eHh4"}}, rs_body, b"xxx"
            ),
        ),
        "jku-in-header": (plain, _hs256(header | outside, body, b"another key")),
        "truncated": (plain, good[:-1]),
        "truncated-to-claims": (plain, f"{head}.{body}"),
        "truncated-signature": (plain, f"{head}.{body}."),
        "changed-claims": (plain, f"{head}.{_part({'sub': 'account:2'})}.{tail}"),
        "claims-are-no-object": (plain, _hs256(header, _part([1]), key)),
        "header-is-no-object": (plain, f"{_part([1])}.{body}.{tail}"),
        "no-base64": (plain, "%.%.%"),
        "not-ascii": (plain, "é.é.é"),
        "nothing": (plain, ""),
        "oversized": (plain, f"{head}.{body}.{'A' * LONGEST}"),
    }


ATTACKS = _attacks()


@pytest.mark.parametrize("name", ATTACKS)
def test_forged_token_is_refused(name: str) -> None:
    """Each one has claims that would be believed if it were signed as we sign."""
    checking, forged = ATTACKS[name]
    with pytest.raises(InvalidToken):
        checking.check(forged)
    assert 0 == len(checking._believed)


@pytest.mark.parametrize(
    ("change", "believed"),
    [
        pytest.param({"exp": -LEEWAY + 2}, True, id="expired-within-the-leeway"),
        pytest.param({"exp": -LEEWAY - 1}, False, id="expired"),
        pytest.param({"nbf": LEEWAY - 2, "iat": LEEWAY - 2}, True, id="signed-by-a-fast-clock"),
        pytest.param({"nbf": LEEWAY + 5}, False, id="not-yet-valid"),
        pytest.param({"iat": LEEWAY + 5}, False, id="signed-in-the-future"),
    ],
)
def test_clocks_may_differ_a_little(change: dict[str, int], *, believed: bool) -> None:
    """By the leeway, and not more."""
    good = jwt.decode(tokens().sign(CLAIMS), options={"verify_signature": False})
    header = {"kid": KEYS["HS256"].current.id}
    moved = good | {claim: int(time()) + shift for claim, shift in change.items()}
    token = jwt.encode(moved, SECRET, algorithm="HS256", headers=header)
    if believed:
        assert CLAIMS == tokens().check(token)
    else:
        with pytest.raises(InvalidToken):
            tokens().check(token)


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
