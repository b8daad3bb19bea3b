"""Walkers as websockets, on a real server."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.servers.jac_server import HOST, JacServer
from tests.servers.process import ServerFailed, wait_until
from tests.servers.redis_server import RedisServer

TALK = Path(__file__).parent / "apps" / "talk" / "talk.jac"
POLICY, TOO_BIG, RESTART, TOO_SLOW = 1008, 1009, 1012, 1013


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give one worker with the app that talks."""
    with JacServer(TALK, tmp_path_factory.mktemp("talk")) as running:
        yield running


def opened(
    server: JacServer, path: str, token: str | None = None, **options: Any
) -> ClientConnection:
    """Connect, with a token in the header."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    given = {"additional_headers": headers, "proxy": None} | options
    return connect(f"ws://{HOST}:{server.port}{path}", **given)


def said(client: ClientConnection) -> dict[str, Any]:
    """Receive one message."""
    message: dict[str, Any] = json.loads(client.recv(timeout=10))
    return message


def ask(client: ClientConnection, **fields: Any) -> dict[str, Any]:
    """Send one message, and receive one."""
    client.send(json.dumps(fields))
    return said(client)


def closing(client: ClientConnection) -> tuple[int, str]:
    """Wait for the end; give code and reason."""
    with pytest.raises(ConnectionClosed) as ended:  # noqa: PT012 - whatever is still to come
        while True:
            client.recv(timeout=10)
    assert ended.value.rcvd is not None
    return ended.value.rcvd.code, ended.value.rcvd.reason


def refused(server: JacServer, path: str, **options: Any) -> tuple[int, str]:
    """Fail to connect; give status and code."""
    with pytest.raises(InvalidStatus) as failed, opened(server, path, **options):
        pass
    response = failed.value.response
    return response.status_code, json.loads(response.body or b"")["error"]["code"]


def test_message_is_a_call_in_its_own_commit(server: JacServer) -> None:
    """With the envelope of HTTP; one that fails stores nothing, and the next goes on."""
    token = server.register("in-turn")
    with opened(server, "/ws/own", token) as client:
        assert [1] == ask(client, text="a")["data"]["reports"]
        failed = ask(client, text="fail")
        assert (False, "EXECUTION_ERROR") == (failed["ok"], failed["error"]["code"])
        assert "42" not in str(failed)
        assert [2] == ask(client, text="b")["data"]["reports"]
    with opened(server, "/ws/own/", token) as client:  # the same, by another spelling
        assert [3] == ask(client)["data"]["reports"]


@pytest.mark.parametrize(
    "message",
    ["{", "[]", '"a"', "7", '{"text": 1}', '{"more": 1}', '{"text": "\\ud800"}', b"\xff\xfe"],
)
def test_message_that_does_not_fit_is_refused_and_the_next_is_heard(
    server: JacServer, message: str | bytes
) -> None:
    """With the place of what is wrong."""
    with opened(server, "/ws/chat") as client:
        client.send(message)
        refusal = said(client)
        assert "VALIDATION_ERROR" == refusal["error"]["code"]
        assert 422 == refusal["meta"]["extra"]["http_status"]
        assert "Content-Type" not in refusal["error"]["message"]
        assert ["still here"] == ask(client, text="still here")["data"]["reports"]


def test_token_may_come_in_three_ways(server: JacServer) -> None:
    """In the header, as a subprotocol, or in the first message."""
    token = server.register("three-ways")
    with opened(server, "/ws/own", token) as client:
        assert [1] == ask(client)["data"]["reports"]
    offered = [Subprotocol("jac"), Subprotocol(f"bearer.{token}")]
    with opened(server, "/ws/own", subprotocols=offered) as client:
        assert "jac" == client.subprotocol
        assert [2] == ask(client)["data"]["reports"]
    with opened(server, "/ws/own") as client:
        assert {"authenticated": True} == ask(client, token=token)["data"]
        assert [3] == ask(client)["data"]["reports"]
    with opened(server, "/ws/own") as client:
        assert [4] == ask(client, token=token, text="at once")["data"]["reports"]


def test_private_walker_talks_to_nobody_without_a_token(server: JacServer) -> None:
    """Nor with a wrong one, wherever that is, nor with one in the URL."""
    token = server.register("in-the-url")
    for first in ({"text": "a"}, {"token": "wrong"}, {"token": 7}):
        with opened(server, f"/ws/own?token={token}") as client:
            assert "UNAUTHORIZED" == ask(client, **first)["error"]["code"]
            assert POLICY == closing(client)[0]
    assert (401, "UNAUTHORIZED") == refused(server, "/ws/own", token="wrong")
    offered = [Subprotocol("jac"), Subprotocol("bearer.wrong")]
    assert (401, "UNAUTHORIZED") == refused(server, "/ws/own", subprotocols=offered)


def test_strangers_hold_few_places_and_not_for_long(server: JacServer) -> None:
    """Who has not said who they are; others held two hundred places for ever."""
    token = server.register("no-stranger")
    with ExitStack() as stack:
        # A place that a test before has left may be counted for a moment.
        idle = [stack.enter_context(opened(server, "/ws/own")) for _ in range(3)]
        assert (503, "UNAVAILABLE") == refused(server, "/ws/own")
        with opened(server, "/ws/own", token) as client:
            assert [1] == ask(client)["data"]["reports"]
        assert [(POLICY, "no token was sent")] * 3 == [closing(one) for one in idle]
    with opened(server, "/ws/own") as client:
        assert [2] == ask(client, token=token, text="late")["data"]["reports"]
        with opened(server, "/ws/own"), opened(server, "/ws/own"), opened(server, "/ws/own"):
            assert [3] == ask(client)["data"]["reports"]


def test_logout_ends_a_conversation(server: JacServer) -> None:
    """With its next message at the latest."""
    token = server.register("leaving")
    with opened(server, "/ws/own", token) as client:
        assert [1] == ask(client)["data"]["reports"]
        assert 200 == server.send("POST", "/user/logout", token=token).status
        assert "UNAUTHORIZED" == ask(client)["error"]["code"]
        assert POLICY == closing(client)[0]


def test_page_of_somebody_else_opens_no_connection(server: JacServer) -> None:
    """Unless its origin may call the app, or is the app's own."""
    here = f"{HOST}:{server.port}"
    for origin in (
        "https://attacker.example",
        f"http://{here}.attacker.example",
        f"http://attacker.example/{here}",
        f"http://{here}@attacker.example",
        "https://shop.example.attacker.example",
        "http://[",
        "null",
        "",
    ):
        assert (403, "FORBIDDEN") == refused(server, "/ws/chat", origin=origin)
    assert "auth origin_refused " in server.log_text()
    for origin in ("https://shop.example", f"http://{HOST}:{server.port}"):
        with opened(server, "/ws/chat", origin=origin) as client:
            assert ["a"] == ask(client, text="a")["data"]["reports"]


