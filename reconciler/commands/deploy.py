"""`jac scale`: show the plan, carry it out, say how it ended; no loop is loaded in vain."""

from functools import partial
from typing import Any

from jac_converge.config.load import App
from jac_converge.reconciler.console import (
    CHANGES,
    CONVERGED,
    FAILED,
    print_plan,
    print_result,
)
from jac_converge.reconciler.converge import Converger
from jac_converge.reconciler.kube_cluster import KubeCluster
from jac_converge.reconciler.objects import keyed
from jac_converge.reconciler.preflight import missing, platform_of
from jac_converge.reconciler.render import worst
from jac_converge.reconciler.rows import rows_of
from jac_converge.reconciler.snapshot import Policy
from jac_converge.reconciler.source import Source
from jac_converge.reconciler.steps import Plan
from jac_converge.reconciler.tally import not_begun

__all__ = ["is_converged", "plan_and_apply", "print_end"]


def plan_and_apply(
    source: Source, cluster: KubeCluster, converger: Converger, flags: dict[str, Any]
) -> int:
    """Show the plan, and carry it out unless that was all; returns the exit code."""
    app = source.app
    plan = converger.plan(app, Policy(adopt=flags["adopt"]), complete=True)
    if plan.writes:
        source.check_code()
    lacking = missing(plan, cluster, partial(platform_of, cluster))
    print_plan(app, plan, (*converger.notes, *lacking), flags)
    if plan.refusals and flags["plan"]:
        return FAILED
    if plan.refusals:
        live = converger.mirror.snapshot()
        return print_result(app, "failed", not_begun(plan), live, flags)
    if flags["plan"]:
        return CHANGES if plan.writes or plan.holds else CONVERGED
    if is_converged(converger, plan):
        return print_end(app, converger, flags)
    from jac_converge.reconciler.commands.running import run_loop  # noqa: PLC0415 - not always

    return run_loop(source, cluster, converger, flags, told=converger.notes)


def is_converged(converger: Converger, plan: Plan) -> bool:
    """Whether the app is as desired, and healthy."""
    if plan.writes or plan.holds:
        return False
    live = converger.mirror.snapshot()
    return not worst(rows_of(keyed(converger.desired), live, converger.mirror.pods(), plan=plan))


def print_end(app: App, converger: Converger, flags: dict[str, Any]) -> int:
    """Say how it ended where nothing was to do; returns the exit code."""
    failure, live = converger.failure, converger.mirror.snapshot()
    return print_result(app, "failed" if failure else "converged", failure, live, flags)
