"""Routes by which somebody becomes a caller: register, log in, refresh, log out.

Answers are those of jaclang's client runtime. It changes with how a session begins and ends.
"""

from typing import Any

from fastapi import APIRouter, FastAPI, Request, Security
from starlette.responses import JSONResponse, Response

from jac_converge.app_runtime.auth.account import Account
from jac_converge.app_runtime.auth.accounts import Accounts, NameTaken, Refused, WrongPassword
from jac_converge.app_runtime.auth.audit import audit
from jac_converge.app_runtime.auth.names import typed
from jac_converge.app_runtime.auth.profiles import checked, profile_with
from jac_converge.app_runtime.auth.sessions import PREFIX, InvalidRefresh, Reused, Session, Sessions
from jac_converge.app_runtime.auth.tokens import Claims
from jac_converge.app_runtime.bodies import CheckedRoute
from jac_converge.app_runtime.door import Door
from jac_converge.app_runtime.identity import Identity, sent_token, unauthorized
from jac_converge.app_runtime.identity_bodies import Login, Logout, Refresh, Registration, Renewal
from jac_converge.app_runtime.problems import Problem, answer
from jac_converge.app_runtime.signatures import Failure
from jac_converge.app_runtime.stores import WriteBatch

__all__ = ["FAILURES", "LoginRoutes"]

FAILURES: dict[int | str, dict[str, Any]] = {
    code: {"model": Failure} for code in (400, 401, 403, 409, 413, 415, 422, 429, 503, 504)
}


class LoginRoutes:
    """The routes, and what they do."""

    def __init__(
        self, identity: Identity, accounts: Accounts, sessions: Sessions, door: Door
    ) -> None:
        self._identity = identity
        self._accounts = accounts
        self._sessions = sessions
        self._door = door

    def install(self, app: FastAPI) -> None:
        """Add the routes."""
        router = APIRouter(
            prefix="/user", tags=["user"], route_class=CheckedRoute, responses=FAILURES
        )
        add = router.add_api_route
        add("/register", self._register, methods=["POST"], status_code=201)
        add("/login", self._login, methods=["POST"])
        add("/refresh", self._refresh, methods=["POST"])
        add("/refresh-token", self._renew, methods=["POST"])
        logout, logout_by, identity = self._logout, self._logout_by, self._identity
        required, bearer = Security(identity.required), Security(identity.bearer)

        async def post_logout(
            request: Request, body: Logout | None = None, _: None = bearer
        ) -> Response:
            """End a session: its access tokens and its refresh token are void from now on.

            It is the one of the refresh token in the body, or else of the bearer token.
            """
            if body is not None and body.refresh_token is not None:
                return await logout_by(body.refresh_token, request)
            cookies = identity.cookies
            claims = identity.speaker(request, required=cookies is None)
            if claims is None and cookies is not None:
                # The access cookie ends before the session does.
                kept = cookies.refresh_token(request)
                if kept is not None:
                    return await logout_by(kept, request)
            if claims is None:
                raise unauthorized("this needs a token; there is nobody to log out")
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
                profile = profile_with(account.id, body.profile) if body.profile else None
                return WriteBatch(creates=(*batch.creates, *([profile] if profile else ())))

            checked(body.profile or {})
            names = [typed(one.type, one.value) for one in body.identities]
            self._accounts.create(names, password=body.credential.password, beside=beside)
            return begun[0]

        await self._door.registering(request)
        try:
            session = await self._identity.hashing(make, writes=True)
        except NameTaken as error:
            raise Problem(400, str(error), code="USER_EXISTS") from error
        except Refused as error:
            raise Problem(400, str(error), code="REGISTRATION_REFUSED") from error
        audit("register", request, session.account.id)
        return self._identity.opened(session, request, 201)

    async def _login(self, body: Login, request: Request) -> Response:
        """Exchange name and password for an access token and a refresh token."""
        name, password = body.identity.value, body.credential.password

        def begin() -> Session:
            account = self._accounts.login(name, password)
            if account is None:
                raise WrongPassword("name or password is wrong")
            return self._sessions.open(account)

        try:
            session = await self._door.enter("login", name, begin, request)
        except WrongPassword as error:
            raise unauthorized(str(error)) from error
        audit("login", request, session.account.id)
        return self._identity.opened(session, request)

    async def _refresh(self, request: Request, body: Refresh | None = None) -> Response:
        """Exchange a refresh token for the next one, and a new access token.

        It is the one in the body, or else in the cookie of the browser.
        """
        cookies = self._identity.cookies
        # Whoever sends a token is not here by a cookie, and is answered with tokens.
        by_cookie = body is None and sent_token(request) is None
        kept = cookies.refresh_token(request) if by_cookie and cookies is not None else None
        if body is None and kept is None:
            raise Problem(422, "the body needs a refresh_token")
        return await self._refreshed(body.refresh_token if body else kept or "", request)

    async def _renew(self, body: Renewal, request: Request) -> Response:
        """Do the same, or exchange an access token for another while its session goes on."""
        token = body.token.removeprefix("Bearer ").strip()
        if token.startswith(f"{PREFIX}."):
            return await self._refreshed(token, request)
        claims = self._identity.speaking(token, required=True)
        assert claims is not None  # noqa: S101 - what `required` means

        def lasting() -> Session:
            return self._sessions.lasting(self._identity.account(claims), claims.session)

        try:
            session = await self._identity.in_time(lasting)
        except InvalidRefresh as error:
            raise unauthorized("the session has ended; log in again") from error
        audit("renew", request, session.account.id)
        text = "a new token for the same session"
        return self._identity.opened(session, request, message=text)

    async def _refreshed(self, token: str, request: Request) -> Response:
        try:
            session = await self._identity.in_time(self._sessions.refresh, token)
        except InvalidRefresh as error:
            if isinstance(error, Reused):
                audit("refresh_reused", request, error.account.id, alarming=True)
            else:
                audit("refresh_failed", request)
            raise unauthorized("the refresh token is not valid; log in again") from error
        audit("refresh", request, session.account.id)
        return self._identity.opened(session, request)

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
        return self._logged_out()

    async def _logout_by(self, token: str, request: Request) -> Response:
        try:
            account = await self._identity.in_time(self._sessions.end_by, token, writes=True)
        except InvalidRefresh as error:
            raise unauthorized("the refresh token is of no session") from error
        audit("logout", request, account.id)
        return self._logged_out()

    def _logged_out(self) -> Response:
        response = answer({"logged_out": True})
        if self._identity.cookies is not None:
            self._identity.cookies.forget(response)
        return response
