"""Who gets what answer: every route of the OpenAPI document, by everybody who may ask.

Rows of walkers and functions follow from the document; a route of ours without a row fails. It is
asked for what belongs to one user, by nobody, by an expired token, by another user, by that user,
by an admin, and by an API key of that user.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import jwt
import pytest

from tests.serve.app_with_roles import PASSWORD, ROLES, make_admin
from tests.servers.jac_server import JacServer

SECRET = "0123456789abcdef0123456789abcdef-of-tests"
CALLERS = ("nobody", "expired", "other", "own", "admin", "key")
NAME = "{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Whose things are asked for, and who asks."""

    name: str
    root: str
    refresh: str
    key_id: str
    tokens: Mapping[str, str | None]
    """Caller -> what to send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The server, and how to get people."""

    server: JacServer
    document: Mapping[str, Any]
    boss: str
    """Token of the first admin, who makes others."""

    def people(self) -> People:
        """Make an owner, another user, and an admin."""
        server, name = self.server, f"owner-{uuid4().hex[:8]}"
        body = {"username": name, "password": PASSWORD}
        owner = server.send("POST", "/user/register", body).body["data"]
        token = owner["token"]
        made = server.send(
            "POST", "/user/keys", {"name": "k", "current_password": PASSWORD}, token=token
        ).body["data"]
        admin = server.register(f"admin-{name}")
        given = {"role": "admin", "current_password": PASSWORD}
        server.send("PUT", f"/admin/users/admin-{name}", given, token=self.boss)
        tokens = {
            "nobody": None,
            "expired": expired(token),
            "other": server.register(f"other-{uuid4().hex[:8]}"),
            "own": token,
            "admin": admin,
            "key": made["key"],
        }
        return People(
            name=name,
            root=owner["root_id"],
            refresh=owner["refresh_token"],
            key_id=made["id"],
            tokens=tokens,
        )


