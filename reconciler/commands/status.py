"""`jac scale --status`: every object, and how it is."""

import json
import time
from dataclasses import replace
from typing import Any

from jac_converge.config.load import App
from jac_converge.reconciler.console import CONVERGED, FAILED
from jac_converge.reconciler.converge import Converger
from jac_converge.reconciler.errors import Refused
from jac_converge.reconciler.kube_cluster import KubeCluster
from jac_converge.reconciler.objects import LEASE, Object, ObjectKey, keyed
from jac_converge.reconciler.ownership import lease_name
from jac_converge.reconciler.pause import Pause, pause_of
from jac_converge.reconciler.render import row_json, status_lines, worst
from jac_converge.reconciler.rows import rows_of

__all__ = ["print_status"]


def print_status(
    app: App, cluster: KubeCluster, converger: Converger, flags: dict[str, Any]
) -> int:
    """Print it; returns the exit code."""
    paused, unknown = _paused(app, cluster)
    live = converger.mirror.snapshot()
    deployment = live.get(ObjectKey("Deployment", app.name))
    # Without its Deployment the app is gone, whatever data it left behind.
    rows = rows_of(_wanted(app, converger, deployment) | live, live, converger.mirror.pods())
    rows = rows if deployment else ()
    health, notes = worst(rows), (*unknown, *converger.notes)
    if flags["json"]:
        told = {
            "app": app.name,
            "namespace": app.namespace,
            "paused": paused.as_json if paused else None,
            "notes": notes,
            "objects": [*map(row_json, rows)],
        }
        print(json.dumps(told, indent=2))  # noqa: T201
    elif rows:
        pauses = [f"{app.name}: {paused.sentence}"] if paused else []
        for line in (*pauses, *notes, *status_lines(rows)):
            print(line)  # noqa: T201
    else:
        print(f"{app.name} is not deployed in namespace {app.namespace}")  # noqa: T201
    return CONVERGED if rows and not health else FAILED


def _paused(app: App, cluster: KubeCluster) -> tuple[Pause | None, tuple[str, ...]]:
    """The pause, and what to say when we may not know."""
    try:
        return pause_of(cluster.get(LEASE, lease_name(app.name)), time.time()), ()
    except Refused as error:
        return None, (f"whether {app.name} is paused is not known: {error.cause}",)


def _wanted(app: App, converger: Converger, deployment: Object | None) -> dict[ObjectKey, Object]:
    """What should be there, with the image that runs where this command was given none."""
    kubernetes = app.settings.kubernetes
    if deployment is None:
        return {}
    if kubernetes.image is None:
        image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
        kubernetes = kubernetes.model_copy(update={"image": image})
    settings = app.settings.model_copy(update={"kubernetes": kubernetes})
    return keyed(converger.build(replace(app, settings=settings)))
