"""Logins at the providers of an app: begun for a browser, ended for the same one.

It changes with what a login at a provider has to go through.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from jac_converge.app_runtime.auth.tokens import Claims
from jac_converge.app_runtime.once import Once
from jac_converge.app_runtime.sso.attempt import Attempt
from jac_converge.app_runtime.sso.errors import Refused, mixed_up
from jac_converge.app_runtime.sso.fetch import Fetcher
from jac_converge.app_runtime.sso.person import Person
from jac_converge.app_runtime.sso.seal import Seal
from jac_converge.config.sso import SsoSettings

__all__ = ["LIFETIME", "STATE", "Begun", "Logins", "cookie_of", "speaker"]

logger = logging.getLogger(__name__)

STATE = "sso-"
"""What the names of cookies begin with that logins under way are kept in."""
LIFETIME = 600  # s to log in at the provider
LONGEST = 1024  # characters of a parameter


class _Provider(Protocol):
    async def authorization_url(self, attempt: Attempt) -> str: ...

    async def person(self, attempt: Attempt, params: Mapping[str, str]) -> Person: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A login that a browser is to go on with."""

    url: str
    """At the provider."""
    cookie: str
    """Name of what the browser has to keep."""
    note: str
    """What it has to keep."""


class Logins:
    """The providers that are on, and the logins at them."""

    def __init__(
        self, settings: Mapping[str, SsoSettings], fetcher: Fetcher, seal: Seal, once: Once
    ) -> None:
        self.settings = {name: one for name, one in settings.items() if one.client_id is not None}
        self._off = settings.keys() - self.settings.keys()
        self._fetcher = fetcher
        self._seal = seal
        self._once = once
        self._providers: dict[str, _Provider] = {}

    def check(self, name: str) -> None:
        """Say whether there is a provider.

        Raises:
            Refused: there is none.
        """
        if name not in self.settings:
            known = ", ".join(self.settings) or "none"
            text = f"there is no provider {name[:40]!r}; known here: {known}"
            if name in self._off:
                text = f"provider {name} is off: its client_id is not set"
            raise Refused(text, code="SSO_UNKNOWN_PROVIDER", status=404)

    async def begin(self, attempt: Attempt) -> Begun:
        """Begin a login.

        Raises:
            ProviderDown: it cannot be begun now.
        """
        url = await self._provider(attempt.provider).authorization_url(attempt)
        return Begun(url=url, cookie=_cookie(attempt.state), note=self._seal.close(attempt.note))

    def attempt(
        self, name: str, state: str | None, cookie_of: Callable[[str], str | None]
    ) -> Attempt:
        """Return the login that a browser comes back from.

        Args:
            name: of the provider whose route it was sent to.
            state: as the provider sent it.
            cookie_of: name of a cookie -> its value.

        Raises:
            Refused: this browser began none that this may be the end of.
        """
        if not state or len(state) > LONGEST or not state.isascii():
            raise _no_attempt()
        note = self._seal.open(cookie_of(_cookie(state)) or "", within=LIFETIME)
        if note is None or note["state"] != state:
            raise _no_attempt()
        try:
            attempt = Attempt(**note)
        except TypeError as error:  # of another version of ours, in the middle of a roll-out
            raise _no_attempt() from error
        if attempt.provider != name:
            raise mixed_up()
        return attempt

    async def person(
        self,
        attempt: Attempt,
        params: Mapping[str, str],
        in_thread: Callable[..., Any],
    ) -> Person:
        """End a login.

        Args:
            attempt: of this browser.
            params: what it brought back.
            in_thread: runs a function that waits for the store.

        Raises:
            SsoError: nobody has logged in.
        """
        if await in_thread(self._once.used, attempt.state):
            raise _no_attempt()
        person = await self._provider(attempt.provider).person(attempt, params)
        # After that, so that only who has logged in at a provider makes us write something.
        if not await in_thread(lambda: self._once.use(attempt.state, lasting=LIFETIME)):
            raise _no_attempt()
        return person

    async def close(self) -> None:
        """Let go of connections."""
        await self._fetcher.close()

    def _provider(self, name: str) -> _Provider:
        if name not in self._providers:
            self._providers[name] = _made(name, self.settings[name], self._fetcher)
        return self._providers[name]


def speaker(attempt: Attempt) -> Claims | None:
    """Return what the token said that was sent when a link began."""
    return None if attempt.speaker is None else Claims(**attempt.speaker)


def cookie_of(attempt: Attempt) -> str:
    """Name the cookie of a login: two tabs may log in at the same time."""
    return _cookie(attempt.state)


def _cookie(state: str) -> str:
    return f"{STATE}{''.join(char for char in state[:12] if char.isalnum())}"


def _made(name: str, settings: SsoSettings, fetcher: Fetcher) -> _Provider:
    if settings.preset == "github":
        from jac_converge.app_runtime.sso.github import GithubLogin  # noqa: PLC0415

        return GithubLogin(name, settings, fetcher)
    from jac_converge.app_runtime.sso.openid import OpenIdLogin  # noqa: PLC0415

    return OpenIdLogin(name, settings, fetcher)


def _no_attempt() -> Refused:
    text = "this login was not begun by this browser, took too long, or was used; log in again"
    return Refused(text, code="SSO_STATE_INVALID")
