"""Routes for accounts: register, log in, look at and change one's own.

Answers are those of jaclang's client runtime. It changes with what an account may ask for itself.
"""

from collections.abc import Callable
from math import ceil
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import JSONResponse, Response

from jac_converge.app_runtime.auth.accounts import (
    Account,
    Accounts,
    NameTaken,
    Refused,
    WrongPassword,
)
from jac_converge.app_runtime.auth.audit import address_of, audit
from jac_converge.app_runtime.auth.sessions import InvalidRefresh, Reused, Session, Sessions
from jac_converge.app_runtime.auth.throttle import Throttle, TooMany, counted
from jac_converge.app_runtime.auth.tokens import Claims, InvalidToken, Tokens
from jac_converge.app_runtime.bodies import CheckedRoute
from jac_converge.app_runtime.bridge.program import Read
from jac_converge.app_runtime.calls import Calls
from jac_converge.app_runtime.identity_bodies import (
    Login,
    NewName,
    NewPassword,
    Refresh,
    Registration,
)
from jac_converge.app_runtime.problems import Problem, answer
from jac_converge.app_runtime.signatures import Failure
from jac_converge.app_runtime.stores import UnknownOutcome

__all__ = ["Identity", "sent_token"]

NO_STORE = {"Cache-Control": "no-store"}
_bearer = HTTPBearer(auto_error=False, description="The token of /user/login.")
Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]


