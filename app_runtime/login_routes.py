"""Routes by which somebody becomes a caller: register, log in, refresh, log out.

Answers are those of jaclang's client runtime. It changes with how a session begins and ends.
"""

from math import ceil
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Security
from starlette.responses import JSONResponse, Response

from jac_converge.app_runtime.auth.account import Account
from jac_converge.app_runtime.auth.accounts import Accounts, NameTaken, Refused
from jac_converge.app_runtime.auth.audit import address_of, audit
from jac_converge.app_runtime.auth.names import typed
from jac_converge.app_runtime.auth.sessions import InvalidRefresh, Reused, Session, Sessions
from jac_converge.app_runtime.auth.throttle import Throttle, TooMany, counted
from jac_converge.app_runtime.auth.tokens import Claims
from jac_converge.app_runtime.bodies import CheckedRoute
from jac_converge.app_runtime.identity import Identity, unauthorized
from jac_converge.app_runtime.identity_bodies import Login, Refresh, Registration
from jac_converge.app_runtime.problems import Problem, answer
from jac_converge.app_runtime.signatures import Failure
from jac_converge.app_runtime.stores import WriteBatch

__all__ = ["FAILURES", "NO_STORE", "LoginRoutes", "throttled"]

NO_STORE = {"Cache-Control": "no-store"}
FAILURES: dict[int | str, dict[str, Any]] = {
    code: {"model": Failure} for code in (400, 401, 403, 409, 422, 429, 503, 504)
}


class LoginRoutes:
    """The routes, and what they do."""

    def __init__(
        self, identity: Identity, accounts: Accounts, sessions: Sessions, throttle: Throttle
    ) -> None:
        self._identity = identity
        self._accounts = accounts
        self._sessions = sessions
        self._throttle = throttle

    def install(self, app: FastAPI) -> None:
        """Add the routes."""
        router = APIRouter(
            prefix="/user", tags=["user"], route_class=CheckedRoute, responses=FAILURES
        )
        add = router.add_api_route
        add("/register", self._register, methods=["POST"], status_code=201)
        add("/login", self._login, methods=["POST"])
        add("/refresh", self._refresh, methods=["POST"])
        add("/refresh-token", self._refresh, methods=["POST"], include_in_schema=False)
        logout = self._logout
        required = Security(self._identity.required)

        async def post_logout(request: Request, claims: Claims = required) -> Response:
            """End this session: its access tokens and its refresh token are void from now on."""
            return await logout(claims, request, everywhere=False)

        async def post_logout_everywhere(request: Request, claims: Claims = required) -> Response:
            """End every session of the account, this one too."""
            return await logout(claims, request, everywhere=True)

        async def jwks() -> Response:
            """Publish the keys that check our tokens; none where a secret signs them."""
            headers = {"Cache-Control": "public, max-age=300"}
            return JSONResponse(self._identity.tokens.published, headers=headers)

        app.add_api_route("/.well-known/jwks.json", jwks, tags=["user"])
        add("/logout", post_logout, methods=["POST"])
        add("/logout-everywhere", post_logout_everywhere, methods=["POST"])
        app.include_router(router)

    async def _register(self, body: Registration, request: Request) -> Response:
        """Make an account and log it in."""

        def make() -> Session:
            begun: list[Session] = []

            def beside(account: Account) -> WriteBatch:
                session, batch = self._sessions.first(account)
                begun[:] = [session]
                return batch

            names = [typed(one.type, one.value) for one in body.identities]
            self._accounts.create(names, password=body.credential.password, beside=beside)
            return begun[0]

        try:
            session = await self._identity.in_time(make, writes=True)
        except NameTaken as error:
            raise Problem(400, str(error), code="USER_EXISTS") from error
        except Refused as error:
            raise Problem(400, str(error), code="REGISTRATION_REFUSED") from error
        audit("register", request, session.account.id)
        return answer(self._identity.opened(session), 201, headers=NO_STORE)

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
            session = await self._identity.in_time(begin)
        except TooMany as error:
            audit("login_throttled", request)
            raise throttled(error) from error
        if session is None:
            audit("login_failed", request)
            raise unauthorized("name or password is wrong")
        audit("login", request, session.account.id)
        return answer(self._identity.opened(session), headers=NO_STORE)

    async def _refresh(self, body: Refresh, request: Request) -> Response:
        """Exchange a refresh token for the next one, and a new access token."""
        try:
            session = await self._identity.in_time(self._sessions.refresh, body.refresh_token)
        except InvalidRefresh as error:
            if isinstance(error, Reused):
                audit("refresh_reused", request, error.account.id, alarming=True)
            else:
                audit("refresh_failed", request)
            raise unauthorized("the refresh token is not valid; log in again") from error
        audit("refresh", request, session.account.id)
        return answer(self._identity.opened(session), headers=NO_STORE)

    async def _logout(self, claims: Claims, request: Request, *, everywhere: bool) -> Response:
        def end() -> None:
            account = self._identity.account(claims)
            if everywhere:
                self._sessions.end_all(account)
            else:
                self._sessions.end(account, claims.session)

        await self._identity.in_time(end, writes=True)
        event = "logout_everywhere" if everywhere else "logout"
        audit(event, request, claims.account)
        return answer({"logged_out": True})


def throttled(error: TooMany) -> Problem:
    """Make a 429."""
    return Problem(429, str(error), headers={"Retry-After": str(ceil(error.wait))})
