"""`jac scale --rollback`: pin an earlier release, and see it restored."""

import time
from typing import Any

from jac_converge.config.load import App
from jac_converge.reconciler.commands.deploy import is_converged, plan_and_apply, print_end
from jac_converge.reconciler.commands.writing import lease_of
from jac_converge.reconciler.console import print_result
from jac_converge.reconciler.converge import Converger
from jac_converge.reconciler.kube_cluster import KubeCluster
from jac_converge.reconciler.lease import Lease
from jac_converge.reconciler.retry import retried
from jac_converge.reconciler.rollback import rolled_back
from jac_converge.reconciler.snapshot import Policy
from jac_converge.reconciler.source import Source

__all__ = ["rollback"]


def rollback(
    source: Source, cluster: KubeCluster, converger: Converger, flags: dict[str, Any]
) -> int:
    """Pin a release and restore it, or see it restored; returns the exit code."""
    app = source.app
    version = converger.read_version(app)
    history = rolled_back(converger.history, version, flags["release"])
    converger.record(app, history)
    lease, deadline = lease_of(app, cluster), time.monotonic() + flags["timeout"]
    while not retried(lease.acquire, stop=converger.stop, patience=converger.patience):
        if (code := _followed(app, converger, lease, deadline, flags)) is not None:
            return code
    # Nobody else does it, or whoever would have died: its lease has expired.
    lease.release()
    return plan_and_apply(source, cluster, converger, flags)


def _followed(
    app: App, converger: Converger, lease: Lease, deadline: float, flags: dict[str, Any]
) -> int | None:
    """Look whether the process that holds the lease has restored it; None, a while later: not."""
    converger.read()
    converger.mirror.settle()
    plan = converger.plan(app, Policy())
    if is_converged(converger, plan):
        return print_end(app, converger, flags)
    if time.monotonic() < deadline and not converger.stop.wait(0.5):
        return None
    reason = f"{lease.obstacle.cause}, but has not restored it"
    reason += f" after {flags['timeout']} s"
    return print_result(app, "failed", reason, converger.mirror.snapshot(), flags)
