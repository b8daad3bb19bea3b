"""API keys of machines, on two workers: what opens them, and what ends them."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.serve.app_with_roles import PASSWORD, AppWithRoles
from tests.servers.jac_server import Answer, JacServer


def make(server: JacServer, token: str, **fields: Any) -> Answer:
    """Ask for a key."""
    body = {"name": "robot", "current_password": PASSWORD} | fields
    return server.send("POST", "/user/keys", body, token=token)


def made(server: JacServer, token: str, **fields: Any) -> str:
    """Make a key; returns what to send."""
    answer = make(server, token, **fields)
    assert 201 == answer.status, answer.body
    key: str = answer.body["data"]["key"]
    return key


def look(server: JacServer, key: str, path: str = "/walker/look") -> tuple[int, str]:
    """Call with a key; returns status, and code of a refusal."""
    answer = server.call(path, key, **({"title": "news"} if path.endswith("publish") else {}))
    return answer.status, "" if answer.status == 200 else answer.code


OK, NO_KEY = (200, ""), (401, "UNAUTHORIZED")
NO_SCOPE, NO_ROLE = (403, "SCOPE_MISSING"), (403, "ROLE_REQUIRED")


def test_key_calls_as_its_account(roles_app: AppWithRoles) -> None:
    """By either header, in every worker, with the root of its owner."""
    server = roles_app.server
    token = server.register("key-owner")
    answer = make(server, token, name=" nightly ")
    assert (201, "no-store") == (answer.status, answer.headers["Cache-Control"])
    told = answer.body["data"]
    key = told.pop("key")
    assert ("nightly", None) == (told["name"], told["scopes"])
    assert 90 * 86400 == told["expires"] - told["created"]
    assert [OK] * 4 == [look(server, key) for _ in range(4)]
    sent = {"X-API-Key": key}
    assert 200 == server.send("POST", "/walker/restore", {}, headers=sent).status
    roots = {server.call("/walker/whose", one).reports[0] for one in (token, key)}
    assert 1 == len(roots)
    listed = server.get("/user/keys", token=token).body["data"]["keys"]
    assert [told] == listed


def test_key_is_for_its_scopes_alone(roles_app: AppWithRoles) -> None:
    """Walkers and functions by name, their descriptions too; names that there are not are told."""
    server = roles_app.server
    token = server.register("key-scopes")
    key = made(server, token, scopes=["restore", "publish"])
    assert OK == look(server, key, "/walker/restore")
    assert NO_SCOPE == look(server, key)
    assert NO_ROLE == look(server, key, "/function/publish")
    assert 200 == server.get("/walker/restore", token=key).status
    assert 403 == server.get("/walker/purge", token=key).status
    refused = make(server, token, scopes=["restores"])
    assert (400, "UPDATE_FAILED") == (refused.status, refused.code)
    assert 400 == make(server, token, scopes=[]).status
    assert "auth scope_missing" in server.log_text()


def test_key_has_the_role_of_its_account_now(roles_app: AppWithRoles) -> None:
    """Which an admin may change under it."""
    server = roles_app.server
    key = made(server, server.register("key-role"))
    for role, expected in [("editor", OK), ("user", NO_ROLE)] * 2:
        assert (200, role) == roles_app.give("key-role", role)
        assert [expected] * 3 == [look(server, key, "/walker/draft") for _ in range(3)]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/user/me", None),
        ("GET", "/user/info", None),
        ("GET", "/user/keys", None),
        ("POST", "/user/keys", {"name": "another", "current_password": PASSWORD}),
        ("DELETE", "/user/keys/0123456789abcdef", None),
        ("PUT", "/user/password", {"current_password": PASSWORD, "new_password": "x" * 12}),
        ("PATCH", "/user/me", {"username": "other"}),
        ("DELETE", "/user/me", {"current_password": PASSWORD}),
        ("POST", "/user/logout", None),
        ("POST", "/user/logout-everywhere", None),
        ("PUT", "/admin/users/boss", {"role": "user"}),
    ],
)
def test_key_manages_nothing(roles_app: AppWithRoles, method: str, path: str, body: Any) -> None:
    """Neither account, keys nor sessions, even where it is an admin's."""
    server = roles_app.server
    key = made(server, roles_app.admin, expires_in=600)
    for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
        answer = server.send(method, path, body, headers=headers)
        assert (403, "KEY_REFUSED") == (answer.status, answer.code)
    renewed = server.send("POST", "/user/refresh-token", {"token": key})
    assert (403, "KEY_REFUSED") == (renewed.status, renewed.code)
    (mine,) = server.get("/user/keys", token=roles_app.admin).body["data"]["keys"]
    path = f"/user/keys/{mine['id']}"
    assert 200 == server.send("DELETE", path, token=roles_app.admin).status


