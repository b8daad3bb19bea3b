"""Walkers as webhooks, on a real server."""

import hashlib
import hmac
import json
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.servers.jac_server import Answer, JacServer
from tests.servers.process import ServerFailed

HOOKS = Path(__file__).parent / "apps" / "hooks" / "hooks.jac"
SECRET, PREVIOUS = "the-secret-of-this-year", "the-secret-of-last-year"
ENV = os.environ | {"PAID_SECRET": SECRET}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give two workers with the app of hooks."""
    folder = tmp_path_factory.mktemp("hooks")
    env = ENV | {"TOLD": str(folder / "told")}
    with JacServer(HOOKS, folder, "--workers", "2", env=env) as running:
        yield running


def signed(
    body: Any, *, secret: str = SECRET, age: float = 0, scheme: str = "sha256="
) -> tuple[bytes, dict[str, str]]:
    """Return the bytes of a message, and the headers of one that is signed some s ago."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    stamp = str(int(time.time() - age))
    mac = hmac.new(secret.encode(), stamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
    return raw, {
        "Content-Type": "application/json",
        "X-Webhook-Timestamp": stamp,
        "X-Webhook-Signature": scheme + mac,
    }


def post(
    server: JacServer,
    message: tuple[bytes, dict[str, str]],
    path: str = "/webhook/paid",
    **more: str,
) -> Answer:
    """Send a message, some of its headers replaced (`_` for `-`)."""
    raw, headers = message
    changed = {name.replace("_", "-"): value for name, value in more.items()}
    return server.send("POST", path, raw=raw, headers=headers | changed)


def test_signed_message_runs_the_walker_with_the_fields_it_has(server: JacServer) -> None:
    """At the root of the system, which no guest sees; what else was sent is left out."""
    message = signed({"amount": 5, "currency": "EUR", "_jac_spawn_node": "x", "nested": {"a": 1}})
    before = post(server, message).reports[0]
    assert [before + 1] == post(server, signed({"amount": 6})).reports
    assert [0] == server.call("/walker/payments").reports
    assert ["other"] == post(
        server, signed({}, secret="another-secret-altogether"), "/hooks/other"
    ).reports


@pytest.mark.parametrize("scheme", ["sha256=", "", f"sha256={'0' * 64}, sha256="])
def test_signature_may_be_one_of_several(server: JacServer, scheme: str) -> None:
    """A sender that changes its secret signs with both."""
    body = {"amount": 1, "note": f"scheme {scheme}"}
    assert 200 == post(server, signed(body, scheme=scheme)).status


def test_message_of_two_signatures_counts_once(server: JacServer) -> None:
    """Whichever of them somebody sends again."""
    new, old = signed({"amount": 77}), signed({"amount": 77}, secret=PREVIOUS)
    assert 200 == post(server, new).status
    assert (409, "ALREADY_RECEIVED") == (post(server, old).status, post(server, old).code)


def test_previous_secret_counts_until_it_is_removed(server: JacServer) -> None:
    """So that nothing is lost while it changes."""
    assert 200 == post(server, signed({"amount": 1}, secret=PREVIOUS)).status


@pytest.mark.parametrize(
    ("more", "told"),
    [
        pytest.param({"X_Webhook_Signature": ""}, "are needed", id="no-signature"),
        pytest.param({"X_Webhook_Timestamp": ""}, "are needed", id="no-timestamp"),
        pytest.param({"X_Webhook_Timestamp": "now"}, "are needed", id="no-number"),
        pytest.param({"X_Webhook_Timestamp": "9" * 30}, "are needed", id="long"),
        pytest.param({"X_Webhook_Timestamp": "\xb2"}, "are needed", id="odd-digit"),
        pytest.param({"X_Webhook_Timestamp": "1"}, "away from now", id="other-timestamp"),
        pytest.param({"X_Webhook_Signature": "sha256=0"}, "is not the one", id="short"),
        pytest.param({"X_Webhook_Signature": f"sha256={'0' * 64}"}, "is not the one", id="wrong"),
        pytest.param({"X_Webhook_Signature": "\xe4" * 64}, "is not the one", id="odd"),
        pytest.param({"X_Webhook_Signature": "," * 9}, "is not the one", id="commas"),
    ],
)
def test_message_without_a_good_signature_is_refused(
    server: JacServer, more: dict[str, str], told: str
) -> None:
    """Whatever is sent in its place."""
    answer = post(server, signed({"amount": 1}), **more)
    assert (401, "UNAUTHORIZED") == (answer.status, answer.code)
    assert told in answer.body["error"]["message"]


def test_signature_is_of_this_body_this_time_and_this_walker(server: JacServer) -> None:
    """Each of them changed alone is refused."""
    raw, headers = signed({"amount": 1})
    assert 401 == post(server, (raw + b" ", headers)).status
    later = str(int(headers["X-Webhook-Timestamp"]) + 1)
    assert 401 == post(server, (raw, headers), X_Webhook_Timestamp=later).status
    assert 401 == post(server, (raw, headers), "/hooks/other").status
    for age in (120, -120):
        assert 401 == post(server, signed({"amount": 1}, age=age)).status
    for age in (30, -30):
        assert 200 == post(server, signed({"amount": 1}, age=age)).status


def test_message_counts_once_whoever_gets_it(server: JacServer) -> None:
    """However often and at the same instant it is sent, to both workers."""
    before = post(server, signed({"amount": 1, "note": "before"})).reports[0]
    message = signed({"amount": 7, "note": "once"})
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: post(server, message), range(12)))
    assert [200] + [409] * 11 == sorted(answer.status for answer in answers)
    refused = next(answer for answer in answers if answer.status == 409)
    assert "ALREADY_RECEIVED" == refused.code
    _, headers = message
    upper = headers["X-Webhook-Signature"].removeprefix("sha256=").upper()
    assert 409 == post(server, message, X_Webhook_Signature=upper).status
    assert [before + 2] == post(server, signed({"amount": 1, "note": "after"})).reports


