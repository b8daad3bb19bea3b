"""One login at a provider, from the page that begins it to the one that ends it.

It is kept by the browser, sealed, so that any worker or pod can end what another began, and no
other browser can. It changes with what the end has to know of the beginning.
"""

import secrets
from dataclasses import asdict, dataclass
from typing import Any, Self

__all__ = ["Attempt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What was asked for, and the secrets that the provider has to bring back or prove."""

    provider: str
    operation: str
    """login, register or link."""
    redirect_uri: str
    state: str
    """Names this login, to us and to the provider."""
    nonce: str
    """Comes back in the ID token."""
    verifier: str
    """Proves to the provider that who began it also ends it (PKCE)."""
    next: str | None = None
    """Where to go afterwards; None: the answer is JSON."""
    challenge: str | None = None
    """Of the client, for its part of the same proof to us."""
    speaker: dict[str, Any] | None = None
    """Claims of whoever links: the token that was sent when it began."""

    @classmethod
    def begin(cls, provider: str, operation: str, redirect_uri: str, **more: Any) -> Self:
        """Make one with new secrets, of 256 bits each."""
        return cls(
            provider=provider,
            operation=operation,
            redirect_uri=redirect_uri,
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(32),
            **more,
        )

    @property
    def note(self) -> dict[str, Any]:
        """What is sealed."""
        return asdict(self)
