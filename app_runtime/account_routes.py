"""Routes for one's own account: look at it, and change it.

Answers are those of jaclang's client runtime. It changes with what an account may ask for itself.
"""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Security
from starlette.responses import Response

from jac_converge.app_runtime.auth.account import Account
from jac_converge.app_runtime.auth.accounts import Accounts, Refused, WrongPassword
from jac_converge.app_runtime.auth.audit import address_of, audit
from jac_converge.app_runtime.auth.sessions import Session, Sessions
from jac_converge.app_runtime.auth.throttle import Throttle, TooMany, counted
from jac_converge.app_runtime.auth.tokens import Claims
from jac_converge.app_runtime.bodies import CheckedRoute
from jac_converge.app_runtime.identity import Identity, sent_token
from jac_converge.app_runtime.identity_bodies import NewName, NewPassword
from jac_converge.app_runtime.login_routes import FAILURES, NO_STORE, throttled
from jac_converge.app_runtime.problems import Problem, answer
from jac_converge.app_runtime.stores import WriteBatch

__all__ = ["AccountRoutes"]


class AccountRoutes:
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
        info, me, username, password = self._info, self._me, self._username, self._password
        required = Security(self._identity.required)

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

        add("/info", get_info, methods=["GET"])
        add("/me", get_me, methods=["GET"])
        add("/username", put_username, methods=["PUT"])
        add("/password", put_password, methods=["PUT"])
        app.include_router(router)

    async def _info(self, claims: Claims, request: Request) -> Response:
        account = await self._identity.in_time(self._identity.account, claims)
        return answer(account.profile | {"token": sent_token(request)}, headers=NO_STORE)

    async def _me(self, claims: Claims) -> Response:
        account = await self._identity.in_time(self._identity.account, claims)
        return answer(_told(account), headers=NO_STORE)

    async def _username(self, body: NewName, claims: Claims, request: Request) -> Response:
        """Change a name. The answer holds the token that was sent: a new one would outlive it."""

        def change() -> Account:
            account = self._identity.account(claims)
            _check_own(account, body.current_username)
            return self._accounts.rename(account, body.new_username)

        account = await self._change(change, "new_name", claims, request)
        return answer(account.profile | {"token": sent_token(request)}, headers=NO_STORE)

    async def _password(self, body: NewPassword, claims: Claims, request: Request) -> Response:
        address = counted(address_of(request))

        def change() -> Session:
            account = self._identity.account(claims)
            if body.username is not None:
                _check_own(account, body.username)
            # Who has found a token must not find the password by it.
            self._throttle.check(account.name, address)
            begun: list[Session] = []

            def beside(changed: Account) -> WriteBatch:
                session, batch = self._sessions.alone(changed)
                begun[:] = [session]
                return batch

            try:
                self._accounts.change_password(
                    account, body.current_password, body.new_password, beside=beside
                )
            except WrongPassword:
                self._throttle.wrong(account.name, address)
                raise
            return begun[0]

        session = await self._change(change, "new_password", claims, request)
        return answer(self._identity.opened(session), headers=NO_STORE)

    async def _change[T](
        self, change: Callable[[], T], event: str, claims: Claims, request: Request
    ) -> T:
        try:
            changed = await self._identity.in_time(change, writes=True)
        except Refused as error:
            audit(f"{event}_refused", request, claims.account)
            raise Problem(400, str(error), code="UPDATE_FAILED") from error
        except TooMany as error:
            audit(f"{event}_throttled", request, claims.account)
            raise throttled(error) from error
        audit(event, request, claims.account)
        return changed


def _told(account: Account) -> dict[str, Any]:
    """Tell everything about an account to whoever it is."""
    return account.profile | {"identities": [name.told for name in account.names]}


def _check_own(account: Account, name: str) -> None:
    if name != account.name:
        raise Problem(403, "an account changes nobody but itself")
