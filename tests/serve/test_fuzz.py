"""Whatever a client sends: no 5xx, no traceback, and answers as OpenAPI describes them."""

import hmac
import http.client
import json
import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests import PreparedRequest
from requests.auth import AuthBase

from tests.serve.conformance import EVERYWHERE, ask_everything
from tests.servers.jac_server import HOST, JacServer

EXAMPLES = Path(__file__).parents[2] / "examples"
TODO = EXAMPLES / "todo" / "todo.jac"
SECRET = "a-secret-of-the-bank"
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
    asked = ask_everything(server, token, but=SLEEPS)
    assert [] == asked.wrong
    assert len(asked.statuses) > 40
    assert {200, 422} <= set().union(*asked.statuses.values())


class Signed(AuthBase):
    """Signs a request as the sender of a webhook does."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign it, whatever it has in place of a signature."""
        raw = request.body.encode() if isinstance(request.body, str) else request.body or b""
        assert isinstance(raw, bytes)
        stamp = str(int(time.time()))
        mac = hmac.digest(SECRET.encode(), f"{stamp}.".encode() + raw, "sha256").hex()
        request.headers["X-Webhook-Timestamp"] = stamp
        request.headers["X-Webhook-Signature"] = f"sha256={mac}"
        return request


@pytest.mark.parametrize(
    ("file", "own"),
    [("chat/chat.jac", "/walker/open_room"), ("payments/payments.jac", "/webhook/paid")],
)
def test_answers_of_other_examples_are_as_described(tmp_path: Path, file: str, own: str) -> None:
    """Webhooks among them, once they are signed.

    The guest book and the logins elsewhere are asked where they are served: `test_client_pages.py`
    and `sso/test_example.py`.
    """
    env = os.environ | {"PAID_SECRET": SECRET}
    with JacServer(EXAMPLES / file, tmp_path, env=env) as server:
        asked = ask_everything(server, server.register("fuzz"), sign=Signed(), but=EVERYWHERE)
        assert "Traceback" not in server.log_text()
    assert [] == asked.wrong
    assert 200 in asked.statuses[f"POST {own}"]
    assert 422 in set().union(*asked.statuses.values())


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
