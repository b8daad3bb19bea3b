"""Bodies of the routes for accounts, as jaclang's client runtime and jac-scale send them.

The older flat bodies are read too. They change with that contract.
"""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

__all__ = ["Login", "NewName", "NewPassword", "Refresh", "Registration"]


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


class NewName(_Body):
    """Another name for one's own account."""

    current_username: str
    new_username: str


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
