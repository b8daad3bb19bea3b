"""A login at GitHub, which is OAuth 2 and no OpenID provider: its API tells who it was.

It changes with GitHub's API.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from jac_converge.app_runtime.sso.attempt import Attempt
from jac_converge.app_runtime.sso.client import Client, told_error
from jac_converge.app_runtime.sso.errors import ProviderDown, mixed_up
from jac_converge.app_runtime.sso.fetch import Fetcher
from jac_converge.app_runtime.sso.person import Person
from jac_converge.config.sso import SsoSettings

__all__ = ["GithubLogin"]

SITE, API = "https://github.com", "https://api.github.com"
SCOPES = ("read:user", "user:email")


class GithubLogin:
    """Logins at GitHub, or at a GitHub Enterprise."""

    def __init__(self, name: str, settings: SsoSettings, fetcher: Fetcher) -> None:
        """Describe it.

        Args:
            name: of the provider.
            settings: its table, with a client_id.
            fetcher: asks.
        """
        site = (settings.issuer or SITE).rstrip("/")
        self._oauth = f"{site}/login/oauth"
        self._api = API if settings.issuer is None else f"{site}/api/v3"
        self._scopes = settings.scopes or SCOPES
        self._client = Client(name, settings, fetcher, audience=site)
        self._fetcher = fetcher
        self._name = name

    async def authorization_url(self, attempt: Attempt) -> str:
        """Return where to send a browser."""
        scope = " ".join(self._scopes)
        return self._client.authorization_url(f"{self._oauth}/authorize", attempt, scope=scope)

    async def person(self, attempt: Attempt, params: Mapping[str, str]) -> Person:
        """Return who has logged in.

        Args:
            attempt: of this browser.
            params: what it brought back.

        Raises:
            Refused: nobody.
            ProviderDown: we cannot know now.
        """
        if params.get("iss", self._oauth) != self._oauth:
            raise mixed_up()
        told_error(params, self._name)
        tokens = await self._client.tokens(
            f"{self._oauth}/access_token",
            attempt,
            params.get("code"),
            methods=["client_secret_post"],
        )
        token = tokens["access_token"]
        user = await self._read("user", token)
        # A number, which stays with the account; its login may go to somebody else.
        if not isinstance(user, dict) or type(user.get("id")) is not int:
            raise ProviderDown(f"{self._name} told no user")
        emails = await self._read("user/emails", token) if SCOPES[1] in self._scopes else ()
        return Person(provider=self._name, subject=str(user["id"]), email=_verified(emails))

    async def _read(self, path: str, token: str) -> Any:
        answer = await self._fetcher.get(f"{self._api}/{path}", token=token)
        if answer.status != HTTPStatus.OK:
            raise ProviderDown(f"{self._name} answered {answer.status} for its {path}")
        return answer.body


def _verified(emails: Any) -> str | None:
    """Return the primary address, if it is verified."""
    for one in emails if isinstance(emails, list) else ():
        if isinstance(one, dict) and one.get("primary") is True and one.get("verified") is True:
            email = one.get("email")
            return email if isinstance(email, str) else None
    return None
