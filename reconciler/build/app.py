"""The app itself: its namespace, identity, environment and Deployment. Pure.

What an image has to be: its entry point is `jac serve app.jac`, in exec form, run in `/app` by a
user with a number other than 0; it writes nowhere but to `/tmp`, and to the shelf's folder. This
module changes when the app is to be run another way.
"""

import posixpath
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from jac_converge.config.load import App
from jac_converge.config.model import KubernetesSettings
from jac_converge.config.problems import ConfigError
from jac_converge.reconciler.build.code import (
    CODE,
    code_objects,
    code_volumes,
    serving,
    unpacking,
)
from jac_converge.reconciler.build.credentials import (
    JWT_SECRET,
    MONGODB_PASSWORD,
    REDIS_PASSWORD,
    Credentials,
    encoded,
    text_of,
)
from jac_converge.reconciler.build.manifest import manifest, name_of, selector_labels
from jac_converge.reconciler.build.mongo import mongodb_uri
from jac_converge.reconciler.build.pods import (
    consumed,
    container,
    pod_template,
    resources,
    scratch,
)
from jac_converge.reconciler.build.redis import redis_url
from jac_converge.reconciler.objects import Object

__all__ = ["app_objects", "autoscaled", "credentials_in", "environment_name", "namespace"]

_APP_FOLDER = "/app"
_PRIVATE_NETWORKS = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
)
_MARGIN_SECONDS = 10
"""From the end of the drain to SIGKILL; the server needs half of it to end its workers."""


