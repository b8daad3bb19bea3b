"""Tokens for a page that a browser was sent to: the page gets a code, and picks them up with it.

A URL ends up in histories, logs and the hands of other sites, so no token is ever in one. The code
is good for a minute and for one use, by the browser that logged in (a cookie of ours) or by the
client that began it (its part of PKCE). It changes with how tokens get to such a page.
"""

import base64
import hashlib
import hmac
import secrets

from jac_converge.app_runtime.once import Once
from jac_converge.app_runtime.sso.attempt import Attempt
from jac_converge.app_runtime.sso.errors import Refused
from jac_converge.app_runtime.sso.seal import Seal

__all__ = ["LIFETIME", "Pickup"]

LIFETIME = 60  # s


class Pickup:
    """Makes codes and takes them. `take` may wait for the store; call it from a thread."""

    def __init__(self, seal: Seal, once: Once) -> None:
        self._seal = seal
        self._once = once

    def give(self, account: str, attempt: Attempt) -> tuple[str, str | None]:
        """Make a code for an account.

        Args:
            account: id.
            attempt: that led to it.

        Returns:
            The code, and what the browser has to keep; None: the client has its own proof.
        """
        cookie = None if attempt.challenge is not None else secrets.token_urlsafe(32)
        note = {
            "account": account,
            "id": secrets.token_urlsafe(16),
            "challenge": attempt.challenge,
            "cookie": None if cookie is None else _hash(cookie),
        }
        return self._seal.close(note), cookie

    def take(self, code: str, *, verifier: str | None, cookie: str | None) -> str:
        """Return the account that a code is for.

        Args:
            code: as it was given.
            verifier: of the client.
            cookie: of the browser.

        Raises:
            Refused: it is not valid any more, or not for whoever sent it.
        """
        note = self._seal.open(code, within=LIFETIME)
        if note is None:
            raise _invalid()
        wanted, proof = (
            note["challenge"] or note["cookie"],
            verifier if note["challenge"] else cookie,
        )
        if proof is None or not hmac.compare_digest(wanted, _hash(proof)):
            raise _invalid()
        if not self._once.use(note["id"], lasting=LIFETIME):
            raise _invalid()
        account: str = note["account"]
        return account


def _hash(text: str) -> str:
    """As PKCE does with S256 (RFC 7636, section 4.2)."""
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _invalid() -> Refused:
    return Refused("the code is not valid (any more); log in again", code="SSO_CODE_INVALID")
