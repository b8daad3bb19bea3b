"""The secrets that nobody gave: minted once, kept in the cluster, never rotated by an apply. Pure.

What the live Secret has is kept, also when it was put there by hand: so one rotates a secret. But a
value that nobody should rely on (missing, too short, a published default, no text) is no wish: it
is put back as this process, or else the app's own pods, know it, and minted where nobody does. It
changes when another component needs a generated secret.
"""

import base64
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from jac_converge.config.load import App
from jac_converge.config.rules import weakness
from jac_converge.reconciler.build.manifest import manifest
from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.objects import Object

__all__ = [
    "JWT_SECRET",
    "MONGODB_PASSWORD",
    "REDIS_CONF",
    "REDIS_PASSWORD",
    "Credentials",
    "credentials_from",
    "credentials_secret",
    "encoded",
    "secret_name",
    "text_of",
]

JWT_SECRET = "jwt-secret"  # noqa: S105 - the name of a key
REDIS_PASSWORD = "redis-password"  # noqa: S105
MONGODB_PASSWORD = "mongodb-password"  # noqa: S105
REDIS_CONF = "redis.conf"

PASSWORD_BYTES: Final = 16
"""Least length of a password that is kept. The ports it opens are closed to all but the app."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The generated secrets of one app; its repr shows none of them."""

    jwt_secret: str = field(repr=False)
    redis_password: str = field(repr=False)
    mongodb_password: str = field(repr=False)

    @property
    def values(self) -> dict[str, str]:
        """The same by the keys of the Secret."""
        return {
            JWT_SECRET: self.jwt_secret,
            REDIS_PASSWORD: self.redis_password,
            MONGODB_PASSWORD: self.mongodb_password,
        }


def secret_name(app_name: str) -> str:
    """The name of the Secret that keeps them.

    >>> secret_name("shop")
    'shop-credentials'
    """
    return f"{app_name}-credentials"


def credentials_from(
    secret: Object | None,
    *,
    mint: Callable[[str], str],
    known: Mapping[str, str] | None = None,
    jwt_bytes: int = 32,
) -> Credentials:
    """Keep what the live Secret has and one can rely on; what it lacks is put back, or minted.

    Args:
        secret: the live Secret named `secret_name`, with base64 `data`; None: there is none yet.
        mint: returns a new random string of 256 bits, URL-safe, for a key.
        known: key -> value as it was before, where that is known.
        jwt_bytes: least length of the secret that signs tokens.

    Raises:
        Invalid: a value is not text, and what it was is not known; minting another would be a
            rotation that nobody asked for. Or as `mint` does.
    """
    before = known or {}

    def value(key: str, needs: str, least: int) -> str:
        live = text_of(secret, key)
        for candidate in (live, before.get(key)):
            if candidate and not weakness(candidate, needs=needs, least=least):
                return candidate
        if key == MONGODB_PASSWORD and before.get(key):
            # The database knows no other, however short it is.
            return before[key]
        if live is None:
            raise Invalid(
                f"Secret/{_name_of(secret)} read",
                f"the value of {key} is not UTF-8 text",
                "put text there, or delete the key to have a new one minted",
            )
        return mint(key)

    return Credentials(
        jwt_secret=value(JWT_SECRET, "a signing secret", jwt_bytes),
        redis_password=value(REDIS_PASSWORD, "a password", PASSWORD_BYTES),
        mongodb_password=value(MONGODB_PASSWORD, "a password", PASSWORD_BYTES),
    )


def credentials_secret(app: App, credentials: Credentials) -> Object:
    """The Secret that keeps them, once more as the file that Redis reads its password from."""
    return manifest(
        "Secret",
        app,
        "app",
        name=secret_name(app.name),
        data=encoded(
            {
                **credentials.values,
                REDIS_CONF: f"requirepass {_quoted(credentials.redis_password)}\n",
            }
        ),
    )


def encoded(values: Mapping[str, str]) -> dict[str, str]:
    """Encode values as a Secret's `data`.

    Never `stringData`: the server turns it into `data` that nobody owns, and an edit of that is
    no edit of ours.

    >>> encoded({"a": "b"})
    {'a': 'Yg=='}
    """
    return {name: base64.b64encode(values[name].encode()).decode() for name in sorted(values)}


def text_of(secret: Object | None, key: str) -> str | None:
    """One live value of a Secret: empty where there is none, None where it is not text."""
    value = ((secret or {}).get("data") or {}).get(key) or ""
    try:
        return base64.b64decode(value).decode()
    except UnicodeDecodeError:
        return None


def _name_of(secret: Object | None) -> str:
    return str(secret["metadata"]["name"]) if secret else ""


def _quoted(password: str) -> str:
    r"""Quote for redis.conf, whatever somebody put into the Secret by hand.

    >>> print(_quoted('a-b"'))
    "a-b\x22"
    """
    plain = string.ascii_letters + string.digits + "-_"
    spelt = (chr(byte) if chr(byte) in plain else f"\\x{byte:02x}" for byte in password.encode())
    return f'"{"".join(spelt)}"'
