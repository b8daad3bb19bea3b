"""Notes to ourselves that travel through a browser: nobody else reads, changes or makes one.

Every worker and pod has the key, which follows from the secret of the tokens, so a login may begin
at one and end at another. It changes with how such notes are kept safe.
"""

import base64
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["Seal"]

LONGEST = 4096  # characters, which is what a cookie may have


class Seal:
    """Seals notes of one purpose."""

    def __init__(self, secrets_: Iterable[str], *, purpose: str) -> None:
        """Describe it.

        Args:
            secrets_: the first seals, the others open what they sealed before.
            purpose: a note of another one is none of ours.
        """
        label = f"jac-converge {purpose}".encode()
        self._keys = [
            base64.urlsafe_b64encode(hmac.digest(secret.encode(), label, "sha256"))
            for secret in secrets_
        ]

    def close(self, note: Mapping[str, Any]) -> str:
        """Seal a note of JSON; the result fits into a cookie and into a URL."""
        return str(self._cipher().encrypt(json.dumps(note).encode()).decode())

    def open(self, text: str, *, within: int) -> dict[str, Any] | None:
        """Return a note that was sealed at most so many seconds ago, or None."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415

        if len(text) > LONGEST or not text.isascii():
            return None
        try:
            opened = self._cipher().decrypt(text.encode(), ttl=within)
        except InvalidToken:
            return None
        note: dict[str, Any] = json.loads(opened)
        return note

    def _cipher(self) -> Any:
        # Fernet: AES-128 and HMAC-SHA-256, with the time of sealing, which the HMAC covers.
        from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415 - not at the start

        return MultiFernet([Fernet(key) for key in self._keys])
