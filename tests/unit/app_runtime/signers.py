"""Tokens signed with a key of each kind."""

from time import time
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from jac_converge.app_runtime.auth.keys import Keyring, keyring
from jac_converge.app_runtime.auth.tokens import Claims, Tokens

__all__ = ["CLAIMS", "KEYS", "LEEWAY", "RSA", "SECRET", "pem", "public_pem", "tokens"]

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
