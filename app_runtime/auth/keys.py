"""Keys that sign tokens, and those that only check what older ones signed.

Every key has an id and exactly one algorithm. A token names its key, so nobody who presents one
chooses how it is checked: an id that is not here is refused, and so is a key whose algorithm is
not the token's. It changes with the kinds of keys there are.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["BadKey", "Key", "Keyring", "keyring", "minted_secrets"]

HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
DERIVED = ("EdDSA", "ES256")  # keys of these are numbers, so a secret can stand for one
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_LEAST_RSA = 2048  # bits (RFC 7518, section 3.3)


class BadKey(Exception):
    """A configured key cannot be used; the text says why, and nothing of the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key, for one algorithm."""

    id: str
    algorithm: str
    signing: Any = field(repr=False)
    """None: it only checks."""
    checking: Any = field(repr=False)
    public: Mapping[str, str] | None = None
    """Its public half as a JSON Web Key; None: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """The key that signs, and every key that checks, by id."""

    current: Key
    known: Mapping[str, Key]
    older: Callable[[], Mapping[str, Key]] = dict
    """Makes those that a secret may have stood for before: seldom needed, and slow to import."""

    def find(self, name: str) -> Key | None:
        """Return the key of an id."""
        return self.known.get(name) or self.older().get(name)

    @property
    def published(self) -> dict[str, Any]:
        """The JSON Web Key Set: the public halves, and nothing where there are none."""
        return {"keys": [dict(key.public) for key in self.known.values() if key.public]}


def keyring(
    *,
    algorithm: str,
    secrets_: Iterable[str],
    private_key: str | None = None,
    previous: Iterable[str] = (),
) -> Keyring:
    """Make the keys of one app.

    Args:
        algorithm: of what is signed from now on.
        secrets_: the first signs (or stands for the key that does), the others only check.
        private_key: PEM; signs instead of the first secret.
        previous: secrets, and private or public keys in PEM, that only check.

    Raises:
        BadKey: one cannot be used.
    """
    secrets_ = tuple(secrets_)
    if private_key is not None:
        current = _from_pem(private_key, "private_key")
        if current.signing is None:
            raise BadKey("private_key is a public key; give the private one")
        if current.algorithm != algorithm:
            raise BadKey(f"private_key is for {current.algorithm}, but algorithm is {algorithm}")
    else:
        current = _from_secret(secrets_[0], algorithm)
    known = {current.id: current}
    previous = tuple(previous)
    for number, text in enumerate((*secrets_, *previous)):
        for key in _checking(text, algorithm, number):
            known.setdefault(key.id, key)

    @cache
    def older() -> Mapping[str, Key]:
        secrets = [text for text in (*secrets_, *previous) if not _is_pem(text)]
        keys = [_from_secret(text, name) for text in secrets for name in DERIVED]
        return {key.id: key for key in keys}

    return Keyring(current=current, known=known, older=older)


def minted_secrets(file: Path) -> tuple[str, ...]:
    """Return the secrets kept in a file, one a line; the first caller makes one, with 256 bits.

    The file appears complete or not at all, so of several workers that start together one makes
    the secret and all read the same.

    Raises:
        OSError: the file can be neither read nor made.
        BadKey: it is empty.
    """
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as text:
            text.write(secrets.token_hex(32))
            text.flush()
            os.fsync(text.fileno())
        try:
            os.link(draft, file)
        except FileExistsError:
            pass  # another worker was faster: its secret is the one
        finally:
            draft.unlink()
    found = tuple(file.read_text().split())
    if not found:
        raise BadKey(f"{file} holds no secret; delete it, and a new one is made (all log in again)")
    return found


def _checking(text: str, algorithm: str, number: int) -> Iterable[Key]:
    """Every key that a secret or a PEM may have been: the algorithm may have changed since."""
    if _is_pem(text):
        yield _from_pem(text, f"previous_secrets[{number}]")
        return
    # What needs `cryptography` is only made where it is in use.
    asymmetric = algorithm not in HASHES
    for name in (*HASHES, *(DERIVED if asymmetric else ())):
        yield _from_secret(text, name)


def _is_pem(text: str) -> bool:
    return text.lstrip().startswith("-----BEGIN ")


def _from_secret(secret: str, algorithm: str) -> Key:
    key = secret.encode()
    if algorithm in HASHES:
        name = base64.urlsafe_b64encode(_derived(key, f"kid {algorithm}")[:9]).decode()
        return Key(id=name, algorithm=algorithm, signing=key, checking=key)
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: PLC0415

    if algorithm == "EdDSA":
        private: Any = ed25519.Ed25519PrivateKey.from_private_bytes(_derived(key, "EdDSA key"))
    elif algorithm == "ES256":
        # 64 bytes, so that the remainder favours no number (FIPS 186-5, A.2.1).
        wide = _derived(key, "ES256 key 1") + _derived(key, "ES256 key 2")
        number = int.from_bytes(wide) % (_P256_ORDER - 1) + 1
        private = ec.derive_private_key(number, ec.SECP256R1())
    else:
        raise BadKey(f"{algorithm} needs private_key: a secret cannot stand for an RSA key")
    return _asymmetric(private, "secret")


def _derived(secret: bytes, purpose: str) -> bytes:
    return hmac.digest(secret, f"jac-converge {purpose}".encode(), "sha256")


def _from_pem(text: str, name: str) -> Key:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    encoded = text.strip().encode()
    try:
        if b"PUBLIC KEY" in encoded.partition(b"\n")[0]:
            return _asymmetric(serialization.load_pem_public_key(encoded), name)
        return _asymmetric(serialization.load_pem_private_key(encoded, password=None), name)
    except (ValueError, TypeError) as error:
        raise BadKey(f"{name} is no PEM of an unencrypted key") from error


def _asymmetric(key: Any, name: str) -> Key:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415
    from jwt import algorithms  # noqa: PLC0415

    private = key if hasattr(key, "public_key") else None
    public: Any = key.public_key() if private is not None else key
    form: Any
    if isinstance(public, rsa.RSAPublicKey) and public.key_size >= _LEAST_RSA:
        algorithm, form = "RS256", algorithms.RSAAlgorithm
    elif isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == "secp256r1":
        algorithm, form = "ES256", algorithms.ECAlgorithm
    elif isinstance(public, ed25519.Ed25519PublicKey):
        algorithm, form = "EdDSA", algorithms.OKPAlgorithm
    else:
        raise BadKey(f"{name} is none of: RSA of {_LEAST_RSA} bits or more, EC P-256, Ed25519")
    found: dict[str, Any] = form.to_jwk(public, as_dict=True)
    parts = {
        part: found[part] for part in sorted(found.keys() & {"kty", "crv", "x", "y", "n", "e"})
    }
    # RFC 7638: the id follows from the key, so all workers give it the same.
    digest = hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).digest()
    name = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return Key(
        id=name,
        algorithm=algorithm,
        signing=private,
        checking=public,
        public=parts | {"kid": name, "alg": algorithm, "use": "sig"},
    )
