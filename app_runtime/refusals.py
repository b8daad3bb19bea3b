"""Refusals that an operator may have to look up: who asked for what is not for them.

It changes with which of them are noted.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi.requests import HTTPConnection

from jac_converge.app_runtime.auth.audit import audit
from jac_converge.app_runtime.identity import SCOPE_MISSING, Caller
from jac_converge.app_runtime.policy import ROLE_REQUIRED
from jac_converge.app_runtime.problems import Problem

__all__ = ["noted"]

EVENTS = {ROLE_REQUIRED: "role_missing", SCOPE_MISSING: "scope_missing"}
"""Code of a refusal -> what the log calls it."""


@contextmanager
def noted(connection: HTTPConnection, caller: Caller | None) -> Iterator[None]:
    """Write a line for a refusal of somebody who is known; whatever is raised passes through."""
    try:
        yield
    except Problem as problem:
        event = EVENTS.get(problem.code)
        if event is not None and caller is not None:
            audit(event, connection, caller.account)
        raise
