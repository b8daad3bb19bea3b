"""The app as a client of a provider: its id, its secret, and a code exchanged for tokens.

It changes with how clients prove who they are.
"""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from time import time
from typing import Any
from urllib.parse import quote_plus

from jac_converge.app_runtime.sso.attempt import Attempt
from jac_converge.app_runtime.sso.errors import ProviderDown, Refused
from jac_converge.app_runtime.sso.fetch import Fetcher
from jac_converge.config.sso import SsoSettings

__all__ = ["Client", "told_error"]

SECRET_LIFETIME = 300  # s of a client secret that is made for one request
LONGEST_CODE = 4096  # characters
FORM = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
NOT_US = ("invalid_client", "unauthorized_client")


class Client:
    """A client of one provider."""

    def __init__(
        self,
        name: str,
        settings: SsoSettings,
        fetcher: Fetcher,
        *,
        audience: str,
        clock: Callable[[], float] = time,
    ) -> None:
        """Describe it.

        Args:
            name: of the provider, for messages.
            settings: with a client_id.
            fetcher: asks.
            audience: of a client secret that is made: who has to believe it.
            clock: s since the epoch.
        """
        assert settings.client_id is not None  # noqa: S101 - else it is off
        self.name = name
        self.id = settings.client_id
        self._settings = settings
        self._fetcher = fetcher
        self._audience = audience
        self._clock = clock

    def authorization_url(self, endpoint: str, attempt: Attempt, **more: str) -> str:
        """Return where to send a browser.

        Args:
            endpoint: of the provider.
            attempt: that begins.
            more: further parameters.
        """
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # noqa: PLC0415 - 0.1 s
        from authlib.oauth2.rfc7636 import create_s256_code_challenge  # noqa: PLC0415

        url: str = prepare_grant_uri(
            endpoint,
            client_id=self.id,
            response_type="code",
            redirect_uri=attempt.redirect_uri,
            state=attempt.state,
            code_challenge=create_s256_code_challenge(attempt.verifier),
            code_challenge_method="S256",
            **more,
        )
        return url

    async def tokens(
        self, endpoint: str, attempt: Attempt, code: str | None, *, methods: list[str]
    ) -> dict[str, Any]:
        """Exchange a code.

        Args:
            endpoint: of the provider.
            attempt: that the code ends.
            code: as the browser brought it.
            methods: by which clients may prove who they are.

        Raises:
            Refused: the provider does not take the code.
            ProviderDown: it does not answer, or does not know us.
        """
        from authlib.oauth2.rfc6749.parameters import prepare_token_request  # noqa: PLC0415

        if not code or len(code) > LONGEST_CODE:
            raise Refused(f"{self.name} sent no code", code="SSO_FAILED")
        body = prepare_token_request(
            "authorization_code",
            code=code,
            redirect_uri=attempt.redirect_uri,
            code_verifier=attempt.verifier,
        )
        headers, body = self._proven(body, methods)
        answer = await self._fetcher.post(endpoint, headers=headers, body=body)
        if not isinstance(answer.body, dict):
            raise ProviderDown(f"{self.name} answered no object")
        error = answer.body.get("error")
        if error in NOT_US:
            raise ProviderDown(f"{self.name} does not know this client; check id and secret")
        if answer.status != HTTPStatus.OK or error is not None:
            raise Refused(f"{self.name} does not take the code; log in again", code="SSO_FAILED")
        if not isinstance(answer.body.get("access_token"), str):
            raise ProviderDown(f"{self.name} gave no access token")
        return answer.body

    def _proven(self, body: str, methods: list[str]) -> tuple[dict[str, str], str]:
        """Prove who we are in a request: in its form, where that is allowed."""
        from authlib.oauth2.auth import ClientAuth  # noqa: PLC0415

        id_, secret = self.id, self._secret()
        if secret is None:
            method = "none"
        elif "client_secret_post" in methods:
            method = "client_secret_post"
        else:
            # RFC 6749, section 2.3.1: both are encoded before they are joined by a colon.
            method, id_, secret = "client_secret_basic", quote_plus(id_), quote_plus(secret)
        prepared: tuple[str, dict[str, str], str] = ClientAuth(id_, secret, method).prepare(
            "POST", "", dict(FORM), body
        )
        _, headers, body = prepared
        return headers, body

    def _secret(self) -> str | None:
        settings = self._settings
        if settings.private_key is None:
            given = settings.client_secret
            return None if given is None else given.get_secret_value()
        import jwt  # noqa: PLC0415

        now = int(self._clock())
        payload = {
            "iss": settings.team_id,
            "sub": self.id,
            "aud": self._audience,
            "iat": now,
            "exp": now + SECRET_LIFETIME,
        }
        key = settings.private_key.get_secret_value()
        headers = {"kid": settings.key_id}
        try:
            return jwt.encode(payload, key, algorithm="ES256", headers=headers)
        except (ValueError, TypeError, jwt.PyJWTError) as error:
            raise ProviderDown(f"private_key of {self.name} is no key in PEM for ES256") from error


def told_error(params: Mapping[str, str], name: str) -> None:
    """Raise what a provider sent a browser back with instead of a code.

    Raises:
        Refused: it did.
    """
    error = params.get("error")
    if error == "access_denied":
        raise Refused(f"the login at {name} was denied", code="SSO_DENIED", status=403)
    if error is not None:
        shown = json.dumps(error[:40])
        raise Refused(f"{name} refused the login ({shown})", code="SSO_FAILED")
