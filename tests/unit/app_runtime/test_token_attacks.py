"""Tokens that nobody may believe: every attack, on every kind of key."""

import base64
import hmac
import json
from contextlib import suppress
from time import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from jac_converge.app_runtime.auth.keys import HASHES
from jac_converge.app_runtime.auth.tokens import LONGEST, InvalidToken
from tests.unit.app_runtime.signers import CLAIMS, KEYS, LEEWAY, SECRET, tokens


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"age": 60 + LEEWAY + 1}, id="expired"),
        pytest.param({"age": -LEEWAY - 5}, id="from-the-future"),
        pytest.param({"audience": "other"}, id="other-app"),
        pytest.param({"issuer": "other"}, id="other-issuer"),
    ],
)
def test_token_of_another_time_or_place_is_invalid(name: str, change: dict[str, Any]) -> None:
    """It speaks for nobody here."""
    with pytest.raises(InvalidToken):
        tokens(keys=KEYS[name]).check(tokens(keys=KEYS[name], **change).sign(CLAIMS))


def _part(value: Any) -> str:
    return _encoded(json.dumps(value).encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _hmac(header: dict[str, Any], payload: str, key: bytes) -> str:
    """Sign with a hash whatever the key is: PyJWT would refuse a PEM."""
    signed = f"{_part(header)}.{payload}"
    made = hmac.digest(key, signed.encode(), HASHES.get(header["alg"], "sha256"))
    return f"{signed}.{_encoded(made)}"


def _kids() -> dict[str, Any]:
    return {
        "path": "../../../../dev/null",
        "sql": "' UNION SELECT 'x",
        "empty": "",
        "list": ["a"],
        "number": 1,
        "null": None,
        "url": "https://attacker.example/jwks.json",
    }


def _without_a_key(good: str) -> dict[str, str]:
    """Change a token so that nobody needs a key for it."""
    head, body, tail = good.split(".")
    header = jwt.get_unverified_header(good)
    forged = _part(jwt.decode(good, options={"verify_signature": False}) | {"sub": "account:2"})
    return {
        "alg-none": f"{_part(header | {'alg': 'none'})}.{body}.",
        "alg-None": f"{_part(header | {'alg': 'nOnE'})}.{body}.",
        "alg-none-with-signature": f"{_part(header | {'alg': 'none'})}.{body}.{tail}",
        "alg-list": f"{_part(header | {'alg': [header['alg']]})}.{body}.{tail}",
        "alg-null": f"{_part(header | {'alg': None})}.{body}.{tail}",
        "alg-in-lower-case": f"{_part(header | {'alg': header['alg'].lower()})}.{body}.{tail}",
        "no-alg": f"{_part({'kid': header['kid']})}.{body}.{tail}",
        "truncated": good[:-2],
        "truncated-to-claims": f"{head}.{body}",
        "truncated-signature": f"{head}.{body}.",
        "signature-of-nulls": f"{head}.{body}.{_encoded(bytes(len(tail) * 3 // 4))}",
        "changed-claims": f"{head}.{forged}.{tail}",
        "changed-header": f"{_part(header | {'cty': 'JWT'})}.{body}.{tail}",
        "header-is-no-object": f"{_part([1])}.{body}.{tail}",
        "header-is-deep": f"{_encoded(b'[' * 2900)}.{body}.{tail}",
        "header-has-a-huge-number": f"{_encoded(b'9' * 2900)}.{body}.{tail}",
        "another-part": f"{good}.{tail}",
        "only-dots": "..",
        "no-base64": "%.%.%",
        "not-ascii": "é.é.é",
        "nothing": "",
        "oversized": f"{head}.{body}.{'A' * LONGEST}",
    }


def _with_another_key(name: str, good: str) -> dict[str, str]:
    """Sign the claims of a token with what is not the key of ours that it names."""
    ours = KEYS[name].current
    payload = good.split(".")[1]
    claims = jwt.decode(good, options={"verify_signature": False})
    header = jwt.get_unverified_header(good)
    outside = {"jku": "https://attacker.example/jwks.json", "x5u": "https://attacker.example/c"}
    jwk = {"jwk": {"kty": "oct", "k": "eHh4"}}
    found = {
        **{
            f"kid-{kind}": _hmac(header | {"kid": kid}, payload, b"")
            for kind, kid in _kids().items()
        },
        "jwk-in-header": _hmac(header | {"alg": "HS256"} | jwk, payload, b"xxx"),
        "jku-in-header": _hmac(header | outside, payload, b"another key"),
    }
    for other, keys in KEYS.items():
        key = keys.current
        if key.id == ours.id:
            continue
        for kid in (ours.id, key.id) if key.algorithm != ours.algorithm else (ours.id,):
            whose = "own" if kid == key.id else "our"
            signed = jwt.encode(claims, key.signing, key.algorithm, headers={"kid": kid})
            # What the secret stands for is good under its own name in each ring: see the rotations.
            if whose == "our" or other not in SHARED:
                found[f"signed-by-{other}-as-{whose}-key"] = signed
    fresh = FRESH[ours.algorithm]
    found["signed-by-another-of-its-kind"] = jwt.encode(
        claims, fresh, ours.algorithm, headers={"kid": ours.id}
    )
    return found


def _with_what_is_published(name: str, good: str) -> dict[str, str]:
    """Take the public half of a key for the secret of a hash."""
    ours = KEYS[name].current
    if ours.public is None:
        return {}
    encoding, form = serialization.Encoding, serialization.PublicFormat
    written = ours.checking.public_bytes(encoding.PEM, form.SubjectPublicKeyInfo)
    secrets = {
        "pem": written,
        "stripped-pem": written.strip(),
        "der": ours.checking.public_bytes(encoding.DER, form.SubjectPublicKeyInfo),
        "jwk": json.dumps(dict(ours.public)).encode(),
    }
    header, payload = jwt.get_unverified_header(good), good.split(".")[1]
    return {
        f"{algorithm}-with-the-{kind}": _hmac(header | {"alg": algorithm}, payload, secret)
        for algorithm in HASHES
        for kind, secret in secrets.items()
    }


def _of_its_own(name: str, good: str) -> dict[str, str]:
    """Attack what only one kind of signature has."""
    head, body, _ = good.split(".")
    signed, key = f"{head}.{body}".encode(), KEYS[name].current
    header = jwt.get_unverified_header(good)
    if key.algorithm == "ES256":
        asn1 = key.signing.sign(signed, ec.ECDSA(hashes.SHA256()))
        one = (1).to_bytes(32)
        return {
            "signature-in-asn1": f"{head}.{body}.{_encoded(asn1)}",
            "signature-of-ones": f"{head}.{body}.{_encoded(one + one)}",
        }
    if key.algorithm == "RS256":
        other = _part(header | {"alg": "PS256"})
        made = key.signing.sign(
            f"{other}.{body}".encode(),
            padding.PSS(padding.MGF1(hashes.SHA256()), 32),
            hashes.SHA256(),
        )
        return {"other-padding": f"{other}.{body}.{_encoded(made)}"}
    if key.algorithm == "EdDSA":
        # The neutral point as R, and no S: good for every message where the key is of small order.
        return {"signature-of-small-order": f"{head}.{body}.{_encoded(b'\x01' + bytes(63))}"}
    no_kid = {"alg": key.algorithm}
    return {"no-kid": _hmac(no_kid, body, SECRET.encode())}


SHARED = {"HS256", "HS512", "derived-ES256", "derived-EdDSA"}
"""Keys that one secret stands for."""
FRESH: dict[str, Any] = {
    "HS256": "t" * 64,
    "HS512": "t" * 64,
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def _attacks(name: str) -> dict[str, str]:
    good = tokens(keys=KEYS[name]).sign(CLAIMS)
    return {
        **_without_a_key(good),
        **_with_another_key(name, good),
        **_with_what_is_published(name, good),
        **_of_its_own(name, good),
    }


@pytest.mark.parametrize("name", KEYS)
def test_forged_token_is_refused(name: str) -> None:
    """Each one has claims that would be believed if it were signed as we sign."""
    checking = tokens(keys=KEYS[name])
    assert CLAIMS == checking.check(checking.sign(CLAIMS))
    believed = []
    for attack, forged in _attacks(name).items():
        with suppress(InvalidToken):
            checking.check(forged)
            believed.append(attack)
    assert [] == believed
    assert 1 == len(checking._believed)


@pytest.mark.parametrize("name", KEYS)
def test_claims_that_are_no_object_are_refused(name: str) -> None:
    """Though the signature is ours."""
    key = KEYS[name].current
    for claims in (b"[1]", b"null", b'"text"', b"{", b"\xff"):
        header = {"kid": key.id}
        token = jwt.PyJWS().encode(claims, key.signing, key.algorithm, headers=header)
        with pytest.raises(InvalidToken):
            tokens(keys=KEYS[name]).check(token)


@pytest.mark.parametrize("name", KEYS)
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
def test_clocks_may_differ_a_little(name: str, change: dict[str, int], *, believed: bool) -> None:
    """By the leeway, either way, and not more."""
    key, checking = KEYS[name].current, tokens(keys=KEYS[name])
    good = jwt.decode(checking.sign(CLAIMS), options={"verify_signature": False})
    moved = good | {claim: int(time()) + shift for claim, shift in change.items()}
    token = jwt.encode(moved, key.signing, key.algorithm, headers={"kid": key.id})
    if believed:
        assert CLAIMS == checking.check(token)
    else:
        with pytest.raises(InvalidToken):
            checking.check(token)
