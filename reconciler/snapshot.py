"""What a plan is decided on: the cluster as far as it is known, and what may be done. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from jac_converge.reconciler.drift import FieldPath
from jac_converge.reconciler.errors import ClusterError
from jac_converge.reconciler.ignoring import Rules
from jac_converge.reconciler.objects import Object, ObjectKey, key_of

__all__ = ["Baseline", "Policy", "Preview", "Snapshot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What the server accepted from us last for one object."""

    desired: Object
    fields: frozenset[FieldPath]
    """Leaf fields that our apply entry owned right afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The answer to a dry-run apply of one object."""

    desired: Object
    answer: Object | None
    rejected: ClusterError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is known of the cluster at one moment: one app, one namespace."""

    live: Mapping[ObjectKey, Object]
    pods: tuple[Object, ...] = ()
    baselines: Mapping[ObjectKey, Baseline] = field(default_factory=dict)
    previews: Mapping[ObjectKey, Preview] = field(default_factory=dict)
    settled: frozenset[ObjectKey] = frozenset()
    """Objects that an earlier plan kept as they are, and nothing about them is another now."""

    def accepted(self, obj: Object) -> bool:
        """Whether the server took this from us before: then jac.toml says what it said."""
        baseline = self.baselines.get(key_of(obj))
        # Most often it is the very same one, and need not be compared value by value.
        return baseline is not None and (baseline.desired is obj or baseline.desired == obj)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a plan may do."""

    adopt: bool = False
    """Take over objects of the same name that are not ours."""
    mode: Literal["heal", "warn", "off"] = "heal"
    """What becomes of drift: put back, told only, or neither."""
    data: bool = False
    """Delete data too: the namespace, volumes, generated secrets."""
    ignore: Rules = ()
    """Drift that is left to whoever made it."""
