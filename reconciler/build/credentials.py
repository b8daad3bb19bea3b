"""The secrets that nobody gave: minted once, kept in the cluster, never rotated by an apply. Pure.

The live Secret is the only memory of them. What it has is kept, even when it was put there by hand;
what it lacks is minted. It changes when another component needs a generated secret.
"""

import base64
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jac_converge.config.load import App
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
]

JWT_SECRET = "jwt-secret"  # noqa: S105 - the name of a key
REDIS_PASSWORD = "redis-password"  # noqa: S105
MONGODB_PASSWORD = "mongodb-password"  # noqa: S105
REDIS_CONF = "redis.conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The generated secrets of one app; its repr shows none of them."""

    jwt_secret: str = field(repr=False)
    redis_password: str = field(repr=False)
    mongodb_password: str = field(repr=False)


def secret_name(app_name: str) -> str:
    """The name of the Secret that keeps them.

    >>> secret_name("shop")
    'shop-credentials'
    """
    return f"{app_name}-credentials"


def credentials_from(secret: Object | None, *, token: Callable[[], str]) -> Credentials:
    """Keep what the live Secret has, and mint what it lacks.

    Args:
        secret: the live Secret named `secret_name`, with base64 `data`; None: there is none yet.
        token: returns a new random string of 256 bits, URL-safe.

    Raises:
        Invalid: a value is not text; minting another would be a rotation that nobody asked for.
    """
    return Credentials(
        jwt_secret=_kept(secret, JWT_SECRET) or token(),
        redis_password=_kept(secret, REDIS_PASSWORD) or token(),
        mongodb_password=_kept(secret, MONGODB_PASSWORD) or token(),
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
                JWT_SECRET: credentials.jwt_secret,
                REDIS_PASSWORD: credentials.redis_password,
                MONGODB_PASSWORD: credentials.mongodb_password,
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


def _kept(secret: Object | None, key: str) -> str:
    """One live value; empty where there is none."""
    if secret is None:
        return ""
    value = (secret.get("data") or {}).get(key) or ""
    try:
        return base64.b64decode(value).decode()
    except UnicodeDecodeError as exc:
        raise Invalid(
            f"Secret/{secret['metadata']['name']} read",
            f"the value of {key} is not UTF-8 text",
            "put text there, or delete the key to have a new one minted",
        ) from exc


def _quoted(password: str) -> str:
    r"""Quote for redis.conf, whatever somebody put into the Secret by hand.

    >>> print(_quoted('a-b"'))
    "a-b\x22"
    """
    plain = string.ascii_letters + string.digits + "-_"
    spelt = (chr(byte) if chr(byte) in plain else f"\\x{byte:02x}" for byte in password.encode())
    return f'"{"".join(spelt)}"'