def test_message_that_only_tells_others_does_so_once(server: JacServer) -> None:
    """What it does after its commit waits for the note that it was received."""
    message = signed({"text": "once"})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(server, message, "/webhook/told"), range(8)))
    assert [200] + [409] * 7 == sorted(answer.status for answer in answers)
    assert "once\n" == (server.file.parent / "told").read_text()


@pytest.mark.parametrize(
    ("body", "status"),
    [({"amount": "many"}, 422), (b"{", 422), ({"amount": 1, "note": "fail"}, 500)],
)
def test_message_that_failed_may_come_again(server: JacServer, body: Any, status: int) -> None:
    """Nothing of it is stored, so the same bytes are no replay."""
    before = post(server, signed({"amount": 1, "note": str(body)})).reports[0]
    message = signed(body)
    answers = [post(server, message) for _ in range(2)]
    assert [status] * 2 == [answer.status for answer in answers]
    assert "secret" not in str(answers[0].body)
    assert [before + 1] == post(server, signed({"amount": 1, "note": f"{body} after"})).reports


def test_webhook_is_no_other_route(server: JacServer) -> None:
    """A token is no signature, and another walker is no webhook."""
    token = server.register("with-a-token")
    assert 404 == server.call("/walker/paid", token, amount=1).status
    assert 401 == server.call("/webhook/paid", token, amount=1).status
    assert 404 == server.call("/webhook/payments", token).status


def test_webhook_is_described(server: JacServer) -> None:
    """Its headers, and the fields that are read; a sender may send more, and starts nowhere."""
    openapi = server.get("/openapi.json").body
    described = openapi["paths"]["/webhook/paid"]["post"]
    assert ["X-Webhook-Timestamp", "X-Webhook-Signature"] == [
        one["name"] for one in described["parameters"]
    ]
    body = openapi["components"]["schemas"]["paid_message"]
    assert ({"amount", "note"}, ["amount"]) == (body["properties"].keys(), body["required"])
    assert body["additionalProperties"]


def test_webhook_needs_a_secret(tmp_path: Path) -> None:
    """There is none by default."""
    source = tmp_path / "source"
    source.mkdir()
    shutil.copy(HOOKS, source)
    server = JacServer(source / HOOKS.name, tmp_path / "served")
    with pytest.raises(ServerFailed), server:
        pass
    assert "other is a webhook without a secret" in server.log_text()
    assert "set [converge.webhooks.other] secret" in server.log_text()
