"""Whether a server answers as its OpenAPI document says: to what fits it, and to what does not."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from requests.auth import AuthBase
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.servers.jac_server import HOST, JacServer

__all__ = ["EVERYWHERE", "Asked", "ask_everything"]

type Operation = APIOperation[Any, Any, Any, Any]

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EVERYWHERE = "^/(user|admin|healthz)/"
"""What each app has alike, so that it is enough to ask one."""


@dataclass(slots=True)
class Asked:
    """What came of it."""

    statuses: dict[str, set[int]] = field(default_factory=dict)
    """Operation, such as `POST /walker/add_task` -> those of its answers."""
    wrong: list[str] = field(default_factory=list)
    """Operation, and in which way an answer is not as described."""


def ask_everything(
    server: JacServer, token: str, *, sign: AuthBase | None = None, but: str | None = None
) -> Asked:
    """Send a few requests of each kind to each operation.

    Args:
        server: of an app.
        token: of somebody, whose account may be gone afterwards.
        sign: changes each request before it is sent.
        but: regular expression of paths that are not asked.
    """
    described = schemathesis.openapi.from_url(f"http://{HOST}:{server.port}/openapi.json")
    schema = described if but is None else described.exclude(path_regex=but)
    results = list(schema.get_all_operations())
    operations = [result.ok() for result in results if isinstance(result, Ok)]
    assert len(results) == len(operations)
    asked = Asked()
    headers = {"Authorization": f"Bearer {token}"}
    # What is about accounts comes last: it may log us out, and then there are only refusals.
    for operation in sorted(operations, key=lambda one: "/user/" in one.path):
        statuses = asked.statuses.setdefault(operation.label, set())
        for mode in GenerationMode:
            try:
                _ask(operation, mode, headers, sign, statuses)
            except (FailureGroup, Failure) as failed:
                found = failed.exceptions if isinstance(failed, FailureGroup) else [failed]
                asked.wrong += [f"{operation.label}: {failure}" for failure in found]
    return asked


def _ask(
    operation: Operation,
    mode: GenerationMode,
    headers: Mapping[str, str],
    sign: AuthBase | None,
    statuses: set[int],
) -> None:
    """Send a few requests, and note the statuses of their answers."""

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=2,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def answers(case: Case[Operation]) -> None:
        answer = case.call_and_validate(
            headers=dict(headers), checks=CHECKS, auth=sign, allow_redirects=False
        )
        statuses.add(answer.status_code)

    with suppress(Unsatisfiable):  # where there is nothing that does not fit
        answers()
