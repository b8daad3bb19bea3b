"""What the server did not let us create; the next plans refuse it too, and do not try.

Without it each pass would send the same create, and tell the same error. It changes when something
else decides how long a refusal is believed.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from jac_converge.reconciler.apply import Result
from jac_converge.reconciler.errors import Invalid, Refused
from jac_converge.reconciler.objects import Object, ObjectKey, key_of
from jac_converge.reconciler.snapshot import Preview
from jac_converge.reconciler.steps import Create

__all__ = ["RECHECK", "Unwanted"]

RECHECK: Final = 60.0
"""Seconds before the server is asked once more about what it refused."""


class Unwanted:
    """Remembers refused creates."""

    def __init__(self) -> None:
        self._refused: dict[ObjectKey, tuple[Preview, float]] = {}

    def note(self, result: Result, now: float) -> None:
        """Take what became of a step; what is no refused create is nothing to us."""
        step, error = result.step, result.error
        # Without its namespace nothing else can be tried either.
        if not isinstance(step, Create) or step.key.kind == "Namespace":
            return
        if isinstance(error, Invalid) or (isinstance(error, Refused) and not error.expired):
            preview = Preview(desired=step.desired, answer=None, rejected=error)
            self._refused[step.key] = (preview, now + RECHECK)

    def previews(
        self, desired: Iterable[Object], live: Mapping[ObjectKey, Object], now: float
    ) -> dict[ObjectKey, Preview]:
        """What the server would say, without asking it; the rest is forgotten."""
        self._refused = {
            key: known
            for obj in desired
            if (known := self._refused.get(key := key_of(obj)))
            and key not in live
            and obj == known[0].desired
            and now < known[1]
        }
        return {key: preview for key, (preview, _) in self._refused.items()}
