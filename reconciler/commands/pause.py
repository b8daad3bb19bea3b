"""`jac scale --pause` and `--resume`."""

import json
import time
from typing import Any

from jac_converge.config.load import App
from jac_converge.reconciler.commands.writing import person
from jac_converge.reconciler.console import CONVERGED
from jac_converge.reconciler.kube_cluster import KubeCluster
from jac_converge.reconciler.lease import RENEWAL
from jac_converge.reconciler.pause import pause, resume, seconds_of

__all__ = ["pause_or_resume"]


def pause_or_resume(app: App, cluster: KubeCluster, flags: dict[str, Any]) -> int:
    """Do the one or the other, and say so; returns the exit code."""
    by, now = person(), time.time()
    if flags["pause"]:
        seconds = seconds_of(flags["for_"]) if flags["for_"] else None
        current = pause(cluster, app.name, by=by, now=now, seconds=seconds)
        told = f"{current.sentence}; loops notice within {RENEWAL:g} s"
    else:
        before, current = resume(cluster, app.name, now=now), None
        told = f"resumed; it was {before.sentence}" if before else "was not paused"
    paused = current.as_json if current else None
    if flags["json"]:
        print(json.dumps({"app": app.name, "namespace": app.namespace, "paused": paused}))  # noqa: T201
    else:
        print(f"{app.name}: {told}")  # noqa: T201
    return CONVERGED
