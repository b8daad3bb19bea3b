"""Access tokens: signed statements that an account is calling.

Everything is pinned: keys, algorithm, issuer, audience and life span. A token also names the
version of its account's credentials, which a new password counts up, and the session that it was
given to, so either may end it before its time. It changes with what a token says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import time
from typing import Any

from jac_converge.app_runtime.auth.keys import Key, Keyring

__all__ = ["Claims", "InvalidToken", "Tokens"]

LONGEST = 4096  # characters; ours have about 400
REMEMBERED = 4096  # tokens, about 1 KiB each
_REQUIRED = ["iss", "aud", "sub", "exp", "nbf", "iat"]


class InvalidToken(Exception):
    """A token that speaks for nobody: forged, expired, or for another app."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a valid token says."""

    account: str
    """Id of the account's document."""
    version: int
    """Version of the account's credentials at the time of signing."""
    root: str
    """Id of the account's root, so that both are read in one round trip; the account decides."""
    session: str = ""
    """Id of the session that it was given to."""


class Tokens:
    """Signs and checks the tokens of one app."""

    def __init__(
        self,
        keys: Keyring,
        *,
        issuer: str,
        audience: str,
        lifetime: int,
        leeway: int,
        clock: Callable[[], float] = time,
    ) -> None:
        """Describe the tokens.

        Args:
            keys: that sign and check.
            issuer: who signs.
            audience: whom it is for.
            lifetime: s.
            leeway: s that clocks of two machines may differ.
            clock: s since the epoch, for signing. Checks go by the machine's own clock: PyJWT
                2.15 takes no other.
        """
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self.lifetime = lifetime
        self.leeway = leeway
        self._clock = clock
        # A client sends the same token with each call, and to check its signature costs as much
        # as a tenth of a call. What is believed until when depends on these arguments alone.
        self._believed: dict[str, tuple[Claims, float]] = {}

    @property
    def published(self) -> dict[str, Any]:
        """The public keys, as a JSON Web Key Set."""
        return self._keys.published

    def sign(self, claims: Claims) -> str:
        """Return a token for these claims, valid from now on."""
        import jwt  # noqa: PLC0415 - 50 ms that a start without logins need not pay

        now, key = int(self._clock()), self._keys.current
        payload = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": claims.account,
            "ver": claims.version,
            "root": claims.root,
            "sid": claims.session,
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime,
        }
        return jwt.encode(payload, key.signing, algorithm=key.algorithm, headers={"kid": key.id})

    def check(self, token: str) -> Claims:
        """Return what a token says.

        Raises:
            InvalidToken: it says nothing that we believe.
        """
        claims, until = self._believed.get(token, (None, 0.0))
        if claims is not None and time() < until:
            return claims
        claims, until = self._verified(token)
        if len(self._believed) >= REMEMBERED:
            self._believed.pop(next(iter(self._believed)), None)
        self._believed[token] = claims, until
        return claims

    def _verified(self, token: str) -> tuple[Claims, float]:
        import jwt  # noqa: PLC0415

        if len(token) > LONGEST:
            raise InvalidToken("token check failed (Oversized): it is not one of ours")
        try:
            key = self._key(jwt.get_unverified_header(token))
            payload = jwt.decode(
                token,
                key.checking,
                algorithms=[key.algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=self.leeway,
                options={"require": _REQUIRED},
            )
        # A header may hold any JSON, and not all of it meets a check before it is used.
        except (jwt.InvalidTokenError, TypeError, ValueError) as error:
            raise InvalidToken(f"token check failed ({type(error).__name__}): {error}") from error
        version, root, session = payload.get("ver"), payload.get("root"), payload.get("sid")
        if type(version) is not int or not isinstance(root, str) or not isinstance(session, str):
            raise InvalidToken("token check failed (Incomplete): no version, root or session")
        claims = Claims(account=payload["sub"], version=version, root=root, session=session)
        return claims, int(payload["exp"]) + self.leeway

    def _key(self, header: dict[str, Any]) -> Key:
        """Take the key that a token names, if it is one of ours and for the token's algorithm."""
        name = header.get("kid")
        key = self._keys.find(name) if isinstance(name, str) else None
        if key is None or header.get("alg") != key.algorithm:
            raise InvalidToken("token check failed (UnknownKey): none of ours signs like this")
        return key