def expired(token: str) -> str:
    """Sign a token once more, as it would have been an hour and a minute ago."""
    claims = jwt.decode(token, options={"verify_signature": False})
    old = {key: claims[key] - 3660 for key in ("iat", "nbf", "exp")}
    header = {"kid": jwt.get_unverified_header(token)["kid"]}
    return jwt.encode(claims | old, SECRET, headers=header)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give an app with everything switched on."""
    folder = tmp_path_factory.mktemp("matrix")
    server = JacServer(ROLES, folder, env=os.environ | {"JWT_SECRET": SECRET})
    with (folder / "jac.toml").open("a") as toml:
        toml.write("[converge.server]\nmetrics_enabled = true\n")
        toml.write("[converge.mail]\nsmtp_url = 'smtp://localhost:9'\nsender = 'a@app.test'\n")
        toml.write("verify_url = 'https://app.test/v'\nreset_url = 'https://app.test/r'\n")
        toml.write("[converge.sso.corp]\nissuer = 'http://localhost:9'\nclient_id = 'app'\n")
    make_admin(server)
    with server:
        boss = server.send("POST", "/user/login", {"username": "boss", "password": PASSWORD})
        yield World(
            server=server,
            document=server.get("/openapi.json").body,
            boss=boss.body["data"]["token"],
        )


@pytest.fixture(scope="module")
def settled(world: World) -> People:
    """Give people for rows that change nobody."""
    return world.people()


type Row = tuple[int, int, int, int, int, int]
type Sent = Callable[[People], Any]

SAME: Row = (200,) * 6
PRIVATE: Row = (401, 401, 200, 200, 200, 403)
PUBLIC: Row = (200, 401, 200, 200, 200, 200)


def nothing(_: People) -> None:
    """Send no body."""


def same(body: Any) -> Sent:
    """Send this, whoever the owner is."""
    return lambda _: body


def of(**fields: Any) -> Sent:
    """Send fields, in which a text may have the name of the owner."""

    def sent(people: People) -> Any:
        return _filled(fields, people)

    return sent


def _filled(value: Any, people: People) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, people) for key, item in value.items()}
    if callable(value):
        return value(people)
    return value.replace(NAME, people.name) if isinstance(value, str) else value


def new_name(_: People) -> str:
    """Make a name that nobody has."""
    return f"new-{uuid4().hex[:8]}"


OURS: Mapping[str, tuple[Row, Sent]] = {
    "GET /": (SAME, nothing),
    "GET /walkers": (SAME, nothing),
    "GET /functions": (SAME, nothing),
    "GET /walker/{name}": (PUBLIC, nothing),
    "GET /function/{name}": ((401, 401, 403, 403, 200, 403), nothing),
    "GET /healthz/live": (SAME, nothing),
    "GET /healthz/ready": (SAME, nothing),
    "GET /.well-known/jwks.json": (SAME, nothing),
    "GET /docs": (SAME, nothing),
    "GET /redoc": (SAME, nothing),
    "GET /openapi.json": (SAME, nothing),
    "GET /metrics": (SAME, nothing),
    "POST /user/register": ((201,) * 6, of(username=new_name, password=PASSWORD)),
    "POST /user/login": (SAME, of(username=NAME, password=PASSWORD)),
    "POST /user/refresh": (SAME, of(refresh_token=lambda people: people.refresh)),
    "POST /user/refresh-token": (SAME, of(token=lambda people: people.refresh)),
    "POST /user/logout": (PRIVATE, nothing),
    "POST /user/logout-everywhere": (PRIVATE, nothing),
    "GET /user/info": (PRIVATE, nothing),
    "GET /user/me": (PRIVATE, nothing),
    "PATCH /user/me": (PRIVATE, of(profile={"a": 1})),
    "DELETE /user/me": ((401, 401, 400, 400, 400, 403), of(current_password="a wrong one")),
    "PUT /user/username": (
        (401, 401, 403, 200, 403, 403),
        of(current_username=NAME, new_username=new_name),
    ),
    "PUT /user/password": (
        (401, 401, 403, 200, 403, 403),
        of(username=NAME, current_password=PASSWORD, new_password=PASSWORD),
    ),
    "POST /user/add-identity": (
        (401, 401, 400, 200, 400, 403),
        of(identity={"type": "username", "value": NAME}),
    ),
    "POST /user/remove-identity": (
        (401, 401, 400, 400, 400, 403),
        of(identity={"type": "username", "value": NAME}, current_password=PASSWORD),
    ),
    "POST /user/keys": ((401, 401, 201, 201, 201, 403), of(name="k", current_password=PASSWORD)),
    "GET /user/keys": (PRIVATE, nothing),
    # The key has been revoked by its owner when it is its turn.
    "DELETE /user/keys/{id_}": ((401, 401, 404, 200, 404, 403), nothing),
    "PUT /admin/users/{name}": (
        (401, 401, 403, 403, 200, 403),
        of(role="user", current_password=PASSWORD),
    ),
    "POST /user/send-verification": ((401, 401, 400, 400, 400, 403), nothing),
    "POST /user/verify-identity": ((401, 401, 400, 400, 400, 403), of(code="no code")),
    "POST /user/forgot-password": ((400,) * 6, of(email="no address")),
    "POST /user/reset-password": ((400,) * 6, of(code="no code", new_password=PASSWORD)),
    "GET /sso": (SAME, nothing),
    "POST /sso/token": ((400,) * 6, of(code="no code")),
    "GET /sso/{provider}/login": ((503,) * 6, nothing),
    "GET /sso/{provider}/register": ((503,) * 6, nothing),
    "POST /sso/{provider}/link": (
        (401, 401, 503, 503, 503, 403),
        of(current_password=PASSWORD),
    ),
    "GET /sso/{provider}/callback": ((400,) * 6, nothing),
    "POST /sso/{provider}/callback": ((303,) * 6, nothing),
}
"""Route -> the status for each of `CALLERS`, and what to send."""

UNDESCRIBED = {"GET /docs", "GET /redoc", "GET /openapi.json", "GET /metrics"}


def path_of(route: str, people: People) -> str:
    """Fill in the path of a route of ours with what is the owner's."""
    described = "publish" if route.startswith("GET /function") else "look"
    name = people.name if route.startswith("PUT /admin") else described
    path = route.partition(" ")[2]
    filled = {"{name}": name, "{id_}": people.key_id, "{provider}": "corp"}
    for field, value in filled.items():
        path = path.replace(field, value)
    return path