def test_broadcast_is_heard_by_everybody_once(server: JacServer) -> None:
    """The one who said it gets the answer instead."""
    with (
        opened(server, "/ws/chat") as one,
        opened(server, "/ws/chat") as two,
        opened(server, "/ws/own", server.register("elsewhere")) as other,
    ):
        assert ["a"] == ask(two, text="a")["data"]["reports"]
        heard_by_one = said(one)
        assert ("broadcast", ["a"]) == (heard_by_one["type"], heard_by_one["data"]["reports"])
        answer = ask(one, text="b")
        assert ("response", ["b"]) == (answer["type"], answer["data"]["reports"])
        assert ["b"] == said(two)["data"]["reports"]
        assert [1] == ask(other)["data"]["reports"]


def test_what_is_said_at_a_node_is_heard_by_who_may_read_it(server: JacServer) -> None:
    """And not in other rooms."""
    owner, guest = server.register("owner"), server.register("guest")
    shared = server.call("/walker/open_room", owner, name="shared", shared=True).reports[0]
    closed = server.call("/walker/open_room", owner, name="closed").reports[0]
    with (
        opened(server, f"/ws/say/{shared['_jac_id']}", owner) as one,
        opened(server, f"/ws/say/{shared['_jac_id']}", guest) as two,
        opened(server, f"/ws/say/{closed['_jac_id']}", owner) as elsewhere,
    ):
        assert [["shared", "hi"]] == ask(two, text="hi")["data"]["reports"]
        assert [["shared", "hi"]] == said(one)["data"]["reports"]
        assert [["closed", "alone"]] == ask(elsewhere, text="alone")["data"]["reports"]
    with opened(server, f"/ws/say/{closed['_jac_id']}", guest) as client:
        assert "NOT_FOUND" == said(client)["error"]["code"]
        assert POLICY == closing(client)[0]


def test_generator_is_sent_message_by_message(server: JacServer) -> None:
    """And the conversation goes on after its end."""
    with opened(server, "/ws/count") as client:
        for _ in range(2):
            client.send('{"n": 3}')
            items = [said(client) for _ in range(4)]
            assert ["item", "item", "item", "end"] == [item["type"] for item in items]
            assert [0, 1, 2, None] == [item["data"] for item in items]


def test_message_has_a_limit(server: JacServer) -> None:
    """Beyond it the connection ends; the server goes on."""
    with opened(server, "/ws/chat", max_size=None) as client:
        client.send(json.dumps({"text": "x" * 200_000}))
        assert TOO_BIG == closing(client)[0]
    with opened(server, "/ws/chat") as client:
        assert ["a"] == ask(client, text="a")["data"]["reports"]


def test_client_that_does_not_read_holds_up_nobody(server: JacServer) -> None:
    """And is sent away before it costs all memory."""
    with (
        opened(server, "/ws/chat", max_queue=1, max_size=None) as slow,
        opened(server, "/ws/chat", max_size=None) as speaker,
    ):
        assert ["a"] == answer_to(slow, "a")
        assert ["b"] == answer_to(speaker, "b")
        for _ in range(30):
            speaker.send(json.dumps({"text": "0123456789", "times": 100_000}))
            assert 1_000_000 == len(said(speaker)["data"]["reports"][0])
        assert TOO_SLOW == closing(slow)[0]
        assert ["c"] == answer_to(speaker, "c")


