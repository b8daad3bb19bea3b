"""What the one-shot commands print, as text or JSON, and their exit codes.

Errors of a run for people go to stderr; everything for programs goes to stdout.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

from jac_converge.config.load import App
from jac_converge.config.problems import Problem
from jac_converge.reconciler.objects import Object, ObjectKey
from jac_converge.reconciler.reach import reach
from jac_converge.reconciler.release_table import history_lines, release_json
from jac_converge.reconciler.releases import History
from jac_converge.reconciler.render import plan_json, plan_lines
from jac_converge.reconciler.steps import Plan, Verdict

__all__ = [
    "CHANGES",
    "CONVERGED",
    "FAILED",
    "USAGE",
    "complain",
    "print_history",
    "print_plan",
    "print_result",
    "usage",
]

CONVERGED, FAILED, USAGE, CHANGES = 0, 1, 2, 3


def print_history(app: App, history: History, notes: tuple[str, ...], flags: dict[str, Any]) -> int:
    """List the releases; returns the exit code."""
    for note in notes:
        print(f"jac scale: {note}", file=sys.stderr)  # noqa: T201
    if flags["json"]:
        releases = [release_json(history, release) for release in history.releases]
        told = {"app": app.name, "namespace": app.namespace, "releases": releases}
        print(json.dumps(told, indent=2))  # noqa: T201
        return CONVERGED
    none = [f"no release of {app.name} is recorded in namespace {app.namespace}"]
    for line in history_lines(history) or none:
        print(line)  # noqa: T201
    return CONVERGED


def print_plan(app: App, plan: Plan, notes: tuple[str, ...], flags: dict[str, Any]) -> None:
    """Show what is going to be done, and what the user should know about it."""
    # What holds a step up is often worth a note as well, where there is no plan.
    held = {step.reason for step in plan.holds}
    notes = tuple(note for note in (*app.notes, *notes) if note not in held)
    if flags["json"]:
        told = {"app": app.name, "namespace": app.namespace, "notes": notes}
        steps = plan_json(plan)
        if flags["plan"]:
            print(json.dumps({**told, "steps": steps}, indent=2))  # noqa: T201
        else:
            print(json.dumps({"event": "plan", **told, "steps": steps}), flush=True)  # noqa: T201
        return
    for line in (*notes, *plan_lines(plan)):
        print(line, flush=True)  # noqa: T201


def print_result(
    app: App,
    verdict: Verdict,
    reason: str,
    live: Mapping[ObjectKey, Object],
    flags: dict[str, Any],
) -> int:
    """Say how it ended, and where the app is reached; returns the exit code."""
    converged = verdict == "converged"
    if flags["json"]:
        why = {"reach": reach(app, live)} if converged else {"reason": reason}
        told = {"event": "end", "app": app.name, "verdict": verdict, **why}
        print(json.dumps(told))  # noqa: T201
    elif converged:
        print(f"{app.name}: {verdict}")  # noqa: T201
        print(f"reach it:  {reach(app, live)}")  # noqa: T201
    else:
        print(f"jac scale: {app.name} {verdict}: {reason}", file=sys.stderr)  # noqa: T201
    return CONVERGED if converged else FAILED


def complain(error: str, code: int, flags: dict[str, Any]) -> int:
    """Say what went wrong; returns the exit code."""
    if flags["json"]:
        print(json.dumps({"event": "error", "error": error, "exit_code": code}))  # noqa: T201
    else:
        print(f"jac scale: {error}", file=sys.stderr)  # noqa: T201
    return code


def usage(message: str) -> Problem:
    """A mistake on the command line, not in a file."""
    return Problem(file=None, line=None, key=None, message=message)
