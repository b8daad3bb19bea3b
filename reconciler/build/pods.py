"""What all our pods have in common: the `restricted` pod security standard, and resources. Pure.

It changes when that standard does, or when every pod needs something more.

Source: Kubernetes documentation, "Pod Security Standards".
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from jac_converge.config.load import App
from jac_converge.reconciler.build.credentials import Credentials
from jac_converge.reconciler.ownership import labels_of

__all__ = ["CONFIG_ANNOTATION", "consumed", "container", "pod_template", "resources", "scratch"]

CONFIG_ANNOTATION = "jac-converge/config"
"""Of pods: a keyed digest of what they read from ConfigMaps and Secrets."""


def container(
    name: str, *, image: str, port_name: str, port: int, mounts: Mapping[str, str], **rest: Any
) -> dict[str, Any]:
    """One container that can do nothing it was not given.

    Args:
        name: of the container.
        image: its reference.
        port_name: of its one port, for Services and probes.
        port: TCP.
        mounts: path -> name of the volume that is writable there.
        rest: further fields.
    """
    return {
        "name": name,
        "image": image,
        "ports": [{"name": port_name, "containerPort": port, "protocol": "TCP"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        # What a container wrote last is then in its status, where whoever sees the pod sees it.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": mounts[path], "mountPath": path} for path in sorted(mounts)],
        **rest,
    }


def pod_template(
    app: App,
    component: str,
    containers: Sequence[dict[str, Any]],
    *,
    user: Mapping[str, int | str],
    volumes: Sequence[dict[str, Any]],
    annotations: Mapping[str, str],
    grace_seconds: int,
    **rest: Any,
) -> dict[str, Any]:
    """A pod that runs unprivileged, without a token, and without other Services' variables.

    Args:
        app: whose it is.
        component: what it is.
        containers: from `container`.
        user: `runAsUser` and the like; empty: the image's own user, who must not be root.
        volumes: each with a name.
        annotations: of the pod.
        grace_seconds: from the first signal to the last.
        rest: further fields of the pod's spec.
    """
    logins = [{"name": name} for name in app.settings.kubernetes.image_pull_secrets]
    metadata: dict[str, Any] = {"labels": labels_of(app.name, component)}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {
        "metadata": metadata,
        "spec": {
            "serviceAccountName": app.name,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
                **user,
            },
            "terminationGracePeriodSeconds": grace_seconds,
            "containers": list(containers),
            "volumes": list(volumes),
            # None rather than an empty list: the server does not store that.
            **({"imagePullSecrets": logins} if logins else {}),
            **rest,
        },
    }


def resources(**amounts: Mapping[str, str | None]) -> dict[str, dict[str, str]]:
    """What a container asks for, and what it may use at most.

    Args:
        amounts: `requests` and `limits`: resource -> canonical quantity; None: not set.

    >>> resources(requests={"cpu": "100m", "memory": None}, limits={"memory": None})
    {'requests': {'cpu': '100m'}}
    """
    given = {
        bound: {name: amount for name, amount in table.items() if amount is not None}
        for bound, table in amounts.items()
    }
    return {bound: table for bound, table in given.items() if table}


def scratch(name: str, size: str) -> dict[str, Any]:
    """A volume that lives as long as its pod.

    Args:
        name: of the volume.
        size: canonical quantity; a pod that writes more is evicted, instead of filling its node.
    """
    return {"name": name, "emptyDir": {"sizeLimit": size}}


def consumed(credentials: Credentials, *contents: Mapping[str, str]) -> dict[str, str]:
    """The annotation that makes pods roll when what they read at start changes.

    A plain hash would let anyone who may read Deployments test guesses at the secrets. This one is
    keyed by a secret of the app.

    Args:
        credentials: of the app.
        contents: `data` of each ConfigMap and Secret that the pod reads.
    """
    text = json.dumps(contents, sort_keys=True)
    digest = hmac.new(credentials.jwt_secret.encode(), text.encode(), hashlib.sha256)
    return {CONFIG_ANNOTATION: digest.hexdigest()}
