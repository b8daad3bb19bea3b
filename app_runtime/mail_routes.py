"""Routes that go by mail: verify one's address, and set a password that was forgotten.

They are there where jac.toml names a mail server. An address is verified by whoever is signed in
*and* reads its mail: a code alone would let whoever registered it have its owner verify it for
them. A password is reset through a verified address alone, for the same reason. It changes with
what a mail lets somebody do.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request, Security
from pydantic import AliasChoices, BaseModel, Field
from starlette.responses import Response

from jac_converge.app_runtime.auth.account import Account
from jac_converge.app_runtime.auth.accounts import Accounts, Refused
from jac_converge.app_runtime.auth.audit import address_of, audit
from jac_converge.app_runtime.auth.mailer import Mailer, MailFailed
from jac_converge.app_runtime.auth.names import EMAIL, Name, email
from jac_converge.app_runtime.auth.sessions import Session, Sessions
from jac_converge.app_runtime.auth.throttle import Throttle, TooMany, counted
from jac_converge.app_runtime.auth.tokens import Claims
from jac_converge.app_runtime.bodies import CheckedRoute
from jac_converge.app_runtime.door import Door, refused, throttled
from jac_converge.app_runtime.identity import Identity
from jac_converge.app_runtime.login_routes import FAILURES
from jac_converge.app_runtime.problems import NO_STORE, Problem, answer
from jac_converge.app_runtime.sso.seal import Seal
from jac_converge.app_runtime.stores import StoreError, WriteBatch

__all__ = ["MailRoutes", "Pages"]

logger = logging.getLogger(__name__)

VERIFY_WITHIN, RESET_WITHIN = 86400, 1800  # s
VERIFY = """Somebody, most likely you, has entered this address at {app}.
To say that it is yours, open this page while you are signed in there:

{link}

The link is good for a day. If it was not you, nothing needs to be done.
"""
RESET = """Somebody, most likely you, wants to set a new password at {app}.
To choose one, open this page:

{link}

