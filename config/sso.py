"""The typed `[converge.sso.NAME]` tables: providers at which users may log in.

It changes when a provider needs a key that none had before.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, SecretStr

from jac_converge.config.spelling import Given, ProviderName, Url
from jac_converge.config.table import TABLE

__all__ = ["Providers", "SsoSettings"]


class SsoSettings(BaseModel):
    """`[converge.sso.NAME]`: a provider at which users may log in, at `/sso/NAME/login`.

    Register `PUBLIC_URL/sso/NAME/callback` there as the redirect URI of the app.
    """

    model_config = TABLE

    preset: Literal["openid", "google", "github", "apple", "microsoft"] = "openid"
    """What is known about it already. A NAME that is one of these is its own preset; openid is any
    OpenID provider, by its `issuer`."""

    issuer: Given[Url] = None
    """URL of an OpenID provider, the `iss` of its tokens. Of github: your GitHub Enterprise."""

    client_id: Given[str] = None
    """Who the app is there. Without it, the provider is off."""

    client_secret: Given[SecretStr] = None
    """How the app proves it; write `"${NAME}"`. None: a public client of an OpenID provider."""

    scopes: tuple[str, ...] = ()
    """What is asked for. None given: what the preset needs for an id and an e-mail address."""

    tenant: Given[str] = None
    """microsoft: id of the directory whose users may come; or `organizations`, `consumers`, or
    `common` for both."""

    team_id: Given[str] = None
    """apple: with `key_id` and `private_key`, makes the client secret, which lives for minutes."""

    key_id: Given[str] = None
    """apple: id of `private_key`."""

    private_key: Given[SecretStr] = None
    """apple: the key of Sign in with Apple, in PEM; write `"${NAME}"`."""

    registration: Literal["asked", "always", "never"] = "asked"
    """Who gets an account that has none yet: asked: who comes by `/sso/NAME/register`; always: by
    `/sso/NAME/login` too; never: nobody."""

    link_by_email: bool = True
    """Let somebody into the account that has the same e-mail address, if both the provider and we
    have verified it. Off: accounts are linked by their signed-in users only."""


def _named_presets(given: Any) -> Any:
    if not isinstance(given, Mapping):
        return given
    presets = SsoSettings.model_fields["preset"].annotation.__args__  # type: ignore[union-attr]
    return {
        name: {"preset": name} | table if name in presets and isinstance(table, dict) else table
        for name, table in given.items()
    }


Providers = Annotated[dict[ProviderName, SsoSettings], BeforeValidator(_named_presets)]