def statuses(
    server: JacServer, method: str, path: str, people: People, sent: Sent = nothing
) -> tuple[int, ...]:
    """Ask by everybody, in the order of `CALLERS`."""
    return tuple(
        server.send(method, path, sent(people), token=people.tokens[caller]).status
        for caller in CALLERS
    )


def apps_own(path: str, described: Mapping[str, Any]) -> bool:
    """Say whether a route is one of the app's walkers or functions."""
    return bool({"walker", "function"} & set(described["tags"])) and "{name}" not in path


def test_every_route_has_a_row(world: World) -> None:
    """A new one of ours is here, or this fails; and none that is gone."""
    described = {
        f"{method.upper()} {path}"
        for path, methods in world.document["paths"].items()
        for method, told in methods.items()
        if not apps_own(path, told)
    }
    assert OURS.keys() - UNDESCRIBED == described


@pytest.mark.parametrize("route", OURS)
def test_route_of_ours_answers_who_may_ask(world: World, settled: People, route: str) -> None:
    """To the letter, for each."""
    expected, sent = OURS[route]
    # What ends something gets people of its own.
    people = settled if route.startswith("GET") or expected == SAME else world.people()
    method, path = route.partition(" ")[0], path_of(route, people)
    assert expected == statuses(world.server, method, path, people, sent)


def test_calls_answer_who_may_call(world: World, settled: People) -> None:
    """Every walker and function, at one's root, and at the root of a user, however that is said."""
    wrong, seen = [], 0
    for path, methods in world.document["paths"].items():
        for method, told in methods.items():
            if not apps_own(path, told):
                continue
            for where, expected in rows(path, told):
                given = body_of(told, world.document, at=settled.root if where else None)
                filled = path.replace("{node}", settled.root).replace("{label}", "x")
                got = statuses(world.server, method.upper(), filled, settled, same(given))
                seen += 1
                if got != expected:
                    wrong.append(
                        (method, path, where, dict(zip(CALLERS, got, strict=True)), expected)
                    )
    assert [] == wrong
    assert seen > 20


def rows(path: str, told: Mapping[str, Any]) -> Iterator[tuple[bool, Row]]:
    """Give what to expect: without a node in the body, and with one where there may be one."""
    at_node = "{node}" in path
    yield False, row(told, at_node=at_node)
    if not at_node and "walker" in told["tags"] and "requestBody" in told:
        yield True, row(told, at_node=True)


def row(told: Mapping[str, Any], *, at_node: bool) -> Row:
    """Say who may call: by roles, by a token, or everybody; and nobody else's node is there."""
    roles = told.get("x-roles", ())
    public = "(public)" in told["summary"]
    others = 404 if at_node else 200
    user = 403 if roles and "user" not in roles else 0
    admin = 403 if roles and "admin" not in roles else 0
    own = user or 200
    nobody = others if public else 401
    return nobody, 401, user or others, own, admin or others, own


def body_of(told: Mapping[str, Any], document: Mapping[str, Any], *, at: str | None) -> Any:
    """Fill in what a call needs, by its schema."""
    if "requestBody" not in told:
        return None
    schema = told["requestBody"]["content"]["application/json"]["schema"]
    named = [schema, *schema.get("anyOf", ())]
    (reference,) = (one["$ref"] for one in named if "$ref" in one)
    model = document["components"]["schemas"][reference.rpartition("/")[2]]
    body = dict.fromkeys(model.get("required", ()), "x")
    return body | ({"_jac_spawn_node": at} if at is not None else {})


def test_nobody_changes_the_node_of_somebody_else(world: World, settled: People) -> None:
    """Nor reads it, nor starts there; what the owner finds is what the owner wrote."""
    server, tokens = world.server, settled.tokens
    (note,) = server.call("/walker/write", tokens["own"]).reports
    seen = statuses(server, "POST", f"/walker/peek/{note}", settled)
    assert (404, 401, 404, 200, 404, 200) == seen
    strangers = [tokens[caller] for caller in ("nobody", "expired", "other", "admin")]
    changed = [server.call(f"/walker/change/{note}", one).status for one in strangers]
    assert [401, 401, 404, 404] == changed
    assert ["mine"] == server.call(f"/walker/peek/{note}", tokens["own"]).reports
    assert 200 == server.call(f"/walker/change/{note}", tokens["key"]).status
    assert ["changed"] == server.call(f"/walker/peek/{note}", tokens["own"]).reports
