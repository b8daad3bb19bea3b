"""desired + live + plan -> the rows of the table. Pure."""

from collections.abc import Mapping

from jac_converge.reconciler.health import Health, health_of
from jac_converge.reconciler.objects import Object, ObjectKey
from jac_converge.reconciler.render import Row, summary_of
from jac_converge.reconciler.steps import Hold, Keep, Plan, Refuse

__all__ = ["rows_of"]


def rows_of(
    desired: Mapping[ObjectKey, Object],
    live: Mapping[ObjectKey, Object],
    pods: tuple[Object, ...],
    *,
    plan: Plan | None = None,
    healed: Mapping[ObjectKey, str] | None = None,
) -> tuple[Row, ...]:
    """One row per desired object, in order; what the plan waits for or refuses is its health."""
    told: dict[ObjectKey, Health] = {}
    left: dict[ObjectKey, tuple[str, ...]] = {}
    for step in plan.steps if plan else ():
        if isinstance(step, Hold):
            told[step.key] = Health(state="progressing", sentence=step.reason)
        elif isinstance(step, Refuse):
            told[step.key] = Health(state="failed", sentence=f"refused: {step.reason}")
        elif isinstance(step, Keep) and step.left and step.key not in live:
            told[step.key] = Health(state="progressing", sentence=step.reason)
        elif isinstance(step, Keep):
            left[step.key] = tuple(change.path for change in step.changes)
    absent = Health(state="progressing", sentence="it is not there yet")
    return tuple(
        Row(
            key=key,
            desired=summary_of(obj, live=False),
            live=summary_of(live.get(key), live=True),
            health=told.get(key) or (health_of(live[key], pods) if key in live else absent),
            healed=(healed or {}).get(key, ""),
            left=left.get(key, ()),
        )
        for key, obj in desired.items()
    )
