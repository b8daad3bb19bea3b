"""Access tokens: signed statements that an account is calling.

Everything is pinned: one algorithm, issuer, audience and life span. A token also names the version
of its account's credentials, which a new password counts up, so it ends what was handed out
before. It changes with what a token says.
"""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import time

__all__ = ["Claims", "InvalidToken", "Tokens", "minted_secret"]

ISSUER = "jac-converge"
LEEWAY = 5  # s that clocks of two machines may differ
REMEMBERED = 4096  # tokens, about 1 KiB each


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


class Tokens:
    """Signs and checks the tokens of one app."""

    def __init__(
        self,
        *,
        secret: str,
        algorithm: str,
        audience: str,
        lifetime: int,
        clock: Callable[[], float] = time,
    ) -> None:
        """Describe the tokens.

        Args:
            secret: at least 32 bytes.
            algorithm: the only one accepted.
            audience: the app's name.
            lifetime: s.
            clock: s since the epoch, for signing. Checks go by the machine's own clock: PyJWT
                2.15 takes no other.
        """
        self._secret = secret
        self._algorithm = algorithm
        self._audience = audience
        self._lifetime = lifetime
        self._clock = clock
        # A client sends the same token with each call, and to check its signature costs as much
        # as a tenth of a call. What is believed until when depends on these arguments alone.
        self._believed: dict[str, tuple[Claims, int]] = {}

    def sign(self, claims: Claims) -> str:
        """Return a token for these claims, valid from now on."""
        import jwt  # noqa: PLC0415 - 50 ms that a start without logins need not pay

        now = int(self._clock())
        payload = {
            "iss": ISSUER,
            "aud": self._audience,
            "sub": claims.account,
            "ver": claims.version,
            "root": claims.root,
            "iat": now,
            "nbf": now,
            "exp": now + self._lifetime,
        }
        return jwt.encode(payload, self._secret, algorithm=self._algorithm)

    def check(self, token: str) -> Claims:
        """Return what a token says.

        Raises:
            InvalidToken: it says nothing that we believe.
        """
        claims, expires = self._believed.get(token, (None, 0))
        if claims is not None and time() < expires + LEEWAY:
            return claims
        claims, expires = self._verified(token)
        if len(self._believed) >= REMEMBERED:
            self._believed.pop(next(iter(self._believed)), None)
        self._believed[token] = claims, expires
        return claims

    def _verified(self, token: str) -> tuple[Claims, int]:
        import jwt  # noqa: PLC0415

        try:
            payload = jwt.decode(
                token,
                self._secret,
                algorithms=[self._algorithm],
                audience=self._audience,
                issuer=ISSUER,
                leeway=LEEWAY,
                options={"require": ["iss", "aud", "sub", "exp", "nbf", "iat"]},
            )
        except jwt.InvalidTokenError as error:
            raise InvalidToken(f"token check failed ({type(error).__name__}): {error}") from error
        version, root = payload.get("ver"), payload.get("root")
        if not isinstance(version, int) or not isinstance(root, str):
            raise InvalidToken("token check failed (Incomplete): no credentials version or root")
        return Claims(account=payload["sub"], version=version, root=root), int(payload["exp"])


def minted_secret(file: Path) -> str:
    """Return the secret kept in a file; the first caller makes it, with 256 bits.

    The file appears complete or not at all, so of several workers that start together one makes
    the secret and all read the same.

    Raises:
        OSError: the file can be neither read nor made.
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
    return file.read_text().strip()
