"""What the server accepted from us, object by object: what drift is measured against.

It is remembered between the passes of one process, and found again by the next one. It changes when
something else tells what was accepted.
"""

from collections.abc import Mapping

from jac_converge.reconciler.apply import Outcome
from jac_converge.reconciler.differences import changes_between
from jac_converge.reconciler.drift import owned_fields
from jac_converge.reconciler.extraction import is_as_applied
from jac_converge.reconciler.ignoring import Rules, left_out, remaining
from jac_converge.reconciler.objects import Object, ObjectKey, key_of
from jac_converge.reconciler.snapshot import Baseline, Policy, Preview
from jac_converge.reconciler.steps import Delete, Keep, Plan, Recreate

__all__ = ["Accepted"]

type _Grounds = tuple[Object | None, Object, Baseline | None]
"""What a plan judged an object by: live, desired, accepted."""


class Accepted:
    """The memory of one app."""

    def __init__(self) -> None:
        self.baselines: dict[ObjectKey, Baseline] = {}
        """As a snapshot takes them."""
        # What follows saves work only: the same grounds lead to the same end.
        self._kept: dict[ObjectKey, _Grounds] = {}
        self._kept_under: Policy | None = None

    def take(self, outcome: Outcome) -> None:
        """Take the answers to our writes."""
        self.baselines |= outcome.baselines
        for result in outcome.results:
            if result.error or isinstance(result.step, Recreate | Delete):
                # Gone, or not as we thought: to be compared anew, by the server's own answer.
                self.baselines.pop(result.step.key, None)

    def recognize(
        self, desired: tuple[Object, ...], live: Mapping[ObjectKey, Object]
    ) -> frozenset[ObjectKey]:
        """Take for accepted what an earlier process applied just so; returns which."""
        known = {
            key: Baseline(desired=obj, fields=owned_fields(there))
            for obj in desired
            if (key := key_of(obj)) not in self.baselines
            and (there := live.get(key))
            and is_as_applied(there, obj)
        }
        self.baselines |= known
        return frozenset(known)

    def settled(
        self, desired: tuple[Object, ...], live: Mapping[ObjectKey, Object], policy: Policy
    ) -> frozenset[ObjectKey]:
        """What the latest plan kept as it is, on the very grounds that there are now."""
        if policy != self._kept_under:
            return frozenset()
        return frozenset(
            key
            for obj in desired
            if (kept := self._kept.get(key := key_of(obj)))
            and kept[0] is live.get(key)
            and kept[1] is obj
            and kept[2] is self.baselines.get(key)
        )

    def remember(
        self,
        plan: Plan,
        desired: tuple[Object, ...],
        live: Mapping[ObjectKey, Object],
        policy: Policy,
    ) -> None:
        """Note what this plan kept as it is, and on which grounds."""
        kept = {
            step.key
            for step in plan.steps
            if isinstance(step, Keep) and not (step.reason or step.left)
        }
        self._kept_under = policy
        self._kept = {
            key: (live.get(key), obj, accepted)
            for obj in desired
            if (key := key_of(obj)) in kept and (accepted := self.baselines.get(key))
        }

    def note_what_is_left(self, plan: Plan, previews: Mapping[ObjectKey, Preview]) -> None:
        """Remember for what jac.toml drift was left alone: its next edit is none."""
        for step in plan.steps:
            preview = previews.get(step.key)
            if isinstance(step, Keep) and step.left and preview and preview.answer:
                fields = owned_fields(preview.answer)
                self.baselines[step.key] = Baseline(desired=preview.desired, fields=fields)

    def without_ignored(
        self, objects: tuple[Object, ...], live: Mapping[ObjectKey, Object], rules: Rules
    ) -> tuple[Object, ...]:
        """Take out what is left to others, and no longer expect to own it."""
        if not rules:
            return objects
        desired = []
        for whole in objects:
            key = key_of(whole)
            there, known = live.get(key), self.baselines.get(key)
            obj = left_out(whole, there, rules)
            if there and known and left_out(known.desired, there, rules) == obj:
                fields = remaining(known.fields, known.desired, obj)
                self.baselines[key] = Baseline(desired=obj, fields=fields)
            desired.append(obj)
        return tuple(desired)

    def accept(
        self, previews: Mapping[ObjectKey, Preview], live: Mapping[ObjectKey, Object]
    ) -> None:
        """An object that a dry run leaves as it is was accepted before we started."""
        for key, preview in previews.items():
            answer = preview.answer
            if answer is not None and key in live and not changes_between(live[key], answer):
                fields = owned_fields(answer)
                if fields == owned_fields(live[key]):
                    self.baselines[key] = Baseline(desired=preview.desired, fields=fields)
