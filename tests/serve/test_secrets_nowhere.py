"""No secret is anywhere: in the log, an error, a page or a count. And what other servers gave away.

The probes of this module are those that had no test of their own; each would succeed on a server
that prints arguments, sends tracebacks, or shows its configuration to an admin.
"""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.serve.app_with_roles import ROLES, make_admin
from tests.servers.jac_server import JacServer

HIDDEN = {
    "jwt": "jwt-secret-0123456789abcdef0123456789abcdef",
    "previous": "old-secret-0123456789abcdef0123456789abcdef",
    "client": "client-secret-of-the-provider",
    "own": "a-secret-of-the-app-itself",
    "password": "battery horse staple",
    "guess": "guessed horse staple",
    "new": "another battery staple",
    "argument": "hunter2-as-an-argument",
    "report": "hunter2-as-a-report",
    "result": "hunter2-as-a-result",
}
PAGES = ("/", "/docs", "/redoc", "/openapi.json", "/metrics", "/walkers", "/functions", "/sso")
TOML = """
[converge.server]
metrics_enabled = true
[converge.jwt]
previous_secrets = ["${OLD_SECRET}"]
[converge.sso.corp]
issuer = "http://localhost:9"
client_id = "app"
client_secret = "${CLIENT_SECRET}"
[converge.secrets]
OWN = "${OWN_SECRET}"
"""


@dataclass(slots=True)
class Seen:
    """What came out of a server."""

    server: JacServer
    admin: str = ""
    answers: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def send(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        """Send something, and keep the answer."""
        answer = self.server.send(method, path, body, token=token)
        self.answers.append(str(answer.body))
        return answer


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Give a server that was sent every secret there is, in good and in broken requests."""
    folder = tmp_path_factory.mktemp("secrets")
    env = os.environ | {
        "JWT_SECRET": HIDDEN["jwt"],
        "OLD_SECRET": HIDDEN["previous"],
        "CLIENT_SECRET": HIDDEN["client"],
        "OWN_SECRET": HIDDEN["own"],
    }
    server = JacServer(ROLES, folder, env=env)
    with (folder / "jac.toml").open("a") as toml:
        toml.write(TOML)
    make_admin(server, env=env)
    with server:
        gathered = Seen(server)
        exercise(gathered)
        yield gathered


def exercise(seen: Seen) -> None:
    """Do everything that has to do with a secret, right and wrong."""
    server, password = seen.server, HIDDEN["password"]
    flat = {"username": "secretive", "password": password}
    made = server.send("POST", "/user/register", flat).body["data"]
    again = server.send("POST", "/user/refresh", {"refresh_token": made["refresh_token"]}).body
    token = again["data"]["token"]
    key = server.send(
        "POST", "/user/keys", {"name": "robot", "current_password": password}, token=token
    ).body["data"]["key"]
    seen.tokens += [
        made["token"],
        made["refresh_token"],
        token,
        again["data"]["refresh_token"],
        key,
    ]
    seen.admin = server.send(
        "POST", "/user/login", {"username": "boss", "password": "correct horse"}
    ).body["data"]["token"]
    seen.tokens.append(seen.admin)
    guess = {"username": "secretive", "password": HIDDEN["guess"]}
    wrong = {"current_password": HIDDEN["guess"], "new_password": HIDDEN["new"]}
    argument = {"password": HIDDEN["argument"]}
    for method, path, body, sender in (
        ("POST", "/user/login", guess, None),
        ("POST", "/user/login", {"username": password, "password": [password]}, None),
        ("POST", "/user/register", {"identities": password}, None),
        ("POST", "/user/refresh", {"refresh_token": f"{made['refresh_token']}x"}, None),
        ("POST", "/user/refresh", {"refresh_token": [made["refresh_token"]]}, None),
        ("PUT", "/user/password", wrong, token),
        ("POST", "/user/keys", {"name": "r", "current_password": HIDDEN["guess"]}, token),
        ("POST", "/function/leak", argument, None),
        ("POST", "/function/leak", argument | {"more": HIDDEN["argument"]}, token),
        ("POST", "/walker/broken", argument, key),
        ("POST", "/walker/look", None, f"{key}x"),
        ("POST", "/walker/look", None, f"{token}x"),
        ("GET", "/user/me", None, key),
        ("POST", "/sso/token", {"code": token}, None),
        ("GET", "/sso/corp/login", None, None),
        ("GET", "/sso/corp/callback?code=x&state=y", None, None),
    ):
        seen.send(method, path, body, sender)
    told = server.call("/walker/echo", seen.admin, text=HIDDEN["report"])
    assert [HIDDEN["report"]] == told.reports
    told = server.call("/function/publish", seen.admin, title=HIDDEN["result"])
    assert HIDDEN["result"] == told.result
    raw = b'{"username": "secretive", "password": "' + password.encode()
    broken = server.send(
        "POST", "/user/login", raw=raw, headers={"Content-Type": "application/json"}
    )
    seen.answers.append(str(broken.body))
    for page in PAGES:
        seen.send("GET", page, token=seen.admin)


@pytest.mark.parametrize("where", ["log", "answers"])
def test_no_secret_is_shown(seen: Seen, where: str) -> None:
    """Neither to an operator, nor to whoever gets an error or looks at a page."""
    text = seen.server.log_text() if where == "log" else "\n".join(seen.answers)
    assert len(text) > 1000
    hidden = HIDDEN | {f"token {number}": token for number, token in enumerate(seen.tokens)}
    assert [] == [name for name, secret in hidden.items() if secret in text]


def test_failed_call_tells_no_traceback(seen: Seen) -> None:
    """The log has it; the caller gets a code."""
    answer = seen.server.call("/walker/broken", password="x")
    assert (500, "EXECUTION_ERROR") == (answer.status, answer.code)
    assert [] == [
        word
        for word in ("Traceback", "roles.jac", "it is broken", "File ")
        if word in str(answer.body)
    ]
    assert "it is broken" in seen.server.log_text()


@pytest.mark.parametrize("path", ["/admin/config", "/admin/users", "/admin", "/graph", "/jac.toml"])
def test_configuration_and_users_are_shown_to_nobody(seen: Seen, path: str) -> None:
    """Not even to an admin."""
    for method in ("GET", "POST"):
        assert 404 == seen.server.send(method, path, token=seen.admin).status


def test_files_of_the_app_are_not_served(seen: Seen) -> None:
    """Nor what is beside them."""
    for path in ("/.jac/converge/shelf.db", "/..%2fjac.toml", "/docs/assets/..%2f..%2fcli.py"):
        assert 404 == seen.server.get(path, token=seen.admin).status


def test_what_is_no_websocket_takes_no_connection(seen: Seen) -> None:
    """How many a websocket takes of strangers, `test_websockets.py` looks at."""
    for path in ("/ws/purge", "/walker/purge", "/walker/broken"):
        with socket.create_connection(("127.0.0.1", seen.server.port), timeout=10) as line:
            line.sendall(
                f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            )
            status = int(line.recv(64).split()[1])
        assert 101 != status
