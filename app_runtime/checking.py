"""`jac serve --check`: would this app be served, as far as that can be known without its secrets?

An image is built where no variable of its jac.toml is set and no database answers. So the whole
application is put together on an empty shelf that goes again, with secrets that nobody uses; only
the bundle of its pages stays, where there is what builds one. It changes with what
`create_app` needs.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from secrets import token_urlsafe

from pydantic import SecretStr

from jac_converge.app_runtime import webhooks
from jac_converge.app_runtime.app import create_app
from jac_converge.app_runtime.bridge.program import Program
from jac_converge.app_runtime.stores.shelf import Shelf
from jac_converge.app_runtime.tiers import Memory
from jac_converge.config.load import App
from jac_converge.config.model import Settings
from jac_converge.config.webhooks import WebhookSettings

__all__ = ["check"]


def check(app: App, program: Program) -> None:
    """Look for what would keep an app from being served.

    Raises:
        BadDeclaration: paths, schedules, roles, or who broadcasts how.
        StoreError: the URL of a store makes no sense.
    """
    database = app.settings.database
    if (uri := database.mongodb_uri) is not None:
        from jac_converge.app_runtime.stores.mongo import check_uri  # noqa: PLC0415 - 60 ms

        check_uri(uri.get_secret_value())
    if (url := database.redis_url) is not None:
        from jac_converge.app_runtime.stores.redis import Redis  # noqa: PLC0415 - as above

        Redis(url.get_secret_value(), ttl=1).close()
    with tempfile.TemporaryDirectory(prefix="jac-check-") as folder:
        shelf = Shelf(Path(folder) / "shelf.db")
        try:
            create_app(
                _without_secrets(app, program), program, Memory(store=shelf, tiers=(), tallies=())
            )
        finally:
            shelf.close()


def _without_secrets(app: App, program: Program) -> App:
    made = SecretStr(token_urlsafe(48))
    kept = app.settings
    settings = kept.model_copy(
        update={
            "jwt": Settings().jwt.model_copy(update={"secret": made}),
            "mail": Settings().mail,
            "sso": {},
            "webhooks": {
                spec.name: WebhookSettings(secret=made) for spec in webhooks.webhooks(program)
            },
        }
    )
    return replace(app, settings=settings)
