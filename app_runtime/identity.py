"""Who is calling: what a request's token says, and whose it is.

It changes with how a request says who it is of.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import Request, Security
from fastapi.requests import HTTPConnection
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from jac_converge.app_runtime.auth.account import Account
from jac_converge.app_runtime.auth.accounts import Accounts
from jac_converge.app_runtime.auth.sessions import Session
from jac_converge.app_runtime.auth.tokens import Claims, InvalidToken, Tokens
from jac_converge.app_runtime.bridge.program import Read
from jac_converge.app_runtime.calls import Calls, Crowded
from jac_converge.app_runtime.problems import Problem
from jac_converge.app_runtime.stores import UnknownOutcome

__all__ = ["Claims", "Identity", "sent_token", "unauthorized"]

_bearer = HTTPBearer(auto_error=False, description="The token of /user/login.")
Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]


class Identity:
    """Who is calling."""

    def __init__(self, accounts: Accounts, tokens: Tokens, calls: Calls) -> None:
        self._accounts = accounts
        self.tokens = tokens
        self._calls = calls

    def speaking(self, token: str | None, *, required: bool) -> Claims | None:
        """Return what the token of a request says; None if it has none and needs none.

        Raises:
            Problem: 401, the token is not valid, or missing.
        """
        if token is None:
            if required:
                raise unauthorized("this needs a token; log in and send it as a bearer token")
            return None
        try:
            return self.tokens.check(token)
        except InvalidToken:
            raise unauthorized("the token is not valid; log in again") from None

    async def required(self, request: Request, _: Bearer) -> Claims:
        """Return the claims of a request that must have some (a FastAPI dependency)."""
        claims = self.speaking(sent_token(request), required=True)
        assert claims is not None  # noqa: S101 - what `required` means
        return claims

    async def optional(self, request: Request, _: Bearer) -> Claims | None:
        """Return the claims of a request that may have some (a FastAPI dependency)."""
        return self.speaking(sent_token(request), required=False)

    async def bearer(self, _: Bearer) -> None:
        """Say in the description that a request may have a token, which it does not look at."""

    def account(self, claims: Claims) -> Account:
        """Return the account that claims speak for; waits for the store.

        Raises:
            Problem: 401, its password changed since.
        """
        account = self._accounts.check(claims)
        if account is None:
            raise _ended()
        return account

    def root(self, claims: Claims | None, guest: UUID, read: Read) -> UUID:
        """Return the root of the account, or the one that all anonymous callers share.

        Raises:
            Problem: 401, the account is gone or its password changed since.
        """
        if claims is None:
            return guest
        # The root comes along: the call is about to need it.
        stored = read([claims.account, claims.root]).get(claims.account)
        account = self._accounts.check_stored(stored, claims)
        if account is None:
            raise _ended()
        return account.root

    async def in_time[T](self, function: Callable[..., T], *args: Any, writes: bool = False) -> T:
        """Run something on accounts in a thread.

        Raises:
            UnknownOutcome: it took too long, and may write yet.
            Problem: 504, it took too long.
        """
        return await _ended_by(self._calls.in_time(function, *args), writes=writes)

    async def hashing[T](self, function: Callable[[], T], *, writes: bool = False) -> T:
        """Run something that hashes a password, of which few go on at once (see `in_time`).

        Raises:
            Problem: 503, too many wait for that.
        """
        try:
            return await _ended_by(self._calls.hashing(function), writes=writes)
        except Crowded as error:
            text = "too many log in at this moment; nothing was stored"
            raise Problem(503, text, headers={"Retry-After": "2"}) from error

    def opened(self, session: Session) -> dict[str, Any]:
        """Tell a client everything about a session that was begun or renewed for it."""
        return session.account.profile | {
            "token": self.tokens.sign(session.account.claims(session.id)),
            "refresh_token": session.refresh,
            "expires_in": self.tokens.lifetime,
        }


async def _ended_by[T](running: Awaitable[T], *, writes: bool) -> T:
    try:
        return await running
    except TimeoutError as error:
        if writes:
            raise UnknownOutcome("an account was being changed for too long") from error
        raise Problem(504, "this took too long; try again") from error


def sent_token(request: HTTPConnection) -> str | None:
    """Return the bearer token of a request: None without the header, "" if there is none in it.

    Whoever sends the header wants to be somebody, so what cannot be read must not make a guest.
    """
    sent = request.headers.get("authorization")
    if sent is None:
        return None
    scheme, _, token = sent.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def unauthorized(message: str) -> Problem:
    """Make a 401."""
    return Problem(401, message, headers={"WWW-Authenticate": "Bearer"})


def _ended() -> Problem:
    return unauthorized("the token is not valid any more; log in again")
