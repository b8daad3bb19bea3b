"""The door: whoever gives a password is counted first, and waits where too many were wrong.

It changes with what is asked of somebody who gives a password.
"""

import asyncio
import logging
from collections.abc import Callable
from math import ceil

from fastapi import Request

from jac_converge.app_runtime.auth.account import Account
from jac_converge.app_runtime.auth.accounts import Accounts, Refused, WrongPassword
from jac_converge.app_runtime.auth.audit import address_of, audit
from jac_converge.app_runtime.auth.sessions import Sessions
from jac_converge.app_runtime.auth.throttle import Attempt, Throttle, TooMany, counted
from jac_converge.app_runtime.auth.tokens import Claims
from jac_converge.app_runtime.identity import Identity
from jac_converge.app_runtime.problems import Problem
from jac_converge.app_runtime.stores import StoreError

__all__ = ["Door", "refused", "throttled"]

logger = logging.getLogger(__name__)


class Door:
    """Lets in who gives the right password."""

    def __init__(
        self, identity: Identity, throttle: Throttle, accounts: Accounts, sessions: Sessions
    ) -> None:
        self._identity = identity
        self._throttle = throttle
        self._accounts = accounts
        self._sessions = sessions

    async def enter[T](self, event: str, name: str, use: Callable[[], T], request: Request) -> T:
        """Use a password of whoever has a name, and count it (see `_enter`)."""
        return await self._enter(event, lambda it: self._throttle.begin(name, it), use, request)

    async def again[T](
        self,
        event: str,
        claims: Claims,
        use: Callable[[Account], T],
        request: Request,
    ) -> T:
        """Use the password of whoever a token speaks for, and note it (see `proven`)."""
        result = await self.proven(event, claims, use, request)
        audit(event, request, claims.account)
        return result

    async def proven[T](
        self,
        event: str,
        claims: Claims,
        use: Callable[[Account], T],
        request: Request,
    ) -> T:
        """Use the password of whoever a token speaks for, and count it (see `_enter`).

        Raises:
            Problem: 400, what it is used for is refused; 429, that has to wait.
        """
        account = await self._identity.in_time(self._identity.account, claims)
        try:
            return await self._enter(
                event,
                lambda it: self._throttle.begin_for(account.id, it),
                lambda: use(self._identity.account(claims)),
                request,
                writes=True,
            )
        except Refused as error:
            raise refused(event, request, claims, error) from error
        except TooMany as error:
            raise throttled(event, request, claims.account, error) from error

    async def quietly[T](
        self, event: str, claims: Claims, use: Callable[[Account], T], request: Request
    ) -> T:
        """Make a change to an account that needs a token and no password, and note it.

        Raises:
            Problem: 400, it is refused; 429, it has to wait.
        """
        try:
            result = await self._identity.in_time(
                lambda: use(self._identity.account(claims)), writes=True
            )
        except Refused as error:
            raise refused(event, request, claims, error) from error
        except TooMany as error:
            raise throttled(event, request, claims.account, error) from error
        audit(event, request, claims.account)
        return result

    def naming(self, account: Account) -> None:
        """Count that an account asks for another name; waits for the store.

        Raises:
            TooMany: it has to wait.
        """
        self._throttle.naming(account.id)

    def prove(self, account: Account, claims: Claims, password: str | None) -> None:
        """Make sure that the owner is asking, and not just somebody with a token.

        Raises:
            WrongPassword: the password is another one, or missing.
            Refused: there is none, and the login is too long ago to stand for it.
        """
        if account.has_password:
            if password is None:
                raise Refused("this needs your password, too: send current_password")
            self._accounts.prove(account, password)
        elif not self._sessions.is_fresh(account, claims.session):
            raise Refused("log in once more: this needs a login of the last minutes")

    async def registering(self, request: Request) -> None:
        """Count a registration.

        Raises:
            Problem: 429, it has to wait.
        """
        try:
            await self._identity.in_time(self._throttle.registering, counted(address_of(request)))
        except TooMany as error:
            raise throttled("register", request, "-", error) from error

    async def _enter[T](
        self,
        event: str,
        begin: Callable[[str | None], Attempt],
        use: Callable[[], T],
        request: Request,
        *,
        writes: bool = False,
    ) -> T:
        """Count a use of a password, use it, and forget it if that went well.

        Args:
            event: for the log.
            begin: counts, by the client's address.
            use: raises `WrongPassword`; anything else says nothing against who gave it.
            request: where it came from.
            writes: whether what it is used for changes an account.

        Raises:
            WrongPassword: it was wrong.
            Problem: 429, it has to wait.
        """
        try:
            attempt = await self._identity.in_time(begin, counted(address_of(request)))
        except TooMany as error:
            raise throttled(event, request, "-", error) from error
        # Here and not in a thread: of those there are few.
        await asyncio.sleep(attempt.slow)

        def used() -> T:
            try:
                result = use()
            except WrongPassword:
                raise
            except BaseException:
                self._forget(attempt)
                raise
            self._forget(attempt)
            return result

        try:
            return await self._identity.hashing(used, writes=writes)
        except WrongPassword:
            audit(f"{event}_failed", request, attempt.account or "-")
            raise

    def _forget(self, attempt: Attempt) -> None:
        try:
            self._throttle.right(attempt)
        except StoreError as error:
            # What the password was for is done, and nobody may be told that it is not.
            logger.warning("a right password stays counted as a wrong one: %s", error)


def refused(event: str, request: Request, claims: Claims, error: Refused) -> Problem:
    """Note a change of an account that cannot be made, and say why."""
    audit(f"{event}_refused", request, claims.account)
    return Problem(400, str(error), code="UPDATE_FAILED")


def throttled(event: str, request: Request, account: str, error: TooMany) -> Problem:
    """Note somebody who has to wait, and tell how long."""
    audit(f"{event}_throttled", request, account)
    return Problem(429, str(error), headers={"Retry-After": str(ceil(error.wait))})
