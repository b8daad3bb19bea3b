"""The Redis we run: a cache only, on which nothing depends but speed. Pure.

No volume and no snapshots: a cache that comes back empty is right, one that comes back stale is
not. It changes when the cache is to be run another way.
"""

from typing import Any
from urllib.parse import quote

from jac_converge.config.load import App
from jac_converge.config.quantity import memory_bytes
from jac_converge.reconciler.build.credentials import (
    REDIS_CONF,
    REDIS_PASSWORD,
    Credentials,
    secret_name,
)
from jac_converge.reconciler.build.manifest import manifest, name_of, selector_labels
from jac_converge.reconciler.build.network import service
from jac_converge.reconciler.build.pods import (
    consumed,
    container,
    pod_template,
    resources,
    scratch,
)
from jac_converge.reconciler.objects import Object

__all__ = ["redis_objects", "redis_url", "runs_redis"]

_PORT = 6379
_USER = 999
"""`redis` in the official image."""

_CONF_FOLDER = "/etc/redis"


def runs_redis(app: App) -> bool:
    """Whether we run a Redis: not when the app is given one."""
    return app.settings.database.redis_url is None and app.settings.kubernetes.redis.enabled


def redis_url(app: App, credentials: Credentials) -> str | None:
    """What the app connects to, with the password; None without a cache."""
    given = app.settings.database.redis_url
    if given is not None:
        return given.get_secret_value()
    if not runs_redis(app):
        return None
    password = quote(credentials.redis_password, safe="")
    # No user name: `requirepass` is the password of the user `default`.
    return f"redis://:{password}@{name_of(app, 'redis')}:{_PORT}/0"


def redis_objects(app: App, credentials: Credentials) -> tuple[Object, ...]:
    """The StatefulSet and its Service."""
    template = pod_template(
        app,
        "redis",
        [_container(app)],
        user={"runAsUser": _USER, "runAsGroup": _USER},
        volumes=[
            scratch("data", "64Mi"),
            {
                "name": "conf",
                "secret": {
                    "secretName": secret_name(app.name),
                    "items": [{"key": REDIS_CONF, "path": REDIS_CONF}],
                },
            },
        ],
        annotations=consumed(credentials, {REDIS_PASSWORD: credentials.redis_password}),
        grace_seconds=10,
    )
    spec = {
        "replicas": 1,
        "serviceName": name_of(app, "redis"),
        "selector": {"matchLabels": selector_labels(app, "redis")},
        "template": template,
    }
    return (
        service(app, "redis", port_name="redis", port=_PORT),
        manifest("StatefulSet", app, "redis", spec=spec),
    )


def _container(app: App) -> dict[str, Any]:
    redis = app.settings.kubernetes.redis
    # An error reply, such as NOAUTH, is a failure too: `-e`.
    ping = {"exec": {"command": ["redis-cli", "-e", "ping"]}, "timeoutSeconds": 3}
    return container(
        "redis",
        image=redis.image,
        port_name="redis",
        port=_PORT,
        mounts={"/data": "data", _CONF_FOLDER: "conf"},
        # Past the image's entry point, which loads modules that no cache needs.
        # The password stands in the file: arguments are for all to read.
        command=[
            "redis-server",
            f"{_CONF_FOLDER}/{REDIS_CONF}",
            *("--save", "", "--appendonly", "no"),
            *("--maxmemory", str(memory_bytes(redis.memory) * 3 // 4)),
            *("--maxmemory-policy", "allkeys-lfu"),
        ],
        env=[
            {
                "name": "REDISCLI_AUTH",
                "valueFrom": {
                    "secretKeyRef": {"name": secret_name(app.name), "key": REDIS_PASSWORD}
                },
            }
        ],
        readinessProbe={**ping, "periodSeconds": 5},
        livenessProbe={**ping, "periodSeconds": 10},
        resources=resources(
            requests={"cpu": redis.cpu, "memory": redis.memory}, limits={"memory": redis.memory}
        ),
    )
