"""ID tokens: what a provider signed about a login, believed only if all of it fits.

The algorithms are those of public keys, whatever the provider or the token says: with a shared
secret, or none, anybody could sign. It changes with what an ID token has to prove.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jac_converge.app_runtime.sso.errors import Refused

__all__ = ["Expected", "UnknownKey", "claims_of"]

ALGORITHMS = frozenset(
    f"{family}{size}" for family in ("RS", "PS", "ES") for size in (256, 384, 512)
) | {"EdDSA"}
LONGEST = 64 * 1024  # characters
LEEWAY = 60  # s that the clocks of two machines may differ
_REQUIRED = ["iss", "sub", "aud", "exp", "iat"]


class UnknownKey(Exception):
    """A token names a key that the provider has not published; it may have by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What this login expects of its token."""

    issuer: str | None
    """None: whoever asks compares it."""
    client_id: str
    nonce: str
    access_token: str
    algorithms: Sequence[str]
    """Those that the provider says it uses."""


def claims_of(token: str, keys: Sequence[Mapping[str, Any]], expected: Expected) -> dict[str, Any]:
    """Return what an ID token says.

    Args:
        token: as the token endpoint gave it.
        keys: JSON Web Keys of the provider.
        expected: of this login.

    Raises:
        UnknownKey: it names none of the keys.
        Refused: it is not valid, or for another login.
    """
    import jwt  # noqa: PLC0415
    from authlib.oidc.core import CodeIDToken  # noqa: PLC0415 - 0.2 s
    from joserfc.errors import JoseError  # noqa: PLC0415

    if not isinstance(token, str) or len(token) > LONGEST:
        raise _invalid("it is none")
    try:
        header = jwt.get_unverified_header(token)
        algorithm = _algorithm(header, expected.algorithms)
        key = _key(header.get("kid"), algorithm, keys)
        payload: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=expected.client_id,
            issuer=expected.issuer,
            leeway=LEEWAY,
            options={"require": _REQUIRED},
        )
        # What PyJWT does not know of: nonce, azp and at_hash.
        wanted = {
            "nonce": expected.nonce,
            "client_id": expected.client_id,
            "access_token": expected.access_token,
        }
        CodeIDToken(payload, header, {}, wanted).validate(leeway=LEEWAY)
    except (jwt.PyJWTError, JoseError, TypeError, ValueError) as error:
        raise _invalid(type(error).__name__) from error
    if not isinstance(payload["sub"], str) or payload.get("nonce") != expected.nonce:
        raise _invalid("its subject or its nonce is not fit")
    return payload


def _algorithm(header: Mapping[str, Any], told: Sequence[str]) -> str:
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS or algorithm not in told:
        raise _invalid("its algorithm is none of the provider's")
    return str(algorithm)


def _key(name: Any, algorithm: str, keys: Sequence[Mapping[str, Any]]) -> Any:
    """Find the key that a token names; one that names none, where there is only one."""
    import jwt  # noqa: PLC0415

    fitting = [key for key in keys if key.get("use", "sig") == "sig" and _is_for(key, algorithm)]
    named = [key for key in fitting if name is None or key.get("kid") == name]
    if len(named) != 1:
        raise UnknownKey
    return jwt.PyJWK(dict(named[0]), algorithm).key


def _is_for(key: Mapping[str, Any], algorithm: str) -> bool:
    kind = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}[algorithm[:2]]
    return key.get("kty") == kind and key.get("alg", algorithm) == algorithm


def _invalid(why: str) -> Refused:
    text = f"the ID token of the provider is not valid ({why}); log in again"
    return Refused(text, code="SSO_TOKEN_INVALID", status=401)
