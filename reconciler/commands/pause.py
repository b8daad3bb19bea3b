"""`jac scale --pause` and `--resume`."""

import json
import time
from typing import Any

from jac_converge.config.load import App
from jac_converge.reconciler.commands.writing import person
from jac_converge.reconciler.console import CONVERGED
from jac_converge.reconciler.kube_cluster import KubeCluster
from jac_converge.reconciler.lease import renewal_of
from jac_converge.reconciler.objects import LEASE
from jac_converge.reconciler.ownership import lease_name
from jac_converge.reconciler.pause import pause, resume, seconds_of

__all__ = ["pause_or_resume"]


def pause_or_resume(app: App, cluster: KubeCluster, flags: dict[str, Any]) -> int:
    """Do the one or the other, and say so; returns the exit code."""
    by, now = person(), time.time()
    if flags["pause"]:
        seconds = seconds_of(flags["for_"]) if flags["for_"] else None
        current = pause(cluster, app.name, by=by, now=now, seconds=seconds)
        soon = renewal_of(cluster.get(LEASE, lease_name(app.name)))
        told = f"{current.sentence}; loops notice within {soon:g} s"
    else:
        before, current = resume(cluster, app.name, now=now), None
        told = f"resumed; it was {before.sentence}" if before else "was not paused"
    paused = current.as_json if current else None
    if flags["json"]:
        print(json.dumps({"app": app.name, "namespace": app.namespace, "paused": paused}))  # noqa: T201
    else:
        print(f"{app.name}: {told}")  # noqa: T201
    return CONVERGED