def test_connections_have_a_limit(server: JacServer) -> None:
    """Beyond it there is a 503, and a place again when somebody leaves."""
    with ExitStack() as stack:
        clients: list[ClientConnection] = []
        # Those of the tests before may be counted yet.
        while len(clients) < 12:
            wait_until(lambda: _enter(stack, server, clients), within=5, what="a place")
        assert ["a"] == answer_to(clients[0], "a")
        assert (503, "UNAVAILABLE") == refused(server, "/ws/chat")
        clients[0].close()
        wait_until(lambda: _enter(stack, server, clients), within=5, what="a free place")


def _enter(stack: ExitStack, server: JacServer, clients: list[ClientConnection]) -> bool:
    try:
        clients.append(stack.enter_context(opened(server, "/ws/chat")))
    except InvalidStatus:
        return False
    return True


def test_websocket_is_no_other_route(server: JacServer) -> None:
    """Nor is another walker a websocket; and the index knows."""
    endpoints = server.get("/").body["data"]["endpoints"]
    assert {"/ws/chat", "/walker/lines"} <= set(endpoints)
    assert "/walker/chat" not in endpoints
    assert 404 == server.call("/walker/chat", text="a").status
    assert 404 == server.get("/ws/chat").status
    for path in ("/ws/lines", "/ws/nothing", "/walker/lines", "/nothing"):
        assert (404, "NOT_FOUND") == refused(server, path)


def test_drain_ends_what_is_at_work_and_tells_the_others(tmp_path: Path) -> None:
    """With the code that asks to connect again; what was answered is stored."""
    with JacServer(TALK, tmp_path) as server:
        with (
            opened(server, "/ws/slow") as slow,
            opened(server, "/ws/chat") as idle,
            opened(server, "/ws/count") as streaming,
        ):
            assert ["a"] == ask(idle, text="a")["data"]["reports"]
            streaming.send('{"n": 1000, "seconds": 0.05}')
            assert "item" == said(streaming)["type"]
            slow.send('{"seconds": 1.5}')
            assert [["done"]] == _after_signal(server, slow)
            assert RESTART == closing(idle)[0]
            assert RESTART == closing(streaming)[0]
            assert RESTART == closing(slow)[0]
        assert 0 == server.wait_for_exit(within=10)
        server.start()
        assert [["a", "slow"]] == server.call("/walker/lines").reports


def _after_signal(server: JacServer, client: ClientConnection) -> list[Any]:
    server.signal(signal.SIGTERM)
    return [said(client)["data"]["reports"]]


def test_broadcasts_cross_workers_and_replicas_by_redis(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """Whichever of them a client is connected to, also after Redis was gone for a while."""
    env = os.environ | {"REDIS_URL": redis_server.url}
    with (
        JacServer(TALK, tmp_path / "one", "--workers", "2", env=env) as one,
        JacServer(TALK, tmp_path / "two", env=env) as two,
        ExitStack() as stack,
    ):
        clients = [
            stack.enter_context(opened(server, "/ws/chat"))
            for server in (one, one, one, one, two, two)
        ]
        for client in clients:
            ask_and_skip(client)
        for number, speaker in enumerate(clients):
            text = f"line {number}"
            assert [text] == answer_to(speaker, text)
            for listener in clients:
                if listener is not speaker:
                    assert text == heard(listener, text)
        redis_server.kill9()
        assert ["alone"] == answer_to(clients[0], "alone")
        redis_server.start()
        wait_until(lambda: crosses(clients[0], clients[-1]), within=20, what="the bus")


def ask_and_skip(client: ClientConnection) -> None:
    """See that a client is listening."""
    answer_to(client, "here")


def answer_to(client: ClientConnection, text: str) -> list[str]:
    """Say something; give the reports of the answer, past what others said."""
    client.send(json.dumps({"text": text}))
    while (message := said(client))["type"] != "response":
        continue
    reports: list[str] = message["data"]["reports"]
    return reports


def heard(client: ClientConnection, text: str) -> str | None:
    """Wait for what somebody else says."""
    try:
        while (message := said(client))["data"]["reports"] != [text]:
            continue
    except TimeoutError:
        return None
    assert "broadcast" == message["type"]
    return text


def crosses(speaker: ClientConnection, listener: ClientConnection) -> bool:
    """Say whether a broadcast comes through."""
    answer_to(speaker, "again")
    try:
        return bool(json.loads(listener.recv(timeout=0.3))["data"]["reports"] == ["again"])
    except TimeoutError:
        return False


def test_broadcasts_that_would_not_be_heard_are_told_at_the_start(tmp_path: Path) -> None:
    """Several workers need a Redis for them."""
    env = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    server = JacServer(TALK, tmp_path, "--workers", "2", env=env)
    with pytest.raises(ServerFailed), server:
        pass
    assert "chat, say broadcasts, and 2 workers" in server.log_text()
