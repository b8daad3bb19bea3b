"""Bodies of the routes for accounts, as jaclang's client runtime and jac-scale send them.

The older flat bodies are read too. They change with that contract.
"""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "Leaving",
    "Login",
    "Logout",
    "NewIdentity",
    "NewMe",
    "NewName",
    "NewPassword",
    "OldIdentity",
    "Refresh",
    "Registration",
    "Renewal",
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Named(_Body):
    """How somebody is called."""

    type: Literal["username", "email"] = "username"
    value: str


class Secret(_Body):
    """How somebody proves it."""

    type: Literal["password"] = "password"
    password: str = Field(validation_alias=AliasChoices("password", "value"))


class Registration(_Body):
    """A new account: `identities` and `credential`, or flat `username` and `password`."""

    identities: list[Named] = Field(min_length=1, max_length=2)
    credential: Secret
    profile: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, body: Any) -> Any:
        return _unflatten(body, lambda name: {"identities": [name]})


class Login(_Body):
    """A login: `identity` and `credential`, or flat `username` and `password`."""

    identity: Named
    credential: Secret

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, body: Any) -> Any:
        return _unflatten(body, lambda name: {"identity": name})


class Refresh(_Body):
    """A refresh token, which is used up by this."""

    refresh_token: str = Field(validation_alias=AliasChoices("refresh_token", "token"))


class Renewal(_Body):
    """A refresh token, or as jac-scale's clients do an access token, with or without `Bearer`."""

    token: str = Field(validation_alias=AliasChoices("token", "refresh_token"))


class Logout(_Body):
    """The refresh token of the session that is to end, where the access token has expired."""

    refresh_token: str | None = None


class NewName(_Body):
    """Another name for one's own account."""

    current_username: str
    new_username: str


class NewMe(_Body):
    """What is to be different about oneself; what is not given stays."""

    username: str | None = None
    email: str | None = None
    profile: dict[str, Any] | None = None
    """Fields to change, as jac-scale's clients send them."""
    current_password: str | None = None
    """Needed for another e-mail address, where the account has a password."""


class OwnName(_Body):
    """One of one's own names."""

    type: Literal["username", "email", "sso"] = "username"
    value: str
    provider: str | None = None
    """Of SSO."""


class NewIdentity(_Body):
    """One more name, or another one of its type."""

    identity: Named
    current_password: str | None = None


class OldIdentity(_Body):
    """A name that is to go."""

    identity: OwnName
    current_password: str | None = None


class Leaving(_Body):
    """The password, for the account to go with everything in it."""

    current_password: str | None = Field(
        default=None, validation_alias=AliasChoices("current_password", "password")
    )


class NewPassword(_Body):
    """Another password for one's own account."""

    username: str | None = None
    """One's own, where it is given: jaclang's client runtime does."""
    current_password: str
    new_password: str


def _unflatten(body: Any, shape: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    flat = isinstance(body, dict) and {"username", "password"} <= body.keys()
    if not flat or "credential" in body:
        return body
    named = shape({"type": "username", "value": body["username"]})
    return named | {"credential": {"type": "password", "password": body["password"]}}
