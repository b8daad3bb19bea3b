"""App + credentials -> every object that should be in the cluster. Pure.

The one description of the desired state: apply, `--plan`, prune and destroy all start from it. The
same input gives the same objects, and each value is spelled as the API server stores it, so that a
second apply changes nothing. A default of the server's is left out unless it is meant. It changes
when an app needs one more object.
"""

from dataclasses import replace
from typing import Final

from jac_converge.config.load import App
from jac_converge.reconciler.build.app import app_objects, namespace
from jac_converge.reconciler.build.autoscaling import scaling_objects
from jac_converge.reconciler.build.credentials import Credentials, credentials_secret
from jac_converge.reconciler.build.exposure import exposure_objects
from jac_converge.reconciler.build.extra import extra_objects
from jac_converge.reconciler.build.mongo import mongo_objects, runs_mongodb
from jac_converge.reconciler.build.policies import policy_objects
from jac_converge.reconciler.build.redis import redis_objects, runs_redis
from jac_converge.reconciler.objects import Object, ObjectKey, key_of
from jac_converge.reconciler.ownership import order_of

__all__ = ["PLACEHOLDERS", "build", "check", "keys_of_desired"]

PLACEHOLDERS: Final = Credentials(jwt_secret="-", redis_password="-", mongodb_password="-")  # noqa: S106
"""For what depends on no secret."""


def build(app: App, credentials: Credentials) -> tuple[Object, ...]:
    """Describe everything that an app needs in its namespace.

    Args:
        app: its settings.
        credentials: the generated secrets, from `credentials_from`.

    Returns:
        The objects, in the order in which they are to be applied.

    Raises:
        ConfigError: no image is given, the shelf has no folder of its own, or a manifest of the
            user's own cannot be one of this app.
    """
    ours = _own(app, credentials)
    return tuple(sorted((*ours, *extra_objects(app, ours)), key=order_of))


def keys_of_desired(app: App) -> tuple[ObjectKey, ...]:
    """Name everything that `build` describes but the user's own manifests.

    Also where it would refuse the app: no name depends on what is wrong for its pods.
    """
    settings = app.settings
    kubernetes = settings.kubernetes.model_copy(update={"image": settings.kubernetes.image or "-"})
    database = settings.database.model_copy(update={"shelf_db_path": "-/shelf.db"})
    unrefused = settings.model_copy(update={"kubernetes": kubernetes, "database": database})
    return tuple(map(key_of, _own(replace(app, settings=unrefused), PLACEHOLDERS)))


def check(app: App) -> None:
    """Find what `build` would refuse, without any secret.

    Raises:
        ConfigError: as `build` does; but an image may be missing.
    """
    if app.settings.kubernetes.image is not None:
        build(app, PLACEHOLDERS)


def _own(app: App, credentials: Credentials) -> tuple[Object, ...]:
    return (
        namespace(app),
        credentials_secret(app, credentials),
        *app_objects(app, credentials),
        *exposure_objects(app),
        *(redis_objects(app, credentials) if runs_redis(app) else ()),
        *(mongo_objects(app) if runs_mongodb(app) else ()),
        *policy_objects(app),
        *scaling_objects(app),
    )
