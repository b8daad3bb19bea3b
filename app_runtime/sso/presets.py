"""What is known about providers before they say anything. It changes when one of them does."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jac_converge.app_runtime.sso.errors import Refused
from jac_converge.config.sso import SsoSettings

__all__ = ["Preset", "preset_of"]

MICROSOFT = "https://login.microsoftonline.com/{tenant}/v2.0"
_DIRECTORY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_GMAIL = "@gmail.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """An OpenID provider."""

    issuer: str
    scopes: tuple[str, ...] = ("openid", "email")
    exact: bool = True
    """It calls itself what `issuer` is."""
    form_post: bool = False
    """It sends browsers back by a form."""
    subject: Callable[[Mapping[str, Any], str], str] = lambda claims, _: str(claims["sub"])
    """Claims, and the issuer that the provider tells -> whom they are of."""
    is_verified: Callable[[Mapping[str, Any]], bool] = lambda claims: (
        claims.get("email_verified") is True
    )
    """Whether it vouches for the e-mail address."""


def preset_of(settings: SsoSettings) -> Preset:
    """Describe the OpenID provider of a table of jac.toml."""
    match settings.preset:
        case "google":
            return Preset(
                issuer=settings.issuer or "https://accounts.google.com", is_verified=_google
            )
        case "apple":
            return Preset(
                issuer=settings.issuer or "https://appleid.apple.com",
                form_post=True,  # Apple insists, where an e-mail address is asked for
                is_verified=lambda claims: claims.get("email_verified") in (True, "true"),
            )
        case "microsoft":
            return Preset(
                issuer=settings.issuer or MICROSOFT.format(tenant=settings.tenant),
                exact=False,
                subject=_microsoft,
                is_verified=lambda claims: claims.get("xms_edov") in (True, 1, "1", "true"),
            )
    assert settings.issuer is not None  # noqa: S101 - a rule of jac.toml
    return Preset(issuer=settings.issuer)


def _google(claims: Mapping[str, Any]) -> bool:
    """Google speaks for its own addresses and those of its customers' domains.

    Source: developers.google.com/identity/openid-connect: any other one may have a new owner since.
    """
    own = "hd" in claims or str(claims.get("email", "")).lower().endswith(_GMAIL)
    return own and claims.get("email_verified") is True


def _microsoft(claims: Mapping[str, Any], issuer: str) -> str:
    """Compare the issuer, which has the directory in it, and name the subject with it.

    A tenant such as `common` has the issuer of the user's directory in each token, and a template
    for it in its metadata. `sub` is another one in each directory, and `email` is what its
    administrator likes, so `xms_edov` alone tells that it was verified.
    """
    directory = claims.get("tid")
    if not isinstance(directory, str) or not _DIRECTORY.fullmatch(directory):
        raise Refused("the token names no directory", code="SSO_TOKEN_INVALID", status=401)
    if claims["iss"] != issuer.replace("{tenantid}", directory):
        raise Refused("the token is of another issuer", code="SSO_TOKEN_INVALID", status=401)
    return f"{directory}.{claims['sub']}"