The link is good for half an hour, and once. If it was not you, nothing needs to be done.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Where mails lead, with a `code`."""

    app: str
    """Name of the app."""
    verify: str
    reset: str


class Forgotten(BaseModel):
    """The address of an account."""

    email: str = Field(max_length=1024)


class Code(BaseModel):
    """A code of a mail."""

    code: str = Field(max_length=4096, validation_alias=AliasChoices("code", "token"))


class Reset(Code):
    """A code of a mail, and a new password."""

    new_password: str


class MailRoutes:
    """The routes, and what they do."""

    def __init__(
        self,
        identity: Identity,
        accounts: Accounts,
        sessions: Sessions,
        door: Door,
        throttle: Throttle,
        *,
        mailer: Mailer,
        pages: Pages,
        secrets: Sequence[str],
    ) -> None:
        """Describe them.

        Args:
            identity: says whose a token is.
            accounts: that have addresses.
            sessions: of them.
            door: makes changes that a token is enough for.
            throttle: counts mails.
            mailer: sends.
            pages: where mails lead.
            secrets: of the tokens; the first one seals.
        """
        self._identity = identity
        self._accounts = accounts
        self._sessions = sessions
        self._door = door
        self._throttle = throttle
        self._mailer = mailer
        self._pages = pages
        self._verify = Seal(secrets, purpose="verify an address")
        self._reset = Seal(secrets, purpose="reset a password")
        self._sending: set[asyncio.Task[None]] = set()

    def install(self, app: FastAPI) -> None:
        """Add the routes."""
        router = APIRouter(
            prefix="/user", tags=["user"], route_class=CheckedRoute, responses=FAILURES
        )
        send, verify, required = (
            self._send_verification,
            self._verified,
            Security(self._identity.required),
        )

        async def send_verification(request: Request, claims: Claims = required) -> Response:
            """Send a mail to one's own address, which has a code to verify it by."""
            return await send(claims, request)

        async def verify_identity(
            body: Code, request: Request, claims: Claims = required
        ) -> Response:
            """Say by the code of a mail that the address is one's own."""
            return await verify(body, claims, request)

        router.add_api_route("/send-verification", send_verification, methods=["POST"])
        router.add_api_route("/verify-identity", verify_identity, methods=["POST"])
        router.add_api_route("/forgot-password", self._forgot, methods=["POST"])
        router.add_api_route("/reset-password", self._new_password, methods=["POST"])
        app.include_router(router)

    async def _send_verification(self, claims: Claims, request: Request) -> Response:
        def written() -> Callable[[], None]:
            account = self._identity.account(claims)
            own = _address(account)
            if own is None or own.verified:
                raise Refused("the account has no address that is not verified")
            self._throttle.mailing("verify", own.key, account.id)
            note = {"account": account.id, "address": own.key}
            link = _link(self._pages.verify, self._verify.close(note))
            text = VERIFY.format(app=self._pages.app, link=link)
            subject = f"Your address at {self._pages.app}"
            return partial(self._mailer.send, own.value, subject, text)

        try:
            await self._identity.mailing(await self._identity.in_time(written))
        except Refused as error:
            raise refused("send_verification", request, claims, error) from error
        except TooMany as error:
            raise throttled("send_verification", request, claims.account, error) from error
        except MailFailed as error:
            logger.error("%s", error)  # noqa: TRY400 - whatever was raised has an address in it
            text = "the mail could not be sent; try again later"
            raise Problem(503, text, headers={"Retry-After": "60"}) from error
        audit("send_verification", request, claims.account)
        return answer({"sent": True})

    async def _verified(self, body: Code, claims: Claims, request: Request) -> Response:
        note = self._verify.open(body.code, within=VERIFY_WITHIN)

        def verify(account: Account) -> Account:
            own = _address(account)
            wanted = {"account": account.id, "address": own.key if own is not None else None}
            if own is None or note != wanted:
                raise Refused("the code is not for this account and its address, or too old")
            return self._accounts.link(account, email(own.value, verified=True))

        account = await self._door.quietly("verify", claims, verify, request)
        return answer(account.told, headers=NO_STORE)

    async def _forgot(self, body: Forgotten, request: Request) -> Response:
        """Send a mail with a code to set a new password by, if the address is of somebody.

        The answer is the same, and as quick, if it is not.
        """
        try:
            key = email(body.email).key
            by = counted(address_of(request))
            await self._identity.in_time(self._throttle.mailing, "reset", key, by)
        except Refused as error:
            raise Problem(400, str(error)) from error
        except TooMany as error:
            raise throttled("forgot_password", request, "-", error) from error
        task = asyncio.create_task(self._send_reset(body.email, request))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return answer({"accepted": True})

    async def _send_reset(self, address: str, request: Request) -> None:
        def written() -> tuple[str, Callable[[], None]] | None:
            name = email(address)
            account = self._accounts.by_name(name)
            own = account.has(name) if account is not None else None
            if account is None or own is None or not own.verified:
                return None
            note = {"account": account.id, "version": account.version, "address": own.key}
            link = _link(self._pages.reset, self._reset.close(note))
            text = RESET.format(app=self._pages.app, link=link)
            subject = f"A new password at {self._pages.app}"
            return account.id, partial(self._mailer.send, own.value, subject, text)

        try:
            found = await self._identity.in_time(written)
            if found is not None:
                await self._identity.mailing(found[1])
        except (MailFailed, Problem, StoreError) as error:
            logger.error("a mail for a new password was not sent: %s", error)  # noqa: TRY400
            return
        audit("forgot_password", request, found[0] if found is not None else "-")

    async def _new_password(self, body: Reset, request: Request) -> Response:
        """Set a new password by the code of a mail; every session from before ends."""
        note = self._reset.open(body.code, within=RESET_WITHIN)
        begun: list[Session] = []

        def beside(changed: Account) -> WriteBatch:
            session, batch = self._sessions.alone(changed)
            begun[:] = [session]
            return batch

        def reset() -> Session:
            found = self._accounts.read([note["account"]]) if note is not None else {}
            account = self._accounts.current(next(iter(found.values()), None))
            # A new password counts the version up, so a code is good once; and it goes with the
            # address that it was sent to.
            if note is None or account is None or not _may_reset(account, note):
                raise Refused("the code is not valid (any more); ask for another one")
            self._accounts.set_password(account, body.new_password, beside=beside)
            return begun[0]

        try:
            session = await self._identity.hashing(reset, writes=True)
        except Refused as error:
            audit("reset_password_refused", request)
            raise Problem(400, str(error), code="UPDATE_FAILED") from error
        audit("reset_password", request, session.account.id)
        return self._identity.opened(session, request)


def _may_reset(account: Account, note: Mapping[str, Any]) -> bool:
    sent_to = note.get("address")
    return account.version == note["version"] and any(
        name.verified and name.key == sent_to for name in account.names
    )


def _address(account: Account) -> Name | None:
    return next((name for name in account.names if name.type == EMAIL), None)


def _link(page: str, code: str) -> str:
    return f"{page}?code={quote(code)}"  # the page has no query: jac.toml takes none