class Identity:
    """Who is calling, and the routes by which they become somebody."""

    def __init__(
        self,
        accounts: Accounts,
        sessions: Sessions,
        tokens: Tokens,
        calls: Calls,
        throttle: Throttle,
    ) -> None:
        self._accounts = accounts
        self._throttle = throttle
        self._sessions = sessions
        self._tokens = tokens
        self._calls = calls

    def speaking(self, token: str | None, *, required: bool) -> Claims | None:
        """Return what the token of a request says; None if it has none and needs none.

        Raises:
            Problem: 401, the token is not valid, or missing.
        """
        if token is None:
            if required:
                raise _unauthorized("this needs a token; log in and send it as a bearer token")
            return None
        try:
            return self._tokens.check(token)
        except InvalidToken:
            raise _unauthorized("the token is not valid; log in again") from None

    async def required(self, request: Request, _: Bearer) -> Claims:
        """Return the claims of a request that must have some (a FastAPI dependency)."""
        claims = self.speaking(sent_token(request), required=True)
        assert claims is not None  # noqa: S101 - what `required` means
        return claims

    async def optional(self, request: Request, _: Bearer) -> Claims | None:
        """Return the claims of a request that may have some (a FastAPI dependency)."""
        return self.speaking(sent_token(request), required=False)

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

    def install(self, app: FastAPI) -> None:
        """Add the routes."""
        router = APIRouter(prefix="/user", tags=["user"], route_class=CheckedRoute)
        failures: dict[int | str, dict[str, Any]] = {
            code: {"model": Failure} for code in (400, 401, 403, 409, 422, 429, 503, 504)
        }
        add = router.add_api_route
        add("/register", self._register, methods=["POST"], status_code=201, responses=failures)
        add("/login", self._login, methods=["POST"], responses=failures)
        add("/refresh", self._refresh, methods=["POST"], responses=failures)
        add("/refresh-token", self._refresh, methods=["POST"], include_in_schema=False)
        info = self._info
        username = self._username
        password = self._password
        logout, me = self._logout, self._me
        required = Security(self.required)

        async def get_info(request: Request, claims: Claims = required) -> Response:
            """Tell who the token speaks for."""
            return await info(claims, request)

        async def get_me(claims: Claims = required) -> Response:
            """Tell who the token speaks for, and how they log in."""
            return await me(claims)

        async def put_username(
            body: NewName, request: Request, claims: Claims = required
        ) -> Response:
            """Change one's own name; tokens stay valid."""
            return await username(body, claims, request)

        async def put_password(
            body: NewPassword, request: Request, claims: Claims = required
        ) -> Response:
            """Change one's own password; every token from before ends."""
            return await password(body, claims, request)

        async def post_logout(request: Request, claims: Claims = required) -> Response:
            """End this session: its access tokens and its refresh token are void from now on."""
            return await logout(claims, request, everywhere=False)

        async def post_logout_everywhere(request: Request, claims: Claims = required) -> Response:
            """End every session of the account, this one too."""
            return await logout(claims, request, everywhere=True)

        async def jwks() -> Response:
            """Publish the keys that check our tokens; none where a secret signs them."""
            headers = {"Cache-Control": "public, max-age=300"}
            return JSONResponse(self._tokens.published, headers=headers)

        app.add_api_route("/.well-known/jwks.json", jwks, tags=["user"])
        add("/logout", post_logout, methods=["POST"], responses=failures)
        add("/logout-everywhere", post_logout_everywhere, methods=["POST"], responses=failures)
        add("/info", get_info, methods=["GET"], responses=failures)
        add("/me", get_me, methods=["GET"], responses=failures)
        add("/username", put_username, methods=["PUT"], responses=failures)
        add("/password", put_password, methods=["PUT"], responses=failures)
        app.include_router(router)

    async def _register(self, body: Registration, request: Request) -> Response:
        """Make an account and log it in."""
        name, password = body.identities[0].value, body.credential.password

        def make() -> Session:
            return self._sessions.open(self._accounts.register(name, password))

        try:
            session = await self._in_time(make, writes=True)
        except NameTaken as error:
            raise Problem(400, str(error), code="USER_EXISTS") from error
        except Refused as error:
            raise Problem(400, str(error), code="REGISTRATION_REFUSED") from error
        audit("register", request, session.account.id)
        return answer(self._opened(session), 201, headers=NO_STORE)

    async def _login(self, body: Login, request: Request) -> Response:
        """Exchange name and password for an access token and a refresh token."""
        name, password = body.identity.value, body.credential.password
        address = counted(address_of(request))

        def begin() -> Session | None:
            self._throttle.check(name, address)
            account = self._accounts.login(name, password)
            if account is None:
                self._throttle.wrong(name, address)
                return None
            self._throttle.right(name)
            return self._sessions.open(account)

        try:
            session = await self._in_time(begin)
        except TooMany as error:
            audit("login_throttled", request)
            raise _throttled(error) from error
        if session is None:
            audit("login_failed", request)
            raise _unauthorized("name or password is wrong")
        audit("login", request, session.account.id)
        return answer(self._opened(session), headers=NO_STORE)

    async def _refresh(self, body: Refresh, request: Request) -> Response:
        """Exchange a refresh token for the next one, and a new access token."""
        try:
            session = await self._in_time(self._sessions.refresh, body.refresh_token)
        except InvalidRefresh as error:
            if isinstance(error, Reused):
                audit("refresh_reused", request, error.account.id, alarming=True)
            else:
                audit("refresh_failed", request)
            raise _unauthorized("the refresh token is not valid; log in again") from error
        audit("refresh", request, session.account.id)
        return answer(self._opened(session), headers=NO_STORE)

    async def _logout(self, claims: Claims, request: Request, *, everywhere: bool) -> Response:
        def end() -> None:
            account = self.account(claims)
            if everywhere:
                self._sessions.end_all(account)
            else:
                self._sessions.end(account, claims.session)

        await self._in_time(end, writes=True)
        event = "logout_everywhere" if everywhere else "logout"
        audit(event, request, claims.account)
        return answer({"logged_out": True})

    async def _info(self, claims: Claims, request: Request) -> Response:
        account = await self._in_time(self.account, claims)
        return answer(_profile(account) | {"token": sent_token(request)}, headers=NO_STORE)

    async def _me(self, claims: Claims) -> Response:
        account = await self._in_time(self.account, claims)
        identities = [{"type": "username", "value": account.name}]
        return answer(_profile(account) | {"identities": identities}, headers=NO_STORE)

    async def _username(self, body: NewName, claims: Claims, request: Request) -> Response:
        """Change a name. The answer holds the token that was sent: a new one would outlive it."""

        def change() -> Account:
            account = self.account(claims)
            _check_own(account, body.current_username)
            return self._accounts.rename(account, body.new_username)

        account = await self._change(change, "new_name", claims, request)
        return answer(_profile(account) | {"token": sent_token(request)}, headers=NO_STORE)

    async def _password(self, body: NewPassword, claims: Claims, request: Request) -> Response:
        address = counted(address_of(request))

        def change() -> Session:
            account = self.account(claims)
            _check_own(account, body.username)
            # Who has found a token must not find the password by it.
            self._throttle.check(account.name, address)
            accounts, current = self._accounts, body.current_password
            try:
                changed = accounts.change_password(account, current, body.new_password)
            except WrongPassword:
                self._throttle.wrong(account.name, address)
                raise
            return self._sessions.open(changed, alone=True)

        session = await self._change(change, "new_password", claims, request)
        return answer(self._opened(session), headers=NO_STORE)

    async def _change[T](
        self, change: Callable[[], T], event: str, claims: Claims, request: Request
    ) -> T:
        try:
            changed = await self._in_time(change, writes=True)
        except Refused as error:
            audit(f"{event}_refused", request, claims.account)
            raise Problem(400, str(error), code="UPDATE_FAILED") from error
        except TooMany as error:
            audit(f"{event}_throttled", request, claims.account)
            raise _throttled(error) from error
        audit(event, request, claims.account)
        return changed

    async def _in_time[T](self, function: Callable[..., T], *args: Any, writes: bool = False) -> T:
        """Run something on accounts in a thread.

        Raises:
            UnknownOutcome: it took too long, and may write yet.
            Problem: 504, it took too long.
        """
        try:
            return await self._calls.in_time(function, *args)
        except TimeoutError as error:
            if writes:
                raise UnknownOutcome("an account was being changed for too long") from error
            raise Problem(504, "this took too long; try again") from error

    def _opened(self, session: Session) -> dict[str, Any]:
        return _profile(session.account) | {
            "token": self._tokens.sign(session.account.claims(session.id)),
            "refresh_token": session.refresh,
            "expires_in": self._tokens.lifetime,
        }


def sent_token(request: Request) -> str | None:
    """Return the bearer token of a request: None without the header, "" if there is none in it.

    Whoever sends the header wants to be somebody, so what cannot be read must not make a guest.
    """
    sent = request.headers.get("authorization")
    if sent is None:
        return None
    scheme, _, token = sent.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _profile(account: Account) -> dict[str, Any]:
    root = account.root.hex
    return {
        "username": account.name,
        "user_id": account.id.partition(":")[2],
        "root_id": root,
        "role": account.role,
    }


def _check_own(account: Account, name: str) -> None:
    if name != account.name:
        raise Problem(403, "an account changes nobody but itself")


def _throttled(error: TooMany) -> Problem:
    return Problem(429, str(error), headers={"Retry-After": str(ceil(error.wait))})


def _ended() -> Problem:
    return _unauthorized("the token is not valid any more; log in again")


def _unauthorized(message: str) -> Problem:
    return Problem(401, message, headers={"WWW-Authenticate": "Bearer"})
