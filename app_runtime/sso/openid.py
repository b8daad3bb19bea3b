"""A login at an OpenID provider: by a code, with PKCE, state and nonce, and its issuer compared.

It changes with OpenID Connect.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from jac_converge.app_runtime.sso.attempt import Attempt
from jac_converge.app_runtime.sso.client import Client, told_error
from jac_converge.app_runtime.sso.discovery import Discovery
from jac_converge.app_runtime.sso.errors import ProviderDown, Refused, mixed_up
from jac_converge.app_runtime.sso.fetch import Fetcher
from jac_converge.app_runtime.sso.id_token import Expected, UnknownKey, claims_of
from jac_converge.app_runtime.sso.person import Person
from jac_converge.app_runtime.sso.presets import preset_of
from jac_converge.config.sso import SsoSettings

__all__ = ["OpenIdLogin"]

BASIC = "client_secret_basic"  # what a provider that tells nothing takes


class OpenIdLogin:
    """Logins at one OpenID provider."""

    def __init__(self, name: str, settings: SsoSettings, fetcher: Fetcher) -> None:
        """Describe it; nobody is asked before somebody logs in.

        Args:
            name: of the provider.
            settings: its table, with a client_id.
            fetcher: asks.
        """
        self._preset = preset_of(settings)
        self._scopes = settings.scopes or self._preset.scopes
        self._client = Client(name, settings, fetcher, audience=self._preset.issuer)
        self._discovery = Discovery(fetcher, self._preset.issuer, exact=self._preset.exact)
        self._fetcher = fetcher
        self._name = name

    async def authorization_url(self, attempt: Attempt) -> str:
        """Return where to send a browser.

        Raises:
            ProviderDown: we do not know.
        """
        metadata = await self._discovery.metadata()
        more = {"scope": " ".join(self._scopes), "nonce": attempt.nonce}
        if self._preset.form_post:
            more["response_mode"] = "form_post"
        endpoint = metadata["authorization_endpoint"]
        return self._client.authorization_url(endpoint, attempt, **more)

    async def person(self, attempt: Attempt, params: Mapping[str, str]) -> Person:
        """Return who has logged in.

        Args:
            attempt: of this browser.
            params: what it brought back.

        Raises:
            Refused: nobody.
            ProviderDown: we cannot know now.
        """
        metadata = await self._discovery.metadata()
        self._check_issuer(metadata, params.get("iss"))
        told_error(params, self._name)
        tokens = await self._client.tokens(
            metadata["token_endpoint"],
            attempt,
            params.get("code"),
            methods=_strings(metadata.get("token_endpoint_auth_methods_supported")) or [BASIC],
        )
        claims = await self._claims(tokens, attempt, metadata)
        subject = self._preset.subject(claims, metadata["issuer"])
        claims = await self._with_email(claims, tokens, metadata)
        email = claims.get("email")
        verified = isinstance(email, str) and self._preset.is_verified(claims)
        return Person(provider=self._name, subject=subject, email=email if verified else None)

    def _check_issuer(self, metadata: Mapping[str, Any], told: str | None) -> None:
        """Compare who sent the browser back with whom we sent it to (RFC 9207).

        Raises:
            Refused: it is somebody else.
        """
        always = metadata.get("authorization_response_iss_parameter_supported") is True
        if told is None and not always:
            return
        if told != metadata["issuer"]:
            raise mixed_up()

    async def _claims(
        self, tokens: Mapping[str, Any], attempt: Attempt, metadata: Mapping[str, Any]
    ) -> dict[str, Any]:
        expected = Expected(
            issuer=metadata["issuer"] if self._preset.exact else None,
            client_id=self._client.id,
            nonce=attempt.nonce,
            access_token=tokens["access_token"],
            algorithms=_strings(metadata.get("id_token_signing_alg_values_supported")) or ["RS256"],
        )
        token = tokens.get("id_token", "")
        try:
            return claims_of(token, await self._discovery.keys(), expected)
        except UnknownKey:
            pass  # it may be new
        try:
            return claims_of(token, await self._discovery.newer_keys(), expected)
        except UnknownKey as error:
            text = "the ID token is signed by none of the provider's keys; log in again"
            raise Refused(text, code="SSO_TOKEN_INVALID", status=401) from error

    async def _with_email(
        self, claims: dict[str, Any], tokens: Mapping[str, Any], metadata: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Add what only the provider's user info has: some put no address into the ID token."""
        url = metadata.get("userinfo_endpoint")
        if "email" in claims or "email" not in self._scopes or url is None:
            return claims
        answer = await self._fetcher.get(url, token=tokens["access_token"])
        info = answer.body
        if answer.status != HTTPStatus.OK or not isinstance(info, dict):
            raise ProviderDown(f"the user info of {self._name} answered {answer.status}")
        if info.get("sub") != claims["sub"]:
            text = "the user info of the provider is of somebody else; log in again"
            raise Refused(text, code="SSO_TOKEN_INVALID", status=401)
        return {**info, **claims}


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
