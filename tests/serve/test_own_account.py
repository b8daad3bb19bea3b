"""What an account may do to itself, over HTTP, on a real server: names, profile, and to leave."""

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.servers.jac_server import COMMAND, Answer, JacServer
from tests.servers.mongo_server import MongoServer
from tests.servers.process import wait_until

TRAPS = Path(__file__).parent / "apps" / "traps.jac"
BOXES = TRAPS.with_name("boxes") / "boxes.jac"
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give one worker with the app of traps."""
    with JacServer(TRAPS, tmp_path_factory.mktemp("own")) as running:
        yield running


def login(server: JacServer, name: str) -> Answer:
    """Log in."""
    return server.send("POST", "/user/login", {"username": name, "password": PASSWORD})


def me(server: JacServer, token: str) -> dict[str, Any]:
    """Look at oneself."""
    data: dict[str, Any] = server.get("/user/me", token=token).body["data"]
    return data


def test_names_are_changed_one_by_one(server: JacServer) -> None:
    """The token goes on, the old name does not; what is not given stays."""
    token = server.register("one")
    body = {"username": "two", "email": "two@example.org", "current_password": PASSWORD}
    changed = server.send("PATCH", "/user/me", body, token=token)
    assert (200, "two") == (changed.status, changed.body["data"]["username"])
    assert 401 == login(server, "one").status
    assert [200] * 2 == [login(server, name).status for name in ("two", "TWO@example.org")]
    again = server.send("PATCH", "/user/me", {"username": "three"}, token=token)
    assert 200 == again.status
    assert ["three", "two@example.org"] == [one["value"] for one in me(server, token)["identities"]]


def test_profile_is_kept_beside_the_names(server: JacServer) -> None:
    """From the registration on; changes are merged, as jac-scale does."""
    body = {
        "identities": [{"type": "username", "value": "profiled"}],
        "credential": {"type": "password", "password": PASSWORD},
        "profile": {"firstname": "Ann", "age": 30},
    }
    token = server.send("POST", "/user/register", body).body["data"]["token"]
    answer = server.send("PATCH", "/user/me", {"profile": {"age": 31}}, token=token)
    expected = {"firstname": "Ann", "age": 31}
    assert (200, expected) == (answer.status, answer.body["data"]["profile"])
    assert expected == me(server, token)["profile"]
    unfit: list[dict[str, Any]] = [{"1": "x"}, {"a": []}, {"a": None}]
    for wrong in (*unfit, {f"a{n}": n for n in range(21)}):
        refused = server.send("PATCH", "/user/me", {"profile": wrong}, token=token)
        assert (400, "UPDATE_FAILED") == (refused.status, refused.code)
    assert expected == me(server, token)["profile"]


def test_token_alone_changes_no_address(server: JacServer) -> None:
    """Whoever has found one could have a new password sent there."""
    token = server.register("robbed")
    identity = {"identity": {"type": "email", "value": "thief@example.org"}}
    asked = [
        ("PATCH", "/user/me", {"email": "thief@example.org"}),
        ("PATCH", "/user/me", {"username": "thief@example.org"}),
        ("POST", "/user/add-identity", identity),
        (
            "PUT",
            "/user/username",
            {"current_username": "robbed", "new_username": "thief@example.org"},
        ),
    ]
    assert [400] * 4 == [
        server.send(method, path, body, token=token).status for method, path, body in asked
    ]
    assert ["robbed"] == [one["value"] for one in me(server, token)["identities"]]
    given = identity | {"current_password": PASSWORD}
    assert 200 == server.send("POST", "/user/add-identity", given, token=token).status


def test_name_that_is_taken_changes_nothing(server: JacServer) -> None:
    """Neither of the two."""
    server.register("holder")
    token = server.register("wisher")
    body = {"username": "holder", "email": "wisher@example.org", "current_password": PASSWORD}
    answer = server.send("PATCH", "/user/me", body, token=token)
    assert (400, "UPDATE_FAILED") == (answer.status, answer.code)
    assert ["wisher"] == [one["value"] for one in me(server, token)["identities"]]
    server.register("wisher@example.org")


def test_nobody_tries_names_without_end(server: JacServer) -> None:
    """An answer says which are taken, so to ask has to wait, whichever way; others do not."""
    server.register("held")
    token = server.register("nosy")
    ways = (
        ("PATCH", "/user/me", {"username": "held"}),
        ("PUT", "/user/username", {"current_username": "nosy", "new_username": "held"}),
        ("POST", "/user/add-identity", {"identity": {"type": "username", "value": "held"}}),
    )
    statuses = [server.send(*ways[number % 3], token=token).status for number in range(23)]
    assert [400] * 20 + [429] * 3 == statuses
    other = server.register("not-nosy")
    assert 200 == server.send("PATCH", "/user/me", {"username": "new"}, token=other).status
    assert 200 == server.send("PATCH", "/user/me", {"profile": {"a": 1}}, token=token).status


def test_name_is_taken_away_with_the_password(server: JacServer) -> None:
    """The last one stays."""
    token = server.register("fewer")
    body = {
        "identity": {"type": "email", "value": "fewer@example.org"},
        "current_password": PASSWORD,
    }
    assert 200 == server.send("POST", "/user/add-identity", body, token=token).status
    bare = {"identity": body["identity"]}
    assert 400 == server.send("POST", "/user/remove-identity", bare, token=token).status
    gone = server.send("POST", "/user/remove-identity", body, token=token)
    assert (200, 1) == (gone.status, len(gone.body["data"]["identities"]))
    assert 401 == login(server, "fewer@example.org").status
    last = body | {"identity": {"type": "username", "value": "fewer"}}
    assert 400 == server.send("POST", "/user/remove-identity", last, token=token).status
    assert 200 == login(server, "fewer").status


def leave(server: JacServer, token: str, password: str = PASSWORD) -> Answer:
    """Leave."""
    return server.send("DELETE", "/user/me", {"current_password": password}, token=token)


def stored(folder: Path) -> dict[str, str]:
    """Read the bodies of all documents on a shelf."""
    shelf = folder / ".jac" / "converge" / "shelf.db"
    with closing(sqlite3.connect(shelf)) as connection:
        return dict(connection.execute("SELECT id, body FROM documents"))


def test_who_leaves_takes_everything_along(tmp_path: Path) -> None:
    """Names, sessions, profile and graph; the names are free, and no token speaks any more."""
    with JacServer(TRAPS, tmp_path) as server:
        server.register("staying")
        before = stored(tmp_path)
        token = server.register("leaving")
        given = server.send("PATCH", "/user/me", {"profile": {"a": 1}}, token=token)
        assert 200 == given.status
        for number in range(150):
            assert 200 == server.call("/walker/put", token, label=f"box {number}").status
        root = me(server, token)["root_id"]
        assert 400 == leave(server, token, "wrong horse").status
        assert 150 == len(server.call("/walker/boxes", token).reports)
        assert 200 == leave(server, token).status
        assert [401] * 2 == [
            server.get("/user/me", token=token).status,
            server.call("/walker/boxes", token).status,
        ]
        assert 401 == login(server, "leaving").status
        left = stored(tmp_path)
        new = {id_ for id_ in left.keys() - before.keys() if not id_.startswith("throttle:")}
        assert {f"leaving:{root}"} == new
        again = server.register("leaving")
        assert root != me(server, again)["root_id"]
        assert [] == server.call("/walker/boxes", again).reports


def test_what_hangs_on_nodes_of_others_goes_with_them_or_by_collect(tmp_path: Path) -> None:
    """And the edges of those who stay are whole."""
    with JacServer(BOXES, tmp_path) as server:
        stays, leaves = server.register("stays"), server.register("leaves")
        box = server.call("/walker/put", stays, label="shared").reports[0]["_jac_id"]
        assert 200 == server.call(f"/walker/open_to_all/{box}", stays).status
        assert 200 == server.call(f"/walker/hang/{box}", leaves, label="theirs").status
        assert ["theirs"] == server.call(f"/walker/hung/{box}", stays).reports
        assert 200 == leave(server, leaves).status
    command = [COMMAND, "serve", str(server.file), "--collect", "--yes"]
    collected = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "removed nodes of accounts that left: 1" in collected.stderr
    with server:
        assert [] == server.call(f"/walker/hung/{box}", stays).reports
        assert ["shared"] == [one["label"] for one in server.call("/walker/boxes", stays).reports]


def test_leaving_that_was_cut_off_goes_on_at_the_next_start(tmp_path: Path) -> None:
    """The account went first, so nobody is left with half of a graph, nor with what came late."""
    with JacServer(TRAPS, tmp_path) as server:
        token = server.register("halfway")
        assert 200 == server.call("/walker/put", token, label="box").status
        whose = me(server, token)
        root, account = whose["root_id"], f"account:{whose['user_id']}"
    shelf = tmp_path / ".jac" / "converge" / "shelf.db"
    with closing(sqlite3.connect(shelf)) as connection, connection:
        # As the first commit leaves it, with a login whose password was right just before it.
        connection.execute("DELETE FROM documents WHERE kind IN ('account', 'name')")
        connection.execute(
            "INSERT INTO documents SELECT 'leaving:' || id, 'leaving', 1, ?, '', 0 "
            "FROM documents WHERE id = ?",
            (json.dumps({"root": root, "account": account}), root),
        )
    with server:
        wait_until(lambda: root not in stored(tmp_path), within=20, what="the end of its graph")
        assert not any("box" in body for body in stored(tmp_path).values())
        late = f"sessions:{account.partition(':')[2]}"
        wait_until(lambda: late not in stored(tmp_path), within=20, what="the end of its session")


def test_leaving_works_on_mongodb(mongo_server: MongoServer, tmp_path: Path) -> None:
    """Where a commit of removals goes by a record."""
    env = os.environ | {"MONGODB_URI": f"{mongo_server.url}leaving"}
    with JacServer(TRAPS, tmp_path, env=env) as server:
        token = server.register("leaving")
        assert 200 == server.call("/walker/put", token, label="box").status
        assert 200 == leave(server, token).status
        assert 401 == server.get("/user/me", token=token).status
        again = server.register("leaving")
        assert [] == server.call("/walker/boxes", again).reports
