"""`jac scale --destroy`: asks, deletes, and waits until it is gone."""

import json
import sys
import time
from typing import Any

from jac_converge.config.load import App
from jac_converge.reconciler.commands.writing import lease_of, wait_for
from jac_converge.reconciler.console import (
    CONVERGED,
    FAILED,
    USAGE,
    complain,
    print_plan,
    usage,
)
from jac_converge.reconciler.converge import Converger
from jac_converge.reconciler.kube_cluster import KubeCluster
from jac_converge.reconciler.objects import ObjectKey
from jac_converge.reconciler.render import outcome_json, result_line
from jac_converge.reconciler.snapshot import Policy
from jac_converge.reconciler.steps import Plan

__all__ = ["destroy"]


def destroy(app: App, cluster: KubeCluster, converger: Converger, flags: dict[str, Any]) -> int:
    """Delete the app; returns the exit code."""
    plan = converger.plan_removal(app, Policy(data=flags["data"]))
    if not flags["json"]:
        print_plan(app, plan, converger.notes, flags)
    if not plan.writes:
        return CONVERGED
    if not flags["yes"] and not _confirmed(app, cluster, flags):
        return USAGE
    lease = lease_of(app, cluster)
    wait_for(lease)
    gone = False
    try:
        outcome = converger.apply(plan)
        left = _wait_until_gone(converger, outcome.plan, flags["timeout"])
        gone = not left and not outcome.errors
    finally:
        lease.release(forget_pause=gone)
    if flags["json"]:
        told = {"app": app.name, "steps": outcome_json(outcome), "gone": not left}
        print(json.dumps(told, indent=2))  # noqa: T201
    else:
        for result in outcome.results:
            print(result_line(result))  # noqa: T201
    if left and not outcome.errors:
        names = ", ".join(str(key) for key in left)
        complain(f"still there after {flags['timeout']} s: {names}", FAILED, flags)
    return FAILED if left or outcome.errors else CONVERGED


def _confirmed(app: App, cluster: KubeCluster, flags: dict[str, Any]) -> bool:
    if flags["json"] or not sys.stdin.isatty():
        problem = usage("--destroy asks first, and nobody is there to answer; add --yes to go on")
        complain(str(problem), USAGE, flags)
        return False
    where = f"namespace {app.namespace} of {cluster.target.context}"
    return input(f"Delete {app.name} from {where}? [y/N] ").strip().lower() in {"y", "yes"}


def _wait_until_gone(converger: Converger, plan: Plan, timeout: float) -> tuple[ObjectKey, ...]:
    """What is still there in the end."""
    leaving = {step.key for step in plan.writes}
    deadline = time.monotonic() + timeout
    converger.read()
    while left := leaving & converger.mirror.snapshot().keys():
        if time.monotonic() >= deadline:
            break
        time.sleep(0.2)
        converger.read()
    return tuple(sorted(left))
