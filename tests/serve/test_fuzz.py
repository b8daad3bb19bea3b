"""Whatever a client sends: no 5xx, no traceback, and answers as OpenAPI describes them."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.servers.jac_server import HOST, JacServer

type Operation = APIOperation[Any, Any, Any, Any]

TODO = Path(__file__).parents[2] / "examples" / "todo" / "todo.jac"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SERVER_ERROR = 500
SLEEPS = "/walker/remind"
"""Takes as long as it is told to, which is no mistake."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give one worker with the example."""
    with JacServer(TODO, tmp_path_factory.mktemp("fuzz")) as running:
        yield running


@pytest.fixture(scope="module")
def token(server: JacServer) -> str:
    """Give the token of somebody."""
    return server.register("fuzz")


def test_answers_are_as_described(server: JacServer, token: str) -> None:
    """Of each operation, to what fits its description and to what does not."""
    schema = schemathesis.openapi.from_url(f"http://{HOST}:{server.port}/openapi.json")
    results = list(schema.exclude(path_regex=SLEEPS).get_all_operations())
    found = [result.ok() for result in results if isinstance(result, Ok)]
    assert len(results) == len(found)
    assert len(found) > 40
    headers = {"Authorization": f"Bearer {token}"}
    wrong, statuses = [], set[int]()
    # What is about accounts comes last: it may log us out, and then there are only refusals.
    for operation in sorted(found, key=lambda one: "/user/" in one.path):
        try:
            for mode in GenerationMode:
                statuses |= _try(operation, mode, headers)
        except FailureGroup as failures:
            wrong += [f"{operation.label}: {failure}" for failure in failures.exceptions]
    assert [] == wrong
    assert {200, 422} <= statuses


def _try(operation: Operation, mode: GenerationMode, headers: dict[str, str]) -> set[int]:
    """Send a few requests; give the statuses of their answers."""
    statuses = set()

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
        answer = case.call_and_validate(headers=headers, checks=CHECKS)
        statuses.add(answer.status_code)

    with suppress(Unsatisfiable):  # where there is nothing that does not fit
        answers()
    return statuses


LATIN = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from(["title", "priority", "due", "effort", "tags", "_jac_spawn_node", "name"])
BODIES = st.one_of(
    st.binary(max_size=60),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(FIELDS, VALUES, max_size=5).map(lambda value: json.dumps(value).encode()),
)
KINDS = st.sampled_from(["application/json", "text/plain", "multipart/form-data", ""]) | LATIN
IDS = st.one_of(
    st.uuids().map(lambda it: it.hex), st.text(max_size=12), st.sampled_from([".", ".."])
)
NAMES = st.sampled_from([
    "/walker/add_task", "/walker/create_project", "/walker/list_tasks", "/walker/visit_site",
    "/function/remaining", "/function/days_until", "/user/login", "/user/register",
    "/user/refresh", "/user/me", "/user/password", "/docs/assets", "/nowhere",
])  # fmt: skip
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": KINDS,
        "X-Request-Id": LATIN,
        "Accept-Encoding": LATIN,
        "Origin": LATIN,
        "If-None-Match": LATIN,
        "X-Forwarded-For": LATIN,
    },
)
TOKENS = st.none() | LATIN | LATIN.map(lambda text: f"Bearer {text}") | st.just("mine")


@given(
    method=st.sampled_from(["POST", "GET", "PUT", "PATCH", "DELETE"]),
    path=NAMES,
    id_=st.none() | IDS,
    body=BODIES,
    headers=HEADERS,
    sent=TOKENS,
)
@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_nothing_that_is_sent_is_an_error_of_the_server(  # noqa: PLR0917 - by hypothesis, by name
    server: JacServer,
    token: str,
    method: str,
    path: str,
    id_: str | None,
    body: bytes,
    headers: dict[str, str],
    sent: str | None,
) -> None:
    """Bodies, ids, tokens and headers of any kind; and no answer has a traceback."""
    if id_ is not None:
        path = f"{path}/{quote(id_, safe='')}"
    if sent is not None:
        headers = headers | {"Authorization": f"Bearer {token}" if sent == "mine" else sent}
    status, content = _send(server, method, path, body, headers)
    assert status < SERVER_ERROR, content
    assert b"Traceback" not in content


def _send(
    server: JacServer, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(HOST, server.port, timeout=30)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_server_is_well_after_all_that(server: JacServer) -> None:
    """And nothing that it did not expect is in its log."""
    assert 200 == server.call("/walker/list_projects", server.register("after")).status
    assert "Traceback" not in server.log_text()
