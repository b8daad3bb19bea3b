"""What a plan can say about one object, and the plan: steps in order. Pure data.

It changes when something new can be done to an object.
"""

from dataclasses import dataclass
from typing import Literal

from jac_converge.reconciler.differences import Change
from jac_converge.reconciler.drift import KUBECTL_NOTES, Drift
from jac_converge.reconciler.ignoring import Rules
from jac_converge.reconciler.objects import CLAIM, Object, ObjectKey, key_of

__all__ = [
    "LEFT_ALONE",
    "OWNERS",
    "VOLUME_SIZE",
    "Create",
    "Delete",
    "Hold",
    "Keep",
    "Plan",
    "Recreate",
    "Refuse",
    "Step",
    "Update",
    "Verdict",
    "left_alone",
]

type Verdict = Literal["converged", "failed", "stopped"]
"""How a run ended."""


LEFT_ALONE = "drift is left alone ([converge.watch] mode)"


OWNERS = "metadata.managedFields"

VOLUME_SIZE = "spec.resources.requests.storage"
"""Of a PersistentVolumeClaim."""


_OUT_OF_DATE = f"metadata.annotations.{KUBECTL_NOTES}"


_ROLLED = frozenset({"Deployment", "StatefulSet"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """The object is not there."""

    verb = "create"
    desired: Object
    replicas: int | None = None
    """Pods to start with while the count is the autoscaler's; None: as desired says."""

    @property
    def key(self) -> ObjectKey:
        """What the step is about."""
        return key_of(self.desired)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """The object is there, and differs."""

    verb = "update"
    desired: Object
    live: Object
    changes: tuple[Change, ...]
    drift: Drift | None = None
    """Set when somebody else made the difference."""
    edits: tuple[Change, ...] = ()
    """Of the changes, those that jac.toml asks for, where others have to do with the rest."""
    replicas: int | None = None
    """Count to hand over to the autoscaler; None: nothing to hand over."""
    ignore: Rules = ()
    """What others may keep beside our fields."""
    restarts: bool = False
    """Whether running pods read it, and roll in the same plan for what it says now."""

    @property
    def key(self) -> ObjectKey:
        """What the step is about."""
        return key_of(self.desired)

    @property
    def takes_over(self) -> bool:
        """Whether every value stays: only who owns them changes, and kubectl's own notes go."""
        return all(change.path in {OWNERS, _OUT_OF_DATE} for change in self.changes)

    @property
    def effect(self) -> Literal["rolling restart", "no restart", "needs volume expansion"]:
        """What running pods will notice, or what else has to follow."""
        if self.key.kind == CLAIM and any(change.path == VOLUME_SIZE for change in self.changes):
            return "needs volume expansion"
        rolls = self.key.kind in _ROLLED and any(
            change.path.startswith("spec.template") for change in self.changes
        )
        return "rolling restart" if rolls or self.restarts else "no restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recreate:
    """A field that cannot change in place has to: delete, then create."""

    verb = "recreate"
    desired: Object
    live: Object
    reason: str
    leaves_pods: bool = False
    """Whether only the object itself goes, and finds its pods and volumes again."""
    changes: tuple[Change, ...] = ()
    """What becomes of the pods' template, where those are left."""

    @property
    def key(self) -> ObjectKey:
        """What the step is about."""
        return key_of(self.desired)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """The object is ours, and no longer desired."""

    verb = "delete"
    live: Object

    @property
    def key(self) -> ObjectKey:
        """What the step is about."""
        return key_of(self.live)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Nothing to do; `reason` says why where it is not plain."""

    verb = "keep"
    key: ObjectKey
    reason: str = ""
    left: bool = False
    """Whether it drifted, and the policy says to leave that."""
    changes: tuple[Change, ...] = ()
    """What was left, where the policy says to tell it; empty for an object that was deleted."""
    drift: Drift | None = None
    """Who did that, where the policy says to tell it."""
    told: bool = False
    """Whether the policy says to tell it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Something else has to happen first; a later pass goes on."""

    verb = "hold"
    key: ObjectKey
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """It must not, or cannot, be done; a person has to decide."""

    verb = "refuse"
    key: ObjectKey
    reason: str


type Step = Create | Update | Recreate | Delete | Keep | Hold | Refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps in the order in which they are to be taken."""

    steps: tuple[Step, ...]

    @property
    def writes(self) -> tuple[Create | Update | Recreate | Delete, ...]:
        """The steps that change something."""
        return tuple(s for s in self.steps if isinstance(s, Create | Update | Recreate | Delete))

    @property
    def refusals(self) -> tuple[Refuse, ...]:
        """The steps that a person has to decide about."""
        return tuple(step for step in self.steps if isinstance(step, Refuse))

    @property
    def holds(self) -> tuple[Hold, ...]:
        """The steps that wait for something."""
        return tuple(step for step in self.steps if isinstance(step, Hold))


def left_alone(
    key: ObjectKey, changes: tuple[Change, ...], drift: Drift | None = None, *, told: bool
) -> Keep:
    """Leave drift to whoever made it; what it is shows only where it is told."""
    if not told:
        return Keep(key=key, reason=LEFT_ALONE, left=True)
    return Keep(key=key, reason=LEFT_ALONE, left=True, changes=changes, drift=drift, told=True)
