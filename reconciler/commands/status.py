"""`jac scale --status`: every object, and how it is."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from jac_converge.config.load import App
from jac_converge.reconciler.console import CONVERGED, FAILED
from jac_converge.reconciler.converge import Converger
from jac_converge.reconciler.errors import Invalid, Refused
from jac_converge.reconciler.kube_cluster import KubeCluster
from jac_converge.reconciler.objects import LEASE, Object, ObjectKey, key_of, keyed
from jac_converge.reconciler.ownership import lease_name
from jac_converge.reconciler.pause import Pause, pause_of
from jac_converge.reconciler.prune import orphans
from jac_converge.reconciler.render import row_json, status_lines, worst
from jac_converge.reconciler.rows import rows_of

__all__ = ["print_status"]


def print_status(
    app: App, cluster: KubeCluster, converger: Converger, flags: dict[str, Any]
) -> int:
    """Print it; returns the exit code."""
    paused, unknown = _paused(app, cluster)
    live = converger.live_objects(app)
    deployment = live.get(ObjectKey("Deployment", app.name))
    # Without its Deployment the app is gone, whatever data it left behind.
    wanted, lacking = _wanted(app, converger, deployment)
    rows = rows_of(wanted | live, live, converger.mirror.pods()) if deployment else ()
    notes = (*unknown, *lacking, *converger.notes, *_abandoned(app, live, converger))
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
        for line in (*notes, f"{app.name} is not deployed in namespace {app.namespace}"):
            print(line)  # noqa: T201
    return CONVERGED if rows and not worst(rows) and not lacking else FAILED


def _paused(app: App, cluster: KubeCluster) -> tuple[Pause | None, tuple[str, ...]]:
    """The pause, and what to say when we may not know."""
    try:
        return pause_of(cluster.get(LEASE, lease_name(app.name)), time.time()), ()
    except Refused as error:
        return None, (f"whether {app.name} is paused is not known: {error.cause}",)


def _abandoned(app: App, live: Mapping[ObjectKey, Object], converger: Converger) -> Iterator[str]:
    """Tell of pods that no workload has: a command that goes on from there is what they need."""
    for pod in orphans(app.name, tuple(live.values()), converger.mirror.pods()):
        yield f"{key_of(pod)} belongs to no workload; jac scale or --destroy goes on from there"


def _wanted(
    app: App, converger: Converger, deployment: Object | None
) -> tuple[dict[ObjectKey, Object], tuple[str, ...]]:
    """What should be there, with the image that runs where this command was given none.

    And why that is not known, as it is while a password is missing: what there is counts then.
    """
    kubernetes = app.settings.kubernetes
    if deployment is None:
        return {}, ()
    if kubernetes.image is None:
        image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
        kubernetes = kubernetes.model_copy(update={"image": image})
    settings = app.settings.model_copy(update={"kubernetes": kubernetes})
    try:
        return keyed(converger.build(replace(app, settings=settings))), ()
    except Invalid as error:
        return {}, (str(error),)
