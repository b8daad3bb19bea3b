"""Routes for the API keys of one's own account: make, list, revoke.

They take a token, and no key: a key that leaked must not make another one. It changes with what the
owner of a key may ask for.
"""

from fastapi import APIRouter, FastAPI, Request, Security
from pydantic import BaseModel, Field
from starlette.responses import Response

from jac_converge.app_runtime.auth.account import Account
from jac_converge.app_runtime.auth.accounts import Refused
from jac_converge.app_runtime.auth.api_keys import ApiKey, ApiKeys
from jac_converge.app_runtime.auth.audit import audit
from jac_converge.app_runtime.auth.tokens import Claims
from jac_converge.app_runtime.bodies import CheckedRoute
from jac_converge.app_runtime.door import Door
from jac_converge.app_runtime.identity import Identity
from jac_converge.app_runtime.login_routes import FAILURES
from jac_converge.app_runtime.problems import NO_STORE, Problem, answer
from jac_converge.app_runtime.signatures import Failure

__all__ = ["KeyRoutes"]

DAY = 86400
USUAL, LONGEST = 90 * DAY, 3650 * DAY  # s


class NewKey(BaseModel):
    """A key to make."""

    name: str
    scopes: list[str] | None = None
    """Names of walkers and functions; null: all, also those that come later."""
    expires_in: int = Field(default=USUAL, ge=60, le=LONGEST, description="In seconds.")
    current_password: str | None = None
    """As for what else outlives a token that somebody found."""


class KeyRoutes:
    """The routes, and what they do."""

    def __init__(
        self, identity: Identity, keys: ApiKeys, door: Door, *, callables: frozenset[str]
    ) -> None:
        """Describe them.

        Args:
            identity: says whose a token is.
            keys: of all accounts.
            door: asks for the password.
            callables: names of all walkers and functions.
        """
        self._identity = identity
        self._keys = keys
        self._door = door
        self._callables = callables

    def install(self, app: FastAPI) -> None:
        """Add the routes."""
        router = APIRouter(
            prefix="/user",
            tags=["user"],
            route_class=CheckedRoute,
            responses=FAILURES | {404: {"model": Failure}},
        )
        make, list_, revoke = self._make, self._list, self._revoke
        required = Security(self._identity.required)

        async def post_key(body: NewKey, request: Request, claims: Claims = required) -> Response:
            """Make an API key for a machine; the answer is the only one that has it."""
            return await make(body, claims, request)

        async def get_keys(claims: Claims = required) -> Response:
            """List one's own API keys, without what to send."""
            return await list_(claims)

        async def delete_key(id_: str, request: Request, claims: Claims = required) -> Response:
            """End an API key, from its next call on."""
            return await revoke(id_, claims, request)

        router.add_api_route("/keys", post_key, methods=["POST"], status_code=201)
        router.add_api_route("/keys", get_keys, methods=["GET"])
        router.add_api_route("/keys/{id_}", delete_key, methods=["DELETE"])
        app.include_router(router)

    async def _make(self, body: NewKey, claims: Claims, request: Request) -> Response:
        def make(account: Account) -> tuple[ApiKey, str]:
            self._door.prove(account, claims, body.current_password)
            unknown = sorted(set(body.scopes or ()) - self._callables)
            if unknown:
                raise Refused(f"the app has no walker or function {unknown[0]!r:.80}")
            return self._keys.make(
                account, name=body.name, scopes=body.scopes, lifetime=body.expires_in
            )

        key, text = await self._door.again("new_key", claims, make, request)
        return answer(key.told | {"key": text}, 201, headers=NO_STORE)

    async def _list(self, claims: Claims) -> Response:
        def of() -> list[ApiKey]:
            return self._keys.of(self._identity.account(claims))

        keys = await self._identity.in_time(of)
        return answer({"keys": [key.told for key in keys]}, headers=NO_STORE)

    async def _revoke(self, id_: str, claims: Claims, request: Request) -> Response:
        def revoke() -> bool:
            return self._keys.revoke(self._identity.account(claims), id_)

        if not await self._identity.in_time(revoke, writes=True):
            raise Problem(404, "this account has no such key")
        audit("key_revoked", request, claims.account)
        return answer({"revoked": True})
