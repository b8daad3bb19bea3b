"""What one app signs with, by its settings: tokens, cookies, links and mails.

It changes with the settings of keys.
"""

from jac_converge.app_runtime.auth.keys import keyring, minted_secrets
from jac_converge.app_runtime.auth.tokens import Tokens
from jac_converge.app_runtime.session_cookies import SessionCookies
from jac_converge.app_runtime.tiers import shelf_file
from jac_converge.config.load import App

__all__ = ["accepted_secrets", "cookies_of", "own_secrets", "tokens_of"]


def own_secrets(app: App) -> tuple[str, ...]:
    """Return what is signed with, the first of them: given, or minted once and kept."""
    given = app.settings.jwt.secret
    if given is not None:
        return (given.get_secret_value(),)
    return minted_secrets(shelf_file(app).with_name("jwt-secret"))


def _previous(app: App) -> list[str]:
    """Return what counts on for a while, so that a new secret logs nobody out."""
    return [secret.get_secret_value() for secret in app.settings.jwt.previous_secrets]


def accepted_secrets(app: App) -> tuple[str, ...]:
    """Return all that count: those, and the ones of before."""
    return (*own_secrets(app), *_previous(app))


def tokens_of(app: App) -> Tokens:
    """Make what signs and checks tokens.

    Raises:
        BadKey: the private key is none of its algorithm.
    """
    jwt = app.settings.jwt
    private = jwt.private_key.get_secret_value() if jwt.private_key is not None else None
    keys = keyring(
        algorithm=jwt.algorithm,
        secrets_=own_secrets(app),
        private_key=private,
        previous=_previous(app),
    )
    return Tokens(
        keys,
        issuer=jwt.issuer,
        audience=jwt.audience or app.name,
        lifetime=jwt.access_token_seconds,
        leeway=jwt.leeway_seconds,
    )


def cookies_of(app: App) -> SessionCookies | None:
    """Make what keeps sessions in cookies; None where that is switched off."""
    server, jwt = app.settings.server, app.settings.jwt
    if not server.session_cookies or server.public_url is None:
        return None
    return SessionCookies(
        server.public_url,
        accepted_secrets(app),
        access=jwt.access_token_seconds,
        refresh=jwt.refresh_token_seconds,
    )
