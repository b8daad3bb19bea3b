"""Logins at providers, put together. It changes when a part is added."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import FastAPI

from jac_converge.app_runtime.auth.accounts import Accounts
from jac_converge.app_runtime.auth.sessions import Sessions
from jac_converge.app_runtime.door import Door
from jac_converge.app_runtime.identity import Identity
from jac_converge.app_runtime.once import Once
from jac_converge.app_runtime.sso.fetch import Fetcher
from jac_converge.app_runtime.sso.linking import Entrance
from jac_converge.app_runtime.sso.logins import Logins
from jac_converge.app_runtime.sso.pickup import Pickup
from jac_converge.app_runtime.sso.routes import SsoRoutes
from jac_converge.app_runtime.sso.seal import Seal
from jac_converge.app_runtime.sso.site import Site
from jac_converge.app_runtime.stores import DocumentStore
from jac_converge.config.model import Settings

__all__ = ["Who", "add_sso"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """The parts of the app that know who somebody is."""

    identity: Identity
    accounts: Accounts
    sessions: Sessions
    door: Door
    store: DocumentStore
    """Of all of them."""


def add_sso(api: FastAPI, settings: Settings, secrets: Sequence[str], who: Who) -> Logins:
    """Add the routes of logins at providers.

    Args:
        api: gets them.
        settings: with providers, each on or off.
        secrets: of the tokens; the first is in use.
        who: knows who somebody is.

    Returns:
        The logins, which are to be closed at the end.
    """
    previous = (secret.get_secret_value() for secret in settings.jwt.previous_secrets)
    secrets = (*secrets, *previous)
    once, server = Once(who.store), settings.server
    logins = Logins(settings.sso, Fetcher(), Seal(secrets, purpose="sso login"), once)
    pickup = Pickup(Seal(secrets, purpose="sso pickup"), once)
    entrance = Entrance(who.store, who.accounts, who.sessions)
    site = Site(server.public_url, server.return_urls)
    SsoRoutes(who.identity, logins, entrance, pickup, site=site, door=who.door).install(api)
    return logins
