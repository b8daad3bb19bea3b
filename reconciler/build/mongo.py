"""The MongoDB we run: one member, on a volume that outlives everything but an explicit wish. Pure.

It changes when the store is to be run another way. Nothing of ours relies on transactions, which
would need a replica set.
"""

from typing import Any
from urllib.parse import quote

from jac_converge.config.load import App
from jac_converge.config.quantity import memory_bytes
from jac_converge.reconciler.build.credentials import MONGODB_PASSWORD, Credentials, secret_name
from jac_converge.reconciler.build.manifest import manifest, name_of, selector_labels
from jac_converge.reconciler.build.network import service
from jac_converge.reconciler.build.pods import container, pod_template, resources, scratch
from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.objects import CLAIM, Object, ObjectKey, key_of
from jac_converge.reconciler.ownership import labels_of, owner_of

__all__ = [
    "data_keys",
    "holds_data",
    "mongo_objects",
    "mongodb_uri",
    "runs_mongodb",
    "unknown_password",
]

_PORT = 27017
_USER = 999
"""`mongodb` in the official image."""

_ROOT = "root"
_VOLUME = "data"
_GIB = 2**30


def runs_mongodb(app: App) -> bool:
    """Whether we run a MongoDB: not when the app is given one."""
    return app.settings.database.mongodb_uri is None and app.settings.kubernetes.mongodb.enabled


def mongodb_uri(app: App, credentials: Credentials) -> str | None:
    """What the app connects to, with the password; None when it lives on a shelf."""
    given = app.settings.database.mongodb_uri
    if given is not None:
        return given.get_secret_value()
    if not runs_mongodb(app):
        return None
    password = quote(credentials.mongodb_password, safe="")
    host = f"{name_of(app, 'mongodb')}:{_PORT}"
    return f"mongodb://{_ROOT}:{password}@{host}/{app.name}?authSource=admin"


def mongo_objects(app: App) -> tuple[Object, ...]:
    """The StatefulSet and its headless Service."""
    template = pod_template(
        app,
        "mongodb",
        [_container(app)],
        user={
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
        },
        volumes=[scratch("tmp", "64Mi"), scratch("configdb", "64Mi")],
        # None for the password: it is read at the very first start only, a roll changes nothing.
        annotations={},
        grace_seconds=60,
    )
    spec = {
        "replicas": 1,
        "serviceName": name_of(app, "mongodb"),
        "selector": {"matchLabels": selector_labels(app, "mongodb")},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "template": template,
        "volumeClaimTemplates": [_claim(app)],
    }
    return (
        service(app, "mongodb", port_name="mongodb", port=_PORT, headless=True),
        manifest("StatefulSet", app, "mongodb", spec=spec),
    )


def data_keys(app: App) -> tuple[ObjectKey, ...]:
    """What has the data, and tells so by its name alone: the volume, and its StatefulSet."""
    name = name_of(app, "mongodb")
    return ObjectKey(CLAIM, f"{_VOLUME}-{name}-0"), ObjectKey("StatefulSet", name)


def holds_data(app: App, key: ObjectKey) -> bool:
    """Whether something has data of the database: also a volume of a pod that is not wanted."""
    volume = f"{_VOLUME}-{name_of(app, 'mongodb')}-"
    return key in data_keys(app) or (key.kind == CLAIM and key.name.startswith(volume))


def unknown_password(app: App, holder: Object) -> Invalid:
    """Why no password is minted beside what has the data, and what to do."""
    if owner_of(holder, app.name) == "us":
        way_out = "put the one of before there, or give the data up with --destroy --data"
    else:
        way_out = (
            "put the one of before there (any, where the volume is empty), and add --adopt; "
            "or give the data up, and delete it by hand"
        )
    return Invalid(
        f"Secret/{secret_name(app.name)} read",
        f"{MONGODB_PASSWORD} is missing or too short, {key_of(holder)} is there, "
        "and the database on its volume knows no other",
        way_out,
    )


def _container(app: App) -> dict[str, Any]:
    mongodb = app.settings.kubernetes.mongodb
    # Not mongosh, which takes a second of CPU and 100 MiB each time. The port opens after recovery,
    # and not at all on the pod's address while the image's entry point makes the first user.
    opens = {"tcpSocket": {"port": "mongodb"}, "timeoutSeconds": 5}
    password = {"secretKeyRef": {"name": secret_name(app.name), "key": MONGODB_PASSWORD}}
    return container(
        "mongodb",
        image=mongodb.image,
        port_name="mongodb",
        port=_PORT,
        mounts={"/data/db": _VOLUME, "/data/configdb": "configdb", "/tmp": "tmp"},  # noqa: S108
        args=["--wiredTigerCacheSizeGB", _cache_gigabytes(mongodb.memory)],
        env=[
            {"name": "MONGO_INITDB_ROOT_USERNAME", "value": _ROOT},
            {"name": "MONGO_INITDB_ROOT_PASSWORD", "valueFrom": password},
        ],
        # Ten minutes: recovery after a crash reads the journal.
        startupProbe={**opens, "periodSeconds": 2, "failureThreshold": 300},
        readinessProbe={**opens, "periodSeconds": 5},
        livenessProbe={**opens, "periodSeconds": 10, "failureThreshold": 6},
        resources=resources(
            requests={"cpu": mongodb.cpu, "memory": mongodb.memory},
            limits={"memory": mongodb.memory},
        ),
    )


def _claim(app: App) -> dict[str, Any]:
    mongodb = app.settings.kubernetes.mongodb
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": mongodb.storage}},
    }
    if mongodb.storage_class is not None:
        spec["storageClassName"] = mongodb.storage_class
    # Labelled, so that the volume is found among the app's objects.
    return {"metadata": {"name": _VOLUME, "labels": labels_of(app.name, "mongodb")}, "spec": spec}


def _cache_gigabytes(memory: str) -> str:
    """Half of what a gibibyte for everything else leaves over, as MongoDB itself would choose.

    Said, because not every version sees the container's limit instead of the node's memory.

    >>> _cache_gigabytes("1Gi"), _cache_gigabytes("4Gi")
    ('0.25', '1.50')
    """
    return f"{max(0.25, (memory_bytes(memory) - _GIB) / 2 / _GIB):.2f}"
