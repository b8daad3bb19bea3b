"""`jac scale --destroy`: asks, deletes, and waits until it is gone."""

import json
import sys
import time
from typing import Any

from jac_converge.config.load import App
from jac_converge.reconciler.apply import Outcome
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
from jac_converge.reconciler.objects import Object, key_of
from jac_converge.reconciler.prune import finalizers_of
from jac_converge.reconciler.render import outcome_json, plan_json, result_line
from jac_converge.reconciler.snapshot import Policy
from jac_converge.reconciler.steps import Plan

__all__ = ["destroy"]


def destroy(app: App, cluster: KubeCluster, converger: Converger, flags: dict[str, Any]) -> int:
    """Delete the app; returns the exit code."""
    plan = converger.plan_removal(app, Policy(data=flags["data"]))
    if not flags["json"]:
        print_plan(app, plan, converger.notes, flags)
    if not plan.writes:
        left = _wait_until_gone(converger, plan, flags["timeout"])
        return _end(app, converger, Outcome(plan=plan), left, flags)
    if not flags["yes"] and not _confirmed(app, cluster, flags):
        return USAGE
    lease = lease_of(app, cluster)
    wait_for(lease, stop=converger.stop, patience=converger.patience)
    gone = False
    try:
        outcome = converger.apply(plan)
        left = _wait_until_gone(converger, outcome.plan, flags["timeout"])
        gone = not left and not outcome.errors
    finally:
        lease.release(forget_pause=gone)
    return _end(app, converger, outcome, left, flags)


def _end(
    app: App,
    converger: Converger,
    outcome: Outcome,
    left: tuple[Object, ...],
    flags: dict[str, Any],
) -> int:
    """Say how it ended, to a program in one document; returns the exit code."""
    code = FAILED if left or outcome.errors else CONVERGED
    if flags["json"]:
        told = {
            "app": app.name,
            "namespace": app.namespace,
            "notes": (*app.notes, *converger.notes),
            "plan": plan_json(outcome.plan),
            "steps": outcome_json(outcome),
            "gone": code == CONVERGED,
            "left": [str(key_of(obj)) for obj in left],
        }
        print(json.dumps(told, indent=2))  # noqa: T201
        return code
    for result in outcome.results:
        print(result_line(result))  # noqa: T201
    if left and not outcome.errors:
        names = ", ".join(f"{key_of(obj)}{finalizers_of(obj)}" for obj in left)
        complain(f"still there after {flags['timeout']} s: {names}", FAILED, flags)
    return code


def _confirmed(app: App, cluster: KubeCluster, flags: dict[str, Any]) -> bool:
    if flags["json"] or not sys.stdin.isatty():
        problem = usage("--destroy asks first, and nobody is there to answer; add --yes to go on")
        complain(str(problem), USAGE, flags)
        return False
    where = f"namespace {app.namespace} of {cluster.target.context}"
    try:
        answer = input(f"Delete {app.name} from {where}? [y/N] ")
    except EOFError:
        # Ctrl-D: the next words begin on a line of their own.
        print()  # noqa: T201
        answer = ""
    return answer.strip().lower() in {"y", "yes"}


def _wait_until_gone(converger: Converger, plan: Plan, timeout: float) -> tuple[Object, ...]:
    """What is still there in the end."""
    # Also what was deleted before, and has not gone since.
    leaving = {step.key for step in (*plan.writes, *plan.holds)}
    if not leaving:
        return ()
    deadline = time.monotonic() + timeout
    converger.read()
    while left := converger.still_there(leaving):
        if time.monotonic() >= deadline:
            break
        time.sleep(0.2)
        converger.read()
    return tuple(left.values())
