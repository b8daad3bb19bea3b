"""Who may call what: roles of code and of jac.toml, given by an admin, and walkers at the door."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.app_with_roles import APPS, PASSWORD, ROLES, AppWithRoles
from tests.servers.jac_server import COMMAND, JacServer
from tests.servers.process import free_port


def call(server: JacServer, path: str, token: str | None) -> tuple[int, str]:
    """Call something; returns the status, and the code of a refusal."""
    fields = {"title": "news"} if path.endswith("publish") else {}
    answer = server.call(path, token, **fields)
    return answer.status, "" if answer.status == 200 else answer.code


OK, NO_TOKEN, NO_ROLE = (200, ""), (401, "UNAUTHORIZED"), (403, "ROLE_REQUIRED")


@pytest.mark.parametrize(
    ("path", "guest", "user", "editor", "admin"),
    [
        pytest.param("/walker/purge", NO_TOKEN, NO_ROLE, NO_ROLE, OK, id="walker"),
        pytest.param("/function/publish", NO_TOKEN, NO_ROLE, OK, OK, id="function"),
        pytest.param("/walker/draft", NO_TOKEN, NO_ROLE, OK, NO_ROLE, id="public-in-code"),
        pytest.param("/walker/redraft", NO_TOKEN, NO_ROLE, OK, NO_ROLE, id="subclass"),
        pytest.param("/walker/archive", NO_TOKEN, NO_ROLE, OK, NO_ROLE, id="in-jac-toml"),
        pytest.param("/walker/rearchive", NO_TOKEN, NO_ROLE, OK, NO_ROLE, id="subclass-of-that"),
        pytest.param("/walker/stow", NO_TOKEN, NO_ROLE, OK, NO_ROLE, id="second-name-of-that"),
        pytest.param("/walker/restore", NO_TOKEN, OK, NO_ROLE, NO_ROLE, id="jac-toml-wins"),
        pytest.param("/walker/look", OK, OK, OK, OK, id="for-everybody"),
    ],
)
def test_role_opens_what_names_it(  # noqa: PLR0917 - one row of the table
    roles_app: AppWithRoles,
    path: str,
    guest: tuple[int, str],
    user: tuple[int, str],
    editor: tuple[int, str],
    admin: tuple[int, str],
) -> None:
    """And nothing else, whoever calls; an admin has no role but their own."""
    name = path.rpartition("/")[2]
    plain, trusted = (
        roles_app.server.register(f"{name}-user"),
        roles_app.server.register(f"{name}-editor"),
    )
    assert (200, "editor") == roles_app.give(f"{name}-editor", "editor")
    tokens = (None, plain, trusted, roles_app.admin)
    assert (guest, user, editor, admin) == tuple(
        call(roles_app.server, path, one) for one in tokens
    )


def test_role_counts_for_tokens_that_are_there(roles_app: AppWithRoles) -> None:
    """Both ways, from the next call on, in every worker."""
    token = roles_app.server.register("promoted")
    for role, expected in [("editor", OK), ("user", NO_ROLE)] * 3:
        assert (200, role) == roles_app.give("promoted", role)
        assert [expected] * 6 == [call(roles_app.server, "/walker/draft", token) for _ in range(6)]
    assert "user" == roles_app.server.get("/user/me", token=token).body["data"]["role"]


def test_role_is_given_by_an_admin_alone(roles_app: AppWithRoles) -> None:
    """Not by users, to others or to themselves, nor by whoever has no token."""
    token = roles_app.server.register("climber")
    assert NO_ROLE == roles_app.give("climber", "admin", token)
    assert NO_ROLE == roles_app.give("boss", "user", token)
    assert 401 == roles_app.server.send("PUT", "/admin/users/climber", {"role": "admin"}).status
    assert "auth role_missing" in roles_app.server.log_text()


def test_role_is_refused_where_it_would_lock_somebody_out(roles_app: AppWithRoles) -> None:
    """A role that there is not, and one's own."""
    roles_app.server.register("kept")
    assert (400, "UPDATE_FAILED") == roles_app.give("kept", "editr")
    assert (400, "UPDATE_FAILED") == roles_app.give("boss", "user")
    assert (404, "NOT_FOUND") == roles_app.give("nobody", "user")
    assert (404, "NOT_FOUND") == roles_app.give("a%0Ab", "user")


def test_role_needs_the_password_of_the_admin(roles_app: AppWithRoles) -> None:
    """Whoever has found a token of theirs makes no admin who outlives it."""
    roles_app.server.register("accomplice")
    for wrong in (None, "a wrong one"):
        assert (400, "UPDATE_FAILED") == roles_app.give("accomplice", "admin", password=wrong)
    token = roles_app.server.register("thief")
    assert NO_ROLE == roles_app.give("accomplice", "admin", token)
    assert (200, "editor") == roles_app.give("accomplice", "editor")
    assert " role=editor" in roles_app.server.log_text()


def test_admin_leaves_when_another_one_took_the_role(roles_app: AppWithRoles) -> None:
    """So there is always one."""
    server, body = roles_app.server, {"current_password": PASSWORD}
    token = server.register("outgoing")
    assert (200, "admin") == roles_app.give("outgoing", "admin")
    kept = server.send("DELETE", "/user/me", body, token=token)
    assert (400, "UPDATE_FAILED") == (kept.status, kept.code)
    assert (200, "user") == roles_app.give("outgoing", "user")
    assert 200 == server.send("DELETE", "/user/me", body, token=token).status


