"""Sessions in cookies, for apps whose pages must not see a token: off until jac.toml says so.

A browser that asks for it gets its tokens in cookies that no script reads, and a CSRF token in one
that scripts of the app read and send as a header. Every request that is somebody's by a cookie
needs that header, whatever its method: a walker may change something for a GET as well. It changes
with how browsers keep a session.
"""

import base64
import hmac
from collections.abc import Sequence

from fastapi import Request
from starlette.responses import Response

from jac_converge.app_runtime.auth.audit import audit
from jac_converge.app_runtime.auth.sessions import Session
from jac_converge.app_runtime.auth.tokens import Claims
from jac_converge.app_runtime.problems import Problem

__all__ = ["CSRF_FAILED", "CSRF_HEADER", "SessionCookies"]

CSRF_FAILED = "CSRF_FAILED"
CSRF_HEADER, WISH_HEADER = "x-csrf-token", "x-session"
ACCESS, REFRESH, CSRF = "access", "refresh", "csrf"


class SessionCookies:
    """The cookies of sessions, as an app at one URL sets them."""

    def __init__(
        self, public_url: str, secrets: Sequence[str], *, access: int, refresh: int
    ) -> None:
        """Describe them.

        Args:
            public_url: of the app; https, or on this machine.
            secrets: of the tokens; the first makes CSRF tokens, those of all count.
            access: s that an access token lives.
            refresh: s that a refresh token lives.
        """
        self._secure = public_url.startswith("https://")
        self._keys = [hmac.digest(one.encode(), b"jac-converge csrf", "sha256") for one in secrets]
        self._access, self._refresh = access, refresh

    def wanted(self, request: Request) -> bool:
        """Say whether to answer with cookies: by a header, or since some are there already."""
        if request.headers.get(WISH_HEADER, "").lower() == "cookie":
            return True
        kept = self.token(request) or request.cookies.get(self._name(REFRESH))
        return bool(kept) and "authorization" not in request.headers

    def give(self, response: Response, session: Session, token: str) -> str:
        """Set the cookies of a session; returns the CSRF token of it."""
        csrf = _csrf(self._keys[0], session.id).decode()
        self._set(response, ACCESS, token, self._access)
        if session.refresh:
            self._set(response, REFRESH, session.refresh, self._refresh)
        self._set(response, CSRF, csrf, self._refresh, hidden=False)
        return csrf

    def forget(self, response: Response) -> None:
        """Have the browser forget them."""
        for name in (ACCESS, REFRESH, CSRF):
            self._set(response, name, "", 0)

    def token(self, request: Request) -> str | None:
        """Return the access token of a browser; None: it has none."""
        return request.cookies.get(self._name(ACCESS)) or None

    def refresh_token(self, request: Request) -> str | None:
        """Return the refresh token of a browser, which no other site had it send.

        Raises:
            Problem: 403, another site may have.
        """
        token = request.cookies.get(self._name(REFRESH)) or None
        if token is not None:
            self._check(request, token.split(".")[2] if token.count(".") > 1 else "")
        return token

    def check(self, request: Request, claims: Claims) -> None:
        """Look whether a page of the app sent a request, and not another site by the browser.

        Raises:
            Problem: 403, nothing says so.
        """
        self._check(request, claims.session)

    def _check(self, request: Request, session: str) -> None:
        sent = request.headers.get(CSRF_HEADER, "")
        # All of them each time: how long it takes says nothing about what would fit.
        fits = [hmac.compare_digest(sent.encode(), _csrf(key, session)) for key in self._keys]
        if not any(fits):
            audit("csrf_failed", request)
            text = f"send the cookie {self._name(CSRF)} as X-CSRF-Token, too"
            raise Problem(403, text, code=CSRF_FAILED)

    def _set(
        self, response: Response, name: str, value: str, lifetime: int, *, hidden: bool = True
    ) -> None:
        response.set_cookie(
            self._name(name),
            value,
            max_age=lifetime,
            path="/",
            secure=self._secure,
            httponly=hidden,
            samesite="strict",
        )

    def _name(self, name: str) -> str:
        """With the prefix by which a browser takes it from this very host and over TLS only."""
        return f"__Host-jac-{name}" if self._secure else f"jac-{name}"


def _csrf(key: bytes, session: str) -> bytes:
    """Make the CSRF token of a session, which no other one has."""
    return base64.urlsafe_b64encode(hmac.digest(key, session.encode(), "sha256")).rstrip(b"=")
