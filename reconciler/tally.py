"""What a deploy that failed has written, and what not. Pure.

The error alone leaves that open: a plan with a refusal is not begun at all, and an error in the
middle leaves what came before it. It changes when a deploy can end half-way in another manner.
"""

from collections.abc import Collection
from typing import Final

from jac_converge.reconciler.objects import ObjectKey
from jac_converge.reconciler.steps import Keep, Plan

__all__ = ["not_begun", "what_was_written"]

SHOWN: Final = 4
"""Objects that are named; the rest are counted."""


def not_begun(plan: Plan) -> str:
    """Why nothing was written of a plan with refusals."""
    refused = [step.key for step in plan.refusals]
    others = len(plan.writes) + len(plan.holds)
    rest = f", nor any of {others} other steps" if others > 1 else ", nor the other step"
    return (
        f"nothing was written: not {_named(refused)}, which {_is(refused)} refused"
        f"{rest if others else ''}; mend that, and run it again"
    )


def what_was_written(plan: Plan, written: Collection[ObjectKey]) -> str:
    """What is on the cluster now, and what is not.

    Args:
        plan: the latest one.
        written: what this run wrote, with success.

    Returns:
        A sentence; empty where everything was written.
    """
    pending = (step.key for step in plan.steps if not isinstance(step, Keep))
    missing = [key for key in pending if key not in written]
    if not missing:
        return ""
    if not written:
        return "nothing was written"
    return f"written: {_named(sorted(written))}; not written: {_named(missing)}"


def _named(keys: Collection[ObjectKey]) -> str:
    shown = [str(key) for key in keys][:SHOWN]
    more = len(keys) - len(shown)
    return f"{', '.join(shown)}{f' and {more} more' if more else ''}"


def _is(keys: Collection[ObjectKey]) -> str:
    return "is" if len(keys) == 1 else "are"
