"""What a plan's steps for configuration mean for the pods that read it. Pure.

Pods read ConfigMaps and Secrets when they start, so a new value counts when they roll. It changes
when pods come to read something else, or to notice a change in another way.
"""

from collections.abc import Iterable
from dataclasses import replace

from jac_converge.reconciler.build.credentials import secret_name
from jac_converge.reconciler.build.pods import CONFIG_ANNOTATION
from jac_converge.reconciler.objects import ObjectKey
from jac_converge.reconciler.steps import Create, Hold, Refuse, Step, Update
from jac_converge.reconciler.version import config_sources

__all__ = ["with_configuration", "with_restarts"]


def with_configuration(steps: Iterable[Step]) -> list[Step]:
    """Hold pods back from a new configuration that the server refused: they would read the old one.

    What drifted is put back all the same.
    """
    steps = list(steps)
    refused = {step.key for step in steps if isinstance(step, Refuse)}
    return [_held_back(step, refused) for step in steps] if refused else steps


def with_restarts(app_name: str, steps: Iterable[Step]) -> list[Step]:
    """Tell of each change of configuration that pods roll for it: their own step comes later.

    Args:
        app_name: name of the app.
        steps: of one plan.
    """
    steps = list(steps)
    read = {source for step in steps if _reads_anew(step) for source in _sources(app_name, step)}
    return [
        replace(step, restarts=True) if isinstance(step, Update) and _counts(step, read) else step
        for step in steps
    ]


def _held_back(step: Step, refused: set[ObjectKey]) -> Step:
    if not (isinstance(step, Create | Update) and step.key.kind == "Deployment"):
        return step
    if isinstance(step, Update) and (step.drift or not _reads_anew(step)):
        return step
    missed = [it for it in config_sources(step.desired["spec"]["template"]) if it in refused]
    if not missed:
        return step
    return Hold(key=step.key, reason=f"waits for {missed[0]}, which its pods read and was refused")


def _reads_anew(step: Step) -> bool:
    """Whether pods roll because what they read at their start is another now."""
    return isinstance(step, Update) and any(
        change.path.endswith(CONFIG_ANNOTATION) for change in step.changes
    )


def _sources(app_name: str, step: Step) -> tuple[ObjectKey, ...]:
    # The generated secrets reach the app's pods by a Secret of its own, and the stores' directly.
    credentials = ObjectKey("Secret", secret_name(app_name))
    if isinstance(step, Update) and step.key.kind == "Deployment":
        return (credentials, *config_sources(step.desired["spec"]["template"]))
    return (credentials,)


def _counts(step: Update, read: set[ObjectKey]) -> bool:
    """Whether it is among what is read, and what changes there is a value, not a label."""
    touched = (*step.drift.lost, *step.drift.added) if step.drift else ()
    return step.key in read and (
        any(change.path.startswith("data") for change in step.changes)
        or any(path[0] == "f:data" for path in touched)
    )