def test_role_is_given_to_a_name_with_a_slash(roles_app: AppWithRoles) -> None:
    """Names may have any character, and an address is one."""
    roles_app.server.register("a/b c")
    assert (200, "editor") == roles_app.give("a%2Fb%20c", "editor")


def test_admin_ends_with_their_role(roles_app: AppWithRoles) -> None:
    """Somebody who was an admin gives no roles any more, with the token of then."""
    token = roles_app.server.register("deputy")
    assert (200, "admin") == roles_app.give("deputy", "admin")
    roles_app.server.register("raised")
    assert (200, "editor") == roles_app.give("raised", "editor", token)
    assert (200, "user") == roles_app.give("deputy", "user")
    assert NO_ROLE == roles_app.give("boss", "user", token)
    assert " by=" in roles_app.server.log_text()


def test_openapi_names_roles(roles_app: AppWithRoles) -> None:
    """In words and for programs, at each path of what needs them."""
    paths = roles_app.server.get("/openapi.json").body["paths"]
    for path in ("/function/publish", "/walker/archive", "/walker/archive/{node}"):
        told = paths[path]["post"]
        assert ["editor"] == told["x-roles"][-1:]
        assert "Needs the role" in told["description"]
        assert told["security"]
    assert "x-roles" not in paths["/walker/look"]["post"]


def test_description_is_for_whoever_may_call(roles_app: AppWithRoles) -> None:
    """What needs a role is not described to others, and neither is what is private to nobody."""
    token = roles_app.server.register("curious")
    assert 403 == roles_app.server.get("/walker/purge", token=token).status
    assert 200 == roles_app.server.get("/walker/purge", token=roles_app.admin).status
    assert 404 == roles_app.server.get("/walker/absent", token=token).status
    roles_app.server.send("POST", "/user/logout", token=token)
    assert 401 == roles_app.server.get("/walker/absent", token=token).status


@pytest.mark.parametrize(
    "flags", [["--check"], ["--port", str(free_port())]], ids=["check", "start"]
)
def test_unknown_name_in_jac_toml_is_told(tmp_path: Path, flags: list[str]) -> None:
    """Else a slip of the pen leaves a walker open."""
    file = tmp_path / "roles.jac"
    file.write_text(ROLES.read_text())
    (tmp_path / "jac.toml").write_text('[converge.server.roles]\narchived = ["editor"]\n')
    command = [COMMAND, "serve", str(file), *flags]
    ended = subprocess.run(command, text=True, capture_output=True, check=False, timeout=60)
    assert 1 == ended.returncode
    assert "[converge.server.roles] archived: no walker or function" in ended.stderr
    assert "did you mean archive?" in ended.stderr


def test_name_that_two_files_define_is_told(tmp_path: Path) -> None:
    """Nobody knows which one its roles are for; said in the code, they are clear."""
    file = tmp_path / "main.jac"
    file.write_text("import from words { archive as old, Word }\n\nwalker archive {}\n")
    (tmp_path / "words.jac").write_text("node Word {}\n\nwalker archive {}\n")
    toml = tmp_path / "jac.toml"
    toml.write_text('[converge.server.roles]\narchive = ["editor"]\nold = ["editor"]\n')
    command = [COMMAND, "serve", str(file), "--check"]
    ended = subprocess.run(command, text=True, capture_output=True, check=False, timeout=60)
    assert 1 == ended.returncode
    for name in ("archive", "old"):
        text = f"[converge.server.roles] {name}: main.jac and words.jac define one each"
        assert text in ended.stderr


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give the app with walkers at the door."""
    with JacServer(APPS / "guarded" / "guarded.jac", tmp_path_factory.mktemp("guarded")) as server:
        yield server


def knock(server: JacServer, door: str, query: str = "", token: str | None = None) -> int:
    """Call the public walker with a header that the app looks at."""
    headers = {"X-DOOR": door}
    path = f"/walker/visits{query}"
    return server.send("POST", path, {}, headers=headers, token=token).status


@pytest.mark.parametrize(
    ("door", "status"),
    [("open", 200), ("shut", 401), ("asleep", 401), ("odd", 401), ("stuck", 500)],
)
def test_authenticate_lets_in_who_it_says(guarded: JacServer, door: str, status: int) -> None:
    """Nobody else: not where it reports nothing, nor where it fails."""
    assert status == knock(guarded, door)


def test_before_request_refuses_with_its_status(guarded: JacServer) -> None:
    """Before anybody is authenticated; what it wrote stays."""
    assert 418 == knock(guarded, "shut", "?blocked=1")
    headers = {"x-door": "open"}
    seen = guarded.send("POST", "/walker/visits", {}, headers=headers).reports
    assert "/walker/visits" in seen


def test_walkers_at_the_door_let_nobody_in_without_a_token(guarded: JacServer) -> None:
    """They come after our own check, and are no routes."""
    headers = {"x-door": "open"}
    assert 401 == guarded.send("POST", "/walker/own_visits", {}, headers=headers).status
    assert 401 == knock(guarded, "open", token="forged")
    token = guarded.register("visitor")
    own = guarded.send("POST", "/walker/own_visits", {}, headers=headers, token=token)
    assert ["/walker/own_visits"] == own.reports
    assert 404 == guarded.send("POST", "/walker/_authenticate", {}, token=token).status
    assert not [path for path in guarded.get("/openapi.json").body["paths"] if "/_" in path]
