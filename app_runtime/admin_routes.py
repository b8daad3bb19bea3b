"""Routes for admins: what one account may change about another.

It changes with what an admin may do over HTTP.
"""

from fastapi import APIRouter, FastAPI, Request, Security
from pydantic import BaseModel
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.responses import Response

from jac_converge.app_runtime.auth.account import ADMIN, Account
from jac_converge.app_runtime.auth.accounts import Accounts, Refused
from jac_converge.app_runtime.auth.audit import audit
from jac_converge.app_runtime.auth.names import username
from jac_converge.app_runtime.auth.tokens import Claims
from jac_converge.app_runtime.bodies import CheckedRoute
from jac_converge.app_runtime.door import Door
from jac_converge.app_runtime.identity import Identity
from jac_converge.app_runtime.login_routes import FAILURES
from jac_converge.app_runtime.policy import check_role
from jac_converge.app_runtime.problems import NO_STORE, Problem, answer
from jac_converge.app_runtime.refusals import noted
from jac_converge.app_runtime.signatures import Failure

__all__ = ["AdminRoutes"]


class _Names(PathConvertor):
    """Names in a path, which may have any character, and one at least."""

    regex = ".+"


register_url_convertor("account", _Names())


class NewRole(BaseModel):
    """What an account is to be."""

    role: str
    current_password: str | None = None
    """Of the admin: an admin whom a found token made would outlive it."""


class AdminRoutes:
    """The routes, and what they do."""

    def __init__(
        self, identity: Identity, accounts: Accounts, door: Door, roles: frozenset[str]
    ) -> None:
        """Describe them.

        Args:
            identity: says who is asking.
            accounts: that are changed.
            door: asks for the password.
            roles: that there are; any other one is a slip of the pen, and would lock somebody out.
        """
        self._identity = identity
        self._accounts = accounts
        self._door = door
        self._roles = roles

    def install(self, app: FastAPI) -> None:
        """Add the routes."""
        router = APIRouter(
            prefix="/admin",
            tags=["admin"],
            route_class=CheckedRoute,
            responses=FAILURES | {404: {"model": Failure}},
        )
        set_role, required = self._set_role, Security(self._identity.required)

        async def put_user(
            name: str, body: NewRole, request: Request, claims: Claims = required
        ) -> Response:
            """Give an account another role, which counts from its next call on.

            Needs the role admin, and the password of that admin.
            """
            return await set_role(name, body, claims, request)

        router.add_api_route(
            "/users/{name:account}", put_user, methods=["PUT"], openapi_extra={"x-roles": [ADMIN]}
        )
        app.include_router(router)

    async def _set_role(
        self, name: str, body: NewRole, claims: Claims, request: Request
    ) -> Response:
        role = body.role

        def change(admin: Account) -> Account:
            check_role(admin.role, [ADMIN])
            self._door.prove(admin, claims, body.current_password)
            other = self._named(name)
            if role not in self._roles:
                raise Refused(f"there is no role {role!r:.40}; roles: {', '.join(self._known)}")
            if other.id == admin.id:
                # Or the last admin would be none by a slip.
                raise Refused("an admin keeps their own role; another admin takes it")
            return self._accounts.set_role(other, role, by=admin)

        with noted(request, claims):
            account = await self._door.proven("role", claims, change, request)
        audit("role", request, account.id, by=claims.account, role=role)
        return answer(account.profile, headers=NO_STORE)

    @property
    def _known(self) -> list[str]:
        return sorted(self._roles)

    def _named(self, name: str) -> Account:
        try:
            account = self._accounts.by_name(username(name))
        except Refused:
            account = None
        if account is None:
            raise Problem(404, "no account has this name")
        return account
