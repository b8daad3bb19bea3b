"""Streams and websockets end soon after their caller may not listen any more, unasked.

All of them in one go, since each look comes some seconds after the last.
"""

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.serve.app_with_roles import PASSWORD, AppWithRoles
from tests.servers.jac_server import HOST, JacServer
from tests.servers.process import wait_until

POLICY = 1008
WITHIN = 20  # s; a look comes every five
REQUESTS: list[str] = []
"""Ids of the streams that were begun."""


@contextmanager
def feed(server: JacServer, token: str) -> Iterator[http.client.HTTPResponse]:
    """Begin a stream that goes on for hours, and see that it has begun."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=WITHIN)
    try:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        body = json.dumps({"n": 100_000, "seconds": 0.1})
        connection.request("POST", "/function/feed", body, headers)
        answer = connection.getresponse()
        assert 200 == answer.status
        REQUESTS.append(answer.headers["X-Request-Id"])
        assert b"data: 0\n" == answer.readline()
        yield answer
    finally:
        connection.close()


@contextmanager
def desk(server: JacServer, token: str) -> Iterator[ClientConnection]:
    """Open a websocket, and see that it answers."""
    headers = {"Authorization": f"Bearer {token}"}
    url = f"ws://{HOST}:{server.port}/ws/desk"
    with connect(url, additional_headers=headers, proxy=None) as client:
        client.send("{}")
        assert ["at the desk"] == json.loads(client.recv(timeout=10))["data"]["reports"]
        yield client


def last_event(answer: http.client.HTTPResponse) -> tuple[str, str]:
    """Read a stream to its end; returns the kind of its last event, and its code."""
    *_, last = answer.read().decode().strip().split("\n\n")
    kind, _, data = last.partition("\n")
    return kind, json.loads(data.removeprefix("data: "))["code"]


def goodbye(client: ClientConnection) -> tuple[int, str]:
    """Wait until the server ends it; returns the code of that, and of what was said before."""
    said = json.loads(client.recv(timeout=WITHIN))["error"]["code"]
    with pytest.raises(ConnectionClosed) as ended:
        client.recv(timeout=10)
    assert ended.value.rcvd is not None
    return ended.value.rcvd.code, said


def editor(app: AppWithRoles, name: str) -> str:
    """Make somebody who may listen; returns the token."""
    token = app.server.register(name)
    assert (200, "editor") == app.give(name, "editor")
    return token


def test_who_may_not_listen_any_more_is_sent_away(roles_app: AppWithRoles) -> None:
    """By a logout, a lost role, a revoked key, or the end of the account; and nobody else is."""
    server = roles_app.server
    names = ("stays", "logs-out", "loses-it", "is-gone", "has-a-key")
    stays, logs_out, loses_it, is_gone, has_a_key = (
        editor(roles_app, f"listener-{name}") for name in names
    )
    body = {"name": "robot", "current_password": PASSWORD}
    made = server.send("POST", "/user/keys", body, token=has_a_key).body["data"]
    with ExitStack() as stack:
        tokens = (stays, logs_out, loses_it, is_gone, made["key"])
        streams = [stack.enter_context(feed(server, token)) for token in tokens]
        sockets = [stack.enter_context(desk(server, token)) for token in tokens]
        assert 200 == server.send("POST", "/user/logout", token=logs_out).status
        assert (200, "user") == roles_app.give("listener-loses-it", "user")
        leave = {"current_password": PASSWORD}
        assert 200 == server.send("DELETE", "/user/me", leave, token=is_gone).status
        path = f"/user/keys/{made['id']}"
        assert 200 == server.send("DELETE", path, token=has_a_key).status
        codes = ["UNAUTHORIZED", "ROLE_REQUIRED", "UNAUTHORIZED", "UNAUTHORIZED"]
        assert [("event: error", code) for code in codes] == [
            last_event(one) for one in streams[1:]
        ]
        assert [(POLICY, code) for code in codes] == [goodbye(one) for one in sockets[1:]]
        sockets[0].send("{}")
        assert json.loads(sockets[0].recv(timeout=10))["ok"]
        streams[0].readline()
        assert streams[0].readline().startswith(b"data: ")
    log = server.log_text()
    assert 8 == log.count("auth listening_ended ")
    id_ = server.get("/user/me", token=loses_it).body["data"]["user_id"]
    assert f"auth listening_ended account={id_} " in log
    ended = [line for line in log.splitlines() if "auth listening_ended " in line]
    told = [any(line.endswith(f"={request}") for line in ended) for request in REQUESTS]
    assert [False] + [True] * 4 == told


def test_refusals_are_noted_wherever_somebody_asks(roles_app: AppWithRoles) -> None:
    """Over a websocket, by a message or a connection; and who looks at what they may not call."""
    server = roles_app.server
    token = server.register("listener-nosy")
    id_ = server.get("/user/me", token=token).body["data"]["user_id"]
    key = server.send(
        "POST",
        "/user/keys",
        {"name": "robot", "scopes": ["look"], "current_password": PASSWORD},
        token=token,
    ).body["data"]["key"]

    def noted(event: str) -> int:
        return server.log_text().count(f"auth {event} account={id_} ")

    for number, path in enumerate(("/walker/purge", "/function/publish"), 1):
        assert 403 == server.get(path, token=token).status
        wait_until(lambda: noted("role_missing") == number, within=5, what="the line")  # noqa: B023
    assert 403 == server.get("/walker/whose", token=key).status
    assert 1 == noted("scope_missing")
    for sent, event, before in ((token, "role_missing", 2), (key, "scope_missing", 1)):
        headers = {"Authorization": f"Bearer {sent}"}
        url = f"ws://{HOST}:{server.port}/ws/desk"
        with connect(url, additional_headers=headers, proxy=None) as client:
            assert POLICY == goodbye(client)[0]
        assert before + 1 == noted(event)
