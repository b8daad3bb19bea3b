"""The app as browsers see it: its URL, and the pages that they may be sent to after a login.

It changes with how a request tells where it was sent.
"""

from collections.abc import Sequence

from fastapi import Request

from jac_converge.app_runtime.sso.errors import Refused
from jac_converge.app_runtime.sso.return_url import is_own, may_return

__all__ = ["Site"]


class Site:
    """Where the app is."""

    def __init__(self, public_url: str | None, return_urls: Sequence[str]) -> None:
        """Describe it.

        Args:
            public_url: of the app; None: that of each request, as a trusted proxy forwards it.
            return_urls: pages of others that browsers may be sent to; the first is the usual one.
        """
        self._public_url = public_url
        self._return_urls = return_urls

    def url(self, request: Request) -> str:
        """Return the URL of the app, without / at its end."""
        return (self._public_url or str(request.base_url)).rstrip("/")

    def is_secure(self, request: Request) -> bool:
        """Say whether browsers speak TLS to it."""
        return self.url(request).startswith("https://")

    def callback(self, request: Request, provider: str) -> str:
        """Return where a provider is to send browsers back to."""
        return f"{self.url(request)}/sso/{provider}/callback"

    def page(self, request: Request, wanted: str | None, *, proof: bool) -> str | None:
        """Return the page to go to after a login; None: there is none.

        Args:
            request: that asks for it.
            wanted: by the client.
            proof: the client can prove that it is the one who asked, so the page may be elsewhere.

        Raises:
            Refused: nobody is sent there.
        """
        page = wanted or next(iter(self._return_urls), None)
        if page is None:
            return None
        own = self.url(request)
        if not may_return(page, own, self._return_urls):
            text = "next is no page of the app, nor one of [converge.server] return_urls"
            raise Refused(text, code="RETURN_URL_REFUSED")
        if not proof and not is_own(page, own):
            text = "a page of another site needs a code_challenge, to pick up the tokens with"
            raise Refused(text, code="CODE_CHALLENGE_REQUIRED")
        return page
