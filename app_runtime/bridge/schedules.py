"""What `@schedule` says of a walker or function: when it runs by itself.

It changes with that decorator.
"""

import logging
from dataclasses import dataclass
from typing import Any

from jac_converge.app_runtime.bridge.restspecs import BadDeclaration

__all__ = ["Schedule", "schedule_of"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a job runs: one of these is given."""

    date: str | None = None
    """Once, at this moment (ISO 8601)."""
    interval: float | None = None
    """Every so many s."""
    cron: str | None = None
    """Minute, hour, day, month and weekday."""


def schedule_of(name: str, member: Any) -> Schedule | None:
    """Read the decorator; None: it is for jobs that somebody makes later, and there are none.

    Raises:
        BadDeclaration: it says not once, or more than once, when to run.
    """
    given = member.schedule_spec
    if str(getattr(given.trigger, "value", given.trigger)).lower() == "dynamic":
        logger.warning("job %s does not run: nobody can make jobs of a trigger DYNAMIC here", name)
        return None
    said = {
        key: value
        for key in ("date", "interval", "cron")
        if (value := getattr(given, key)) is not None
    }
    if len(said) != 1:
        raise BadDeclaration(f"@schedule of {name} needs one of date, interval and cron")
    return Schedule(**said)