def test_key_needs_the_password(roles_app: AppWithRoles) -> None:
    """Or whoever finds a token has a key for as long as they like."""
    server = roles_app.server
    token = server.register("key-password")
    assert 400 == make(server, token, current_password="wrong horse").status
    assert 400 == server.send("POST", "/user/keys", {"name": "robot"}, token=token).status
    assert [] == server.get("/user/keys", token=token).body["data"]["keys"]


def test_key_ends_when_its_owner_revokes_it(roles_app: AppWithRoles) -> None:
    """At once, in every worker; nobody else's, and no other one."""
    server = roles_app.server
    token, other = server.register("key-revoked"), server.register("key-other")
    first, second = made(server, token), made(server, token)
    ids = [one["id"] for one in server.get("/user/keys", token=token).body["data"]["keys"]]
    revoke = {
        who: server.send("DELETE", f"/user/keys/{first.split('.')[2]}", token=who)
        for who in (other, token)
    }
    assert [404, 200] == [revoke[other].status, revoke[token].status]
    assert [NO_KEY] * 4 == [look(server, first) for _ in range(4)]
    assert OK == look(server, second)
    left = server.get("/user/keys", token=token).body["data"]["keys"]
    assert [second.split(".")[2]] == [one["id"] for one in left]
    assert 2 == len(ids)
    assert 404 == server.send("DELETE", f"/user/keys/{ids[0]}", token=other).status


@pytest.mark.parametrize("how", ["password", "everywhere", "leaving", "logout"])
def test_key_ends_with_what_ends_everything(roles_app: AppWithRoles, how: str) -> None:
    """A new password, a log-out everywhere, the account; a logout ends its session alone."""
    server = roles_app.server
    token = server.register(f"key-ends-{how}")
    key = made(server, token)
    password = {"current_password": PASSWORD}
    method, path, body = {
        "password": ("PUT", "/user/password", password | {"new_password": "another horse"}),
        "everywhere": ("POST", "/user/logout-everywhere", None),
        "leaving": ("DELETE", "/user/me", password),
        "logout": ("POST", "/user/logout", None),
    }[how]
    assert OK == look(server, key)
    done = server.send(method, path, body, token=token)
    assert 200 == done.status
    assert [OK if how == "logout" else NO_KEY] * 4 == [look(server, key) for _ in range(4)]
    if how == "password":
        assert [] == server.get("/user/keys", token=done.body["data"]["token"]).body["data"]["keys"]


@pytest.mark.parametrize("change", ["secret", "id", "account", "cut", "longer", "empty", "token"])
def test_key_that_is_none_is_refused(roles_app: AppWithRoles, change: str) -> None:
    """Where no token is needed as well: whoever sends one wants to be somebody."""
    server = roles_app.server
    token = server.register(f"forger-{change}")
    _, account, id_, secret = made(server, token).split(".")
    text = {
        "secret": f"jack.{account}.{id_}.{secret[:-1]}{'A' if secret[-1] != 'A' else 'B'}",
        "id": f"jack.{account}.{'0' * 16}.{secret}",
        "account": f"jack.{'0' * 32}.{id_}.{secret}",
        "cut": f"jack.{account}.{id_}.{secret[:-1]}",
        "longer": f"jack.{account}.{id_}.{secret}A",
        "empty": "",
        "token": token,
    }[change]
    answer = server.send("POST", "/walker/look", {}, headers={"X-API-Key": text})
    assert 401 == answer.status
    if text and change != "token":
        assert NO_KEY == look(server, text)


def test_key_is_stored_as_a_hash(roles_app: AppWithRoles) -> None:
    """Whoever reads the data, or the log, calls nothing with it."""
    server = roles_app.server
    key = made(server, server.register("key-hash"))
    assert OK == look(server, key)
    shelf = server.file.parent / ".jac" / "converge" / "shelf.db"
    with closing(sqlite3.connect(shelf)) as connection:
        everything = json.dumps(
            connection.execute("SELECT * FROM documents").fetchall(), default=repr
        )
    secret = key.rpartition(".")[2]
    assert "key-hash" in everything
    assert secret not in everything + server.log_text()


def test_key_is_bounded(roles_app: AppWithRoles) -> None:
    """In number, name and time."""
    server = roles_app.server
    token = server.register("key-bounds")
    assert 400 == make(server, token, name=" ").status
    assert 400 == make(server, token, name="a\nb").status
    assert 422 == make(server, token, expires_in=59).status
    assert 422 == make(server, token, expires_in=10**9).status
