"""Who is calling: what a request's token says, and whose it is.

It changes with how a request says who it is of.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import Request, Security
from fastapi.requests import HTTPConnection
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response

from jac_converge.app_runtime.auth.account import Account
from jac_converge.app_runtime.auth.accounts import Accounts
from jac_converge.app_runtime.auth.api_keys import PREFIX, ApiKey, ApiKeys, Presented, presented
from jac_converge.app_runtime.auth.sessions import Session
from jac_converge.app_runtime.auth.tokens import Claims, InvalidToken, Tokens
from jac_converge.app_runtime.bridge.introspect import FunctionSpec, WalkerSpec
from jac_converge.app_runtime.bridge.program import GUEST_ROOT, Read
from jac_converge.app_runtime.calls import Calls, Crowded
from jac_converge.app_runtime.policy import check_role
from jac_converge.app_runtime.problems import NO_STORE, Problem, answer
from jac_converge.app_runtime.session_cookies import SessionCookies
from jac_converge.app_runtime.stores import Document, UnknownOutcome

__all__ = ["SCOPE_MISSING", "Caller", "Identity", "sent_token", "unauthorized"]

_bearer = HTTPBearer(auto_error=False, description="The token of /user/login.")
type Caller = Claims | Presented
"""Whoever has shown something that says who they are: a token, or an API key."""
KEY_HEADER = "x-api-key"
KEY_REFUSED, SCOPE_MISSING = "KEY_REFUSED", "SCOPE_MISSING"
_key = APIKeyHeader(name="X-API-Key", auto_error=False, description="A key of /user/keys.")
Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
Key = Annotated[str | None, Security(_key)]


class Identity:
    """Who is calling."""

    def __init__(
        self,
        accounts: Accounts,
        keys: ApiKeys,
        tokens: Tokens,
        calls: Calls,
        cookies: SessionCookies | None = None,
    ) -> None:
        """Put it together.

        Args:
            accounts: who there is.
            keys: of machines.
            tokens: that speak for accounts.
            calls: the threads that wait for the store.
            cookies: of sessions; None: no browser keeps one.
        """
        self._accounts = accounts
        self._keys = keys
        self.tokens = tokens
        self._calls = calls
        self.cookies = cookies

    def speaking(self, token: str | None, *, required: bool) -> Claims | None:
        """Return what the token of a request says; None if it has none and needs none.

        Raises:
            Problem: 401, the token is not valid, or missing; 403, it is an API key.
        """
        if token is not None and token.startswith(f"{PREFIX}."):
            text = "an API key calls walkers and functions, and nothing else; log in for this"
            raise Problem(403, text, code=KEY_REFUSED)
        if token is None:
            if required:
                raise unauthorized("this needs a token; log in and send it as a bearer token")
            return None
        try:
            return self.tokens.check(token)
        except InvalidToken:
            raise unauthorized("the token is not valid; log in again") from None

    def speaker(self, request: Request, *, required: bool) -> Claims | None:
        """Return what the token of a request says, in its header or else in its cookie.

        Raises:
            Problem: 401, it is not valid, or missing; 403, it is an API key, or another site may
                have had the browser send the cookie.
        """
        return self._speaker_with(sent_token(request), request, required=required)

    def _speaker_with(
        self, token: str | None, request: Request, *, required: bool
    ) -> Claims | None:
        kept = self.cookies.token(request) if token is None and self.cookies else None
        claims = self.speaking(token if kept is None else kept, required=required)
        if kept is not None and claims is not None and self.cookies is not None:
            self.cookies.check(request, claims)
        return claims

    def calling(self, request: Request, *, required: bool) -> Caller | None:
        """Return who calls something of the app by a request (see `speaker` and `caller`)."""
        token = sent_token(request)
        if token is None:
            return self._speaker_with(None, request, required=required)
        return self.caller(token, required=required)

    def caller(self, token: str | None, *, required: bool) -> Caller | None:
        """Return whose token or API key it is; None if there is none and none is needed.

        Raises:
            Problem: 401, token or key have not the form of one, or nothing was sent.
        """
        if token is None or not token.startswith(f"{PREFIX}."):
            return self.speaking(token, required=required)
        sent = presented(token)
        if sent is None:
            raise _key_unknown()
        return sent

    async def required(self, request: Request, _: Bearer) -> Claims:
        """Return the claims of a request that must have some (a FastAPI dependency)."""
        claims = self.speaker(request, required=True)
        assert claims is not None  # noqa: S101 - what `required` means
        return claims

    async def bearer(self, _: Bearer) -> None:
        """Say in the description that a request may have a token, which it does not look at."""

    async def either(self, _: Bearer, __: Key) -> None:
        """Say in the description that a request may have a token or an API key."""

    def account(self, claims: Claims) -> Account:
        """Return the account that claims speak for; waits for the store.

        Raises:
            Problem: 401, its password changed since.
        """
        account = self._accounts.check(claims)
        if account is None:
            raise _ended()
        return account

    def check(self, caller: Caller, spec: WalkerSpec | FunctionSpec | None) -> None:
        """Look whether somebody may call something; waits for the store.

        Raises:
            Problem: 401, they are nobody any more; 403, they may not.
        """
        self._allowed(caller, spec, self._accounts.read)

    def refusals(
        self, asked: Sequence[tuple[Caller, WalkerSpec | FunctionSpec]]
    ) -> list[Problem | None]:
        """Say why each of some callers may not call something; None: they may.

        One round trip for all of them; waits for the store.
        """
        found = self._accounts.read({id_ for caller, _ in asked for id_ in _documents(caller)})

        def read(ids: Collection[str]) -> dict[str, Document]:
            return {id_: found[id_] for id_ in ids if id_ in found}

        def refusal(caller: Caller, spec: WalkerSpec | FunctionSpec) -> Problem | None:
            try:
                self._allowed(caller, spec, read)
            except Problem as problem:
                return problem
            return None

        return [refusal(caller, spec) for caller, spec in asked]

    def root(
        self, caller: Caller | None, spec: WalkerSpec | FunctionSpec | None, read: Read
    ) -> UUID:
        """Return the root of whoever calls something: theirs, or that of all anonymous callers.

        Args:
            caller: None: nobody in particular.
            spec: of what is called; None: nothing that asks for roles or scopes.
            read: reads documents.

        Raises:
            Problem: 401, the account is gone or its password changed since; 403, it may not.
        """
        if caller is None:
            return GUEST_ROOT
        return self._allowed(caller, spec, read).root

    def _allowed(
        self, caller: Caller, spec: WalkerSpec | FunctionSpec | None, read: Read
    ) -> Account:
        account, key = self._speaker(caller, read)
        if spec is None:
            return account
        if key is not None and not key.may_call(spec.name):
            text = f"the API key may not call {spec.name}; make one with that scope"
            raise Problem(403, text, code=SCOPE_MISSING)
        check_role(account.role, spec.roles)
        return account

    def _speaker(self, caller: Caller, read: Read) -> tuple[Account, ApiKey | None]:
        """Return the account of a caller, and the key where it is one."""
        if isinstance(caller, Claims):
            # The root comes along: the call is about to need it.
            stored = read([caller.account, caller.root]).get(caller.account)
            account = self._accounts.check_stored(stored, caller)
            if account is None:
                raise _ended()
            return account, None
        found = self._keys.find(caller, read)
        if found is None:
            raise _key_unknown()
        key, account = found
        return account, key

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
        return await _ended_by(self._calls.hashing(function), writes=writes)

    async def mailing[T](self, function: Callable[[], T]) -> T:
        """Run something that sends a mail (see `in_time`).

        Raises:
            Problem: 503, too many wait for that.
        """
        return await _ended_by(self._calls.mailing(function), writes=False)

    def opened(
        self, session: Session, request: Request, status: int = 200, **more: Any
    ) -> Response:
        """Answer with a session that was begun or renewed, in cookies if they are asked for.

        Args:
            session: of whoever has proved who they are.
            request: that did so, or that brings cookies of before.
            status: of HTTP.
            more: to tell.
        """
        token = self.tokens.sign(session.account.claims(session.id))
        told = session.account.profile | {"expires_in": self.tokens.lifetime} | more
        if self.cookies is not None and self.cookies.wanted(request):
            kept = Response()
            csrf = self.cookies.give(kept, session, token)
            response = answer(told | {"csrf_token": csrf}, status, headers=NO_STORE)
            response.raw_headers += [one for one in kept.raw_headers if one[0] == b"set-cookie"]
            return response
        told |= {"token": token} | ({"refresh_token": session.refresh} if session.refresh else {})
        return answer(told, status, headers=NO_STORE)


def _documents(caller: Caller) -> tuple[str, ...]:
    """Return the ids of what says whether a caller is somebody."""
    more = (caller.document,) if isinstance(caller, Presented) else ()
    return (caller.account, *more)


async def _ended_by[T](running: Awaitable[T], *, writes: bool) -> T:
    try:
        return await running
    except Crowded as error:
        headers = {"Retry-After": str(error.seconds)}
        raise Problem(503, str(error), headers=headers) from error
    except TimeoutError as error:
        if writes:
            raise UnknownOutcome("an account was being changed for too long") from error
        raise Problem(504, "this took too long; try again") from error


def sent_token(request: HTTPConnection) -> str | None:
    """Return the bearer token or API key of a request: None without a header, "" if it is none.

    Whoever sends the header wants to be somebody, so what cannot be read must not make a guest.
    """
    sent = request.headers.get("authorization")
    if sent is None:
        key = request.headers.get(KEY_HEADER)
        return key if key is None or key.startswith(f"{PREFIX}.") else ""
    scheme, _, token = sent.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def unauthorized(message: str) -> Problem:
    """Make a 401."""
    return Problem(401, message, headers={"WWW-Authenticate": "Bearer"})


def _key_unknown() -> Problem:
    return unauthorized("the API key is not valid, or not any more")


def _ended() -> Problem:
    return unauthorized("the token is not valid any more; log in again")
