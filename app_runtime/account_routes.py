"""Routes for one's own account: look at it, change it, leave.

Answers are those of jaclang's client runtime and of jac-scale. It changes with what an account may
ask for itself.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Security
from starlette.responses import Response

from jac_converge.app_runtime import leaving
from jac_converge.app_runtime.auth.account import ADMIN, Account
from jac_converge.app_runtime.auth.accounts import Accounts, Refused
from jac_converge.app_runtime.auth.names import (
    EMAIL,
    SSO,
    Name,
    email,
    is_address,
    sso,
    typed,
    username,
)
from jac_converge.app_runtime.auth.profiles import Profile, checked, profile_change, profile_of
from jac_converge.app_runtime.auth.sessions import Session, Sessions
from jac_converge.app_runtime.auth.tokens import Claims
from jac_converge.app_runtime.bodies import CheckedRoute
from jac_converge.app_runtime.door import Door
from jac_converge.app_runtime.identity import Identity, sent_token
from jac_converge.app_runtime.identity_bodies import (
    Leaving,
    NewIdentity,
    NewMe,
    NewName,
    NewPassword,
    OldIdentity,
)
from jac_converge.app_runtime.login_routes import FAILURES
from jac_converge.app_runtime.problems import NO_STORE, Problem, answer
from jac_converge.app_runtime.stores import DocumentStore, WriteBatch

__all__ = ["AccountRoutes"]


class AccountRoutes:
    """The routes, and what they do."""

    def __init__(
        self,
        identity: Identity,
        accounts: Accounts,
        sessions: Sessions,
        door: Door,
        store: DocumentStore,
    ) -> None:
        self._identity = identity
        self._accounts = accounts
        self._sessions = sessions
        self._door = door
        self._store = store

    def install(self, app: FastAPI) -> None:
        """Add the routes."""
        router = APIRouter(
            prefix="/user", tags=["user"], route_class=CheckedRoute, responses=FAILURES
        )
        self._add_looks(router)
        self._add_changes(router)
        app.include_router(router)

    def _add_looks(self, router: APIRouter) -> None:
        info, me = self._info, self._me
        required = Security(self._identity.required)

        async def get_info(request: Request, claims: Claims = required) -> Response:
            """Tell who the token speaks for."""
            return await info(claims, request)

        async def get_me(claims: Claims = required) -> Response:
            """Tell who the token speaks for, and how they log in."""
            return await me(claims)

        router.add_api_route("/info", get_info, methods=["GET"])
        router.add_api_route("/me", get_me, methods=["GET"])

    def _add_changes(self, router: APIRouter) -> None:
        rename, password, change, leave = self._username, self._password, self._patch, self._leave
        add_name, remove_name = self._add_name, self._remove_name
        required = Security(self._identity.required)

        async def put_username(
            body: NewName, request: Request, claims: Claims = required
        ) -> Response:
            """Change one's own name; tokens stay valid."""
            return await rename(body, claims, request)

        async def put_password(
            body: NewPassword, request: Request, claims: Claims = required
        ) -> Response:
            """Change one's own password; every token from before ends."""
            return await password(body, claims, request)

        async def patch_me(body: NewMe, request: Request, claims: Claims = required) -> Response:
            """Change one's own names and profile; tokens stay valid."""
            return await change(body, claims, request)

        async def delete_me(body: Leaving, request: Request, claims: Claims = required) -> Response:
            """Leave: the account and everything in it go, for good."""
            return await leave(body, claims, request)

        async def add_identity(
            body: NewIdentity, request: Request, claims: Claims = required
        ) -> Response:
            """Add a name to log in by, or change the one of its type."""
            return await add_name(body, claims, request)

        async def remove_identity(
            body: OldIdentity, request: Request, claims: Claims = required
        ) -> Response:
            """Take away one of the names to log in by."""
            return await remove_name(body, claims, request)

        router.add_api_route("/username", put_username, methods=["PUT"])
        router.add_api_route("/password", put_password, methods=["PUT"])
        router.add_api_route("/me", patch_me, methods=["PATCH"])
        router.add_api_route("/me", delete_me, methods=["DELETE"])
        router.add_api_route("/add-identity", add_identity, methods=["POST"])
        router.add_api_route("/remove-identity", remove_identity, methods=["POST"])

    async def _info(self, claims: Claims, request: Request) -> Response:
        account = await self._identity.in_time(self._identity.account, claims)
        return answer(account.profile | {"token": sent_token(request)}, headers=NO_STORE)

    async def _me(self, claims: Claims) -> Response:
        def look() -> dict[str, Any]:
            account = self._identity.account(claims)
            return account.told | {"profile": profile_of(self._store, account.id)}

        return answer(await self._identity.in_time(look), headers=NO_STORE)

    async def _username(self, body: NewName, claims: Claims, request: Request) -> Response:
        """Change a name. The answer holds the token that was sent: a new one would outlive it."""

        def change(account: Account) -> Account:
            _check_own(account, body.current_username)
            if is_address(body.new_username):
                raise Refused("for an e-mail address, PATCH /user/me, with the password")
            self._door.naming(account)
            return self._accounts.rename(account, body.new_username)

        account = await self._door.quietly("new_name", claims, change, request)
        return answer(account.profile | {"token": sent_token(request)}, headers=NO_STORE)

    async def _password(self, body: NewPassword, claims: Claims, request: Request) -> Response:
        """Change a password. Who has found a token must not find the password by it."""
        begun: list[Session] = []

        def beside(changed: Account) -> WriteBatch:
            session, batch = self._sessions.alone(changed)
            begun[:] = [session]
            return batch

        def change(account: Account) -> Session:
            if body.username is not None:
                _check_own(account, body.username)
            self._door.prove(account, claims, body.current_password)
            self._accounts.set_password(account, body.new_password, beside=beside)
            return begun[0]

        session = await self._door.again("new_password", claims, change, request)
        return self._identity.opened(session, request)

    async def _patch(self, body: NewMe, claims: Claims, request: Request) -> Response:
        def change(account: Account) -> Account:
            profile = checked(body.profile or {})
            new = [username(body.username)] if body.username is not None else []
            new += [email(body.email)] if body.email is not None else []
            return self._renamed(account, new, profile)

        account = await self._with_password(
            body.email is not None or is_address(body.username or ""), body, claims, change, request
        )
        profile = await self._identity.in_time(profile_of, self._store, account.id)
        told = account.told | {"profile": profile, "message": "changed"}
        return answer(told, headers=NO_STORE)

    async def _add_name(self, body: NewIdentity, claims: Claims, request: Request) -> Response:
        def change(account: Account) -> Account:
            return self._renamed(account, [typed(body.identity.type, body.identity.value)])

        needed = body.identity.type == EMAIL or is_address(body.identity.value)
        account = await self._with_password(needed, body, claims, change, request)
        return answer(account.told, headers=NO_STORE)

    async def _remove_name(self, body: OldIdentity, claims: Claims, request: Request) -> Response:
        one = body.identity

        def change(account: Account) -> Account:
            if one.type == SSO:
                return self._accounts.unlink(account, sso(one.provider or "", one.value))
            return self._accounts.unlink(account, typed(one.type, one.value))

        account = await self._with_password(True, body, claims, change, request)
        return answer(account.told, headers=NO_STORE)

    async def _leave(self, body: Leaving, claims: Claims, request: Request) -> Response:
        def leave(account: Account) -> None:
            if account.role == ADMIN:
                # Or the last one would be gone.
                raise Refused("an admin stays; once another admin has taken the role, leave")
            self._door.prove(account, claims, body.current_password)
            leaving.leave(self._store, self._accounts, account)

        await self._door.again("leave", claims, leave, request)
        return answer({"deleted": True})

    def _renamed(
        self, account: Account, new: list[Name], profile: Profile = MappingProxyType({})
    ) -> Account:
        """Give an account names instead of those of their types, and a profile, in one commit."""
        new = [name for name in new if account.has(name) is None]
        kinds = {name.type for name in new}
        kept = [name for name in account.names if name.type not in kinds]

        def beside(changed: Account) -> WriteBatch:
            return profile_change(self._store, changed.id, profile)

        if new:
            self._door.naming(account)
            return self._accounts.set_names(account, [*kept, *new], beside=beside)
        if profile:
            self._store.commit(beside(account))
        return account

    async def _with_password(
        self,
        needed: bool,  # noqa: FBT001
        body: NewMe | NewIdentity | OldIdentity,
        claims: Claims,
        change: Callable[[Account], Account],
        request: Request,
    ) -> Account:
        if not needed:
            return await self._door.quietly("new_name", claims, change, request)

        def proven(account: Account) -> Account:
            self._door.prove(account, claims, body.current_password)
            return change(account)

        return await self._door.again("new_name", claims, proven, request)


def _check_own(account: Account, name: str) -> None:
    if name != account.name:
        raise Problem(403, "an account changes nobody but itself")