def namespace(app: App) -> Object:
    """The namespace, closed to privileged pods."""
    described = manifest("Namespace", app, "app", name=app.namespace)
    described["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted"
    return described


def app_objects(app: App, credentials: Credentials) -> tuple[Object, ...]:
    """Everything of the app's own, but how it is reached and scaled.

    Raises:
        ConfigError: no image is given, or the shelf has no folder of its own.
    """
    profile = {"JAC_PROFILE": app.profile} if app.profile else {}
    given = profile | _trusted_proxies(app) | app.settings.kubernetes.env
    config = dict(sorted(given.items()))
    secrets = _secret_environment(app, credentials)
    annotations = consumed(credentials, config, secrets)
    return (
        manifest("ServiceAccount", app, "app", automountServiceAccountToken=False),
        # No `data` rather than an empty one: the server does not store that.
        manifest(
            "ConfigMap", app, "app", name=_config_name(app), **({"data": config} if config else {})
        ),
        manifest("Secret", app, "app", name=environment_name(app), data=encoded(secrets)),
        *code_objects(app),
        _deployment(app, annotations),
    )


def credentials_in(app: App, secrets: Object | None) -> dict[str, str]:
    """The generated secrets, as the environment of the app's pods has them.

    Args:
        app: whose pods they are.
        secrets: the live Secret named `environment_name`; None: there is none.

    Returns:
        Key -> value, of those that are in use and can be read.
    """
    found = {
        REDIS_PASSWORD: _password(text_of(secrets, "REDIS_URL"), name_of(app, "redis")),
        MONGODB_PASSWORD: _password(text_of(secrets, "MONGODB_URI"), name_of(app, "mongodb")),
    }
    if app.settings.jwt.secret is None:
        found[JWT_SECRET] = text_of(secrets, "JWT_SECRET")
    return {key: value for key, value in found.items() if value}


def autoscaled(kubernetes: KubernetesSettings) -> bool:
    """Whether the cluster decides on the number of pods."""
    return kubernetes.autoscaling is not None and kubernetes.autoscaling.enabled


def _config_name(app: App) -> str:
    return f"{app.name}-config"


def environment_name(app: App) -> str:
    """The name of the Secret that the app's pods take their environment from."""
    return f"{app.name}-secrets"


def _trusted_proxies(app: App) -> dict[str, str]:
    """Whose word about clients pods believe: else all behind an ingress look like one client.

    An ingress or gateway is the only way in from outside, by pods of a private network. Where
    clients come by themselves, such an address may be a client's.
    """
    networks = app.settings.server.trusted_proxies
    if not networks and app.settings.kubernetes.exposure.kind in ("ingress", "gateway"):
        networks = _PRIVATE_NETWORKS
    return {"FORWARDED_ALLOW_IPS": ",".join(networks)} if networks else {}


def _secret_environment(app: App, credentials: Credentials) -> dict[str, str]:
    settings = app.settings
    given = settings.jwt.secret
    environment = {
        "JWT_SECRET": given.get_secret_value() if given else credentials.jwt_secret,
        "MONGODB_URI": mongodb_uri(app, credentials),
        "REDIS_URL": redis_url(app, credentials),
        **{name: value.get_secret_value() for name, value in settings.secrets.items()},
    }
    return {name: value for name, value in environment.items() if value is not None}


def _password(url: str | None, host: str) -> str | None:
    """The password in a URL of a store that we run; None: it is another's, or none at all."""
    try:
        parts = urlsplit(url or "")
        return unquote(parts.password or "") if parts.hostname == host else None
    except ValueError:
        return None


def _deployment(app: App, annotations: Mapping[str, str]) -> Object:
    kubernetes = app.settings.kubernetes
    folders = {"/tmp": "tmp", **_shelf_folder(app)}  # noqa: S108 - a volume of the pod's own
    described = _container(app, folders)
    template = pod_template(
        app,
        "app",
        [described],
        user=_user(app),
        volumes=[*(scratch(name, "1Gi") for name in folders.values()), *code_volumes(app)],
        annotations=annotations,
        grace_seconds=kubernetes.pre_stop_seconds
        + app.settings.server.drain_seconds
        + _MARGIN_SECONDS,
        **_spread(app),
        **unpacking(app, described["image"], described.get("resources", {})),
    )
    spec = {
        "selector": {"matchLabels": selector_labels(app, "app")},
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
        "progressDeadlineSeconds": 300,
        "revisionHistoryLimit": 5,
        "template": template,
    }
    if not autoscaled(kubernetes):
        spec["replicas"] = kubernetes.replicas
    return manifest("Deployment", app, "app", spec=spec)


def _container(app: App, folders: Mapping[str, str]) -> dict[str, Any]:
    kubernetes = app.settings.kubernetes
    if kubernetes.image is None:
        message = "is not given; name the image that runs jac serve on this app"
        raise ConfigError(app.problem("converge.kubernetes.image", message))
    sized = resources(
        requests={"cpu": kubernetes.cpu_request, "memory": kubernetes.memory_request},
        limits={"cpu": kubernetes.cpu_limit, "memory": kubernetes.memory_limit},
    )
    live, ready = (
        {"httpGet": {"path": f"/healthz/{probe}", "port": "http"}} for probe in ("live", "ready")
    )
    return container(
        "app",
        image=kubernetes.image,
        port_name="http",
        port=kubernetes.container_port,
        mounts={**folders, **({_APP_FOLDER: CODE} if app.code else {})},
        **serving(app),
        args=["--host", "0.0.0.0", "--port", str(kubernetes.container_port)],  # noqa: S104
        envFrom=[
            {"configMapRef": {"name": _config_name(app)}},
            {"secretRef": {"name": environment_name(app)}},
        ],
        # Asked each second, so that a pod serves as soon as it can; a cold start may compile.
        startupProbe={**live, "periodSeconds": 1, "timeoutSeconds": 3, "failureThreshold": 120},
        readinessProbe={**ready, "periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 2},
        livenessProbe={**live, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3},
        lifecycle={"preStop": {"sleep": {"seconds": kubernetes.pre_stop_seconds}}},
        **({"resources": sized} if sized else {}),
    )


def _shelf_folder(app: App) -> dict[str, str]:
    """A writable folder for the shelf, when the pod has no MongoDB; it lives as long as the pod."""
    settings = app.settings
    if settings.database.mongodb_uri or settings.kubernetes.mongodb.enabled:
        return {}
    folder = posixpath.normpath(
        posixpath.join(_APP_FOLDER, posixpath.dirname(settings.database.shelf_db_path))
    )
    if posixpath.commonpath([folder, _APP_FOLDER]) == folder:
        message = 'needs a folder of its own in a pod, such as "data/shelf.db"'
        raise ConfigError(app.problem("converge.database.shelf_db_path", message))
    return {folder: "shelf"}


def _user(app: App) -> dict[str, int]:
    """Who runs in an image that was built here.

    Of a user that stands in an image, the kubelet takes the number alone: its group is root then.
    """
    return {} if app.user is None else {"runAsUser": app.user, "runAsGroup": app.user}


def _spread(app: App) -> dict[str, Any]:
    """Spread pods over nodes and zones, as far as possible.

    Zones are no second constraint: kube-scheduler leaves a node that lacks the label of one of
    them out of all (`requireAllTopologies`), and on a machine of one's own no node has a zone.
    An affinity just does not match such a node.
    """
    ours = {
        "labelSelector": {"matchLabels": selector_labels(app, "app")},
        # Else the pods of the last version count, and a roll-out ends lopsided.
        "matchLabelKeys": ["pod-template-hash"],
    }
    elsewhere = {"topologyKey": "topology.kubernetes.io/zone", **ours}
    return {
        "topologySpreadConstraints": [
            {
                "topologyKey": "kubernetes.io/hostname",
                "maxSkew": 1,
                "whenUnsatisfiable": "ScheduleAnyway",
                **ours,
            }
        ],
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 100, "podAffinityTerm": elsewhere}
                ]
            }
        },
    }
