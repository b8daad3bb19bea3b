"""Accounts and tokens over HTTP, on a real server."""

import os
import socket
import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.servers.jac_server import JacServer
from tests.servers.mongo_server import MongoServer
from tests.servers.tcp_proxy import TcpProxy

TRAPS = Path(__file__).parent / "apps" / "traps.jac"
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give one worker with the app of traps."""
    env = os.environ | {"FORWARDED_ALLOW_IPS": "127.0.0.1"}
    with JacServer(TRAPS, tmp_path_factory.mktemp("accounts"), env=env) as running:
        yield running


def nested(name: str, password: str = PASSWORD, *, register: bool = False) -> dict[str, Any]:
    """Make a body as jaclang's client runtime sends it."""
    identity = {"type": "username", "value": name}
    credential = {"type": "password", "password": password}
    key: dict[str, Any] = {"identities": [identity]} if register else {"identity": identity}
    return key | {"credential": credential}


def test_register_and_login_speak_for_one_account(server: JacServer) -> None:
    """Both give a token, and both tokens the same root."""
    made = server.send("POST", "/user/register", nested("reg", register=True))
    assert 201 == made.status
    fields = {"username", "user_id", "root_id", "role", "token", "refresh_token", "expires_in"}
    assert fields == made.body["data"].keys()
    assert "no-store" == made.headers["Cache-Control"]
    again = server.send("POST", "/user/login", nested("reg"))
    assert 200 == again.status
    assert made.body["data"]["root_id"] == again.body["data"]["root_id"]
    info = server.get("/user/info", token=again.body["data"]["token"]).body["data"]
    assert ("reg", made.body["data"]["root_id"]) == (info["username"], info["root_id"])


def test_flat_bodies_are_read_too(server: JacServer) -> None:
    """Clients of before sent username and password."""
    server.register("flat")
    body = {"username": "flat", "password": PASSWORD}
    assert 200 == server.send("POST", "/user/login", body).status


def test_name_is_taken_once_even_in_a_race(server: JacServer) -> None:
    """The store refuses the second, also where it differs in case or width alone."""
    names = ["Räce", "räce", "RÄCE", "\uff52äce"] * 2
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda name: server.send("POST", "/user/register", nested(name, register=True)),
                names,
            )
        )
    assert [201] + [400] * 7 == sorted(answer.status for answer in answers)
    assert {"USER_EXISTS"} == {answer.code for answer in answers if answer.status == 400}


def test_name_is_kept_without_what_surrounds_it(server: JacServer) -> None:
    """Blanks are no part of it, however many."""
    answer = server.send("POST", "/user/register", nested(f"{' ' * 500} ann  ", register=True))
    assert (201, "ann") == (answer.status, answer.body["data"]["username"])


@pytest.mark.parametrize(
    ("name", "password"),
    [
        pytest.param("", PASSWORD, id="no-name"),
        pytest.param("a\nb", PASSWORD, id="unprintable-name"),
        pytest.param("x" * 300, PASSWORD, id="long-name"),
        pytest.param("short", "1234567", id="short-password"),
    ],
)
def test_unfit_registration_is_refused(server: JacServer, name: str, password: str) -> None:
    """400 with the reason."""
    answer = server.send("POST", "/user/register", nested(name, password, register=True))
    assert (400, "REGISTRATION_REFUSED") == (answer.status, answer.code)


def test_wrong_login_does_not_say_what_is_wrong(server: JacServer) -> None:
    """An unknown name and a wrong password give the same answer."""
    server.register("known")
    unknown = server.send("POST", "/user/login", nested("unknown"))
    wrong = server.send("POST", "/user/login", nested("known", "wrong password"))
    assert 401 == unknown.status
    assert (unknown.status, unknown.body["error"]) == (wrong.status, wrong.body["error"])


def test_new_password_ends_old_tokens(server: JacServer) -> None:
    """The token of the answer works, that of before does not, nor does the old password."""
    old = server.register("pass")
    body = {"username": "pass", "current_password": PASSWORD, "new_password": "new password"}
    changed = server.send("PUT", "/user/password", body, token=old)
    assert 200 == changed.status
    assert 401 == server.get("/user/info", token=old).status
    assert 401 == server.call("/walker/boxes", old).status
    assert 200 == server.get("/user/info", token=changed.body["data"]["token"]).status
    assert 401 == server.send("POST", "/user/login", nested("pass")).status
    assert 200 == server.send("POST", "/user/login", nested("pass", "new password")).status


def test_password_needs_the_current_one(server: JacServer) -> None:
    """A token alone is not enough."""
    token = server.register("current")
    body = {"username": "current", "current_password": "wrong", "new_password": "new password"}
    answer = server.send("PUT", "/user/password", body, token=token)
    assert (400, "UPDATE_FAILED") == (answer.status, answer.code)
    assert 200 == server.get("/user/info", token=token).status


def test_new_name_moves_the_account(server: JacServer) -> None:
    """The old name is free, the new one logs in, the token stays valid."""
    token = server.register("before")
    body = {"current_username": "before", "new_username": "after"}
    answer = server.send("PUT", "/user/username", body, token=token)
    assert (200, token) == (
        answer.status,
        answer.body["data"]["token"],
    )  # a new one would outlive it
    assert "after" == server.get("/user/info", token=token).body["data"]["username"]
    assert 401 == server.send("POST", "/user/login", nested("before")).status
    assert 200 == server.send("POST", "/user/login", nested("after")).status
    server.register("before")


def test_taken_name_is_refused(server: JacServer) -> None:
    """And nothing changes."""
    token = server.register("mover")
    server.register("owner")
    body = {"current_username": "mover", "new_username": "owner"}
    answer = server.send("PUT", "/user/username", body, token=token)
    assert (400, "UPDATE_FAILED") == (answer.status, answer.code)
    assert "mover" == server.get("/user/info", token=token).body["data"]["username"]


def test_nobody_changes_another_account(server: JacServer) -> None:
    """A name that is not one's own is 403."""
    token = server.register("mallory")
    server.register("victim")
    body = {"current_username": "victim", "new_username": "gone"}
    assert 403 == server.send("PUT", "/user/username", body, token=token).status
    password = {
        "username": "victim",
        "current_password": PASSWORD,
        "new_password": "new password",
    }
    assert 403 == server.send("PUT", "/user/password", password, token=token).status


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"aud": "another-app"}, id="audience"),
        pytest.param({"iss": "another-issuer"}, id="issuer"),
        pytest.param({"exp": 1}, id="expired"),
        pytest.param({"nbf": 4102444800}, id="not-yet"),
        pytest.param({"ver": 2}, id="version"),
        pytest.param({"sub": "account:0"}, id="account"),
        pytest.param({"ver": "1"}, id="version-as-text"),
    ],
)
def test_token_is_pinned(server: JacServer, change: dict[str, Any]) -> None:
    """Signed with the right secret, but wrong in one claim."""
    secret = (server.file.parent / ".jac" / "converge" / "jwt-secret").read_text()
    name = f"pinned-{'-'.join(map(str, (*change, *change.values())))}"
    token = server.register(name)
    good = jwt.decode(token, options={"verify_signature": False})
    header = {"kid": jwt.get_unverified_header(token)["kid"]}
    forged = jwt.encode(good | change, secret, algorithm="HS256", headers=header)
    same = jwt.encode(good, secret, headers=header)
    assert 200 == server.get("/user/info", token=same).status
    assert 401 == server.get("/user/info", token=forged).status


def test_token_without_signature_is_refused(server: JacServer) -> None:
    """`alg: none`, and another algorithm with the right secret."""
    token = server.register("unsigned")
    good = jwt.decode(token, options={"verify_signature": False})
    secret = (server.file.parent / ".jac" / "converge" / "jwt-secret").read_text()
    assert 401 == server.get("/user/info", token=jwt.encode(good, "", algorithm="none")).status
    other = jwt.encode(good, secret, algorithm="HS512")
    assert 401 == server.get("/user/info", token=other).status


def test_minted_secret_is_for_its_owner_alone(server: JacServer) -> None:
    """256 bits in a file of mode 0600; the passwords on the shelf are argon2id hashes."""
    file = server.file.parent / ".jac" / "converge" / "jwt-secret"
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert 64 == len(file.read_text())
    server.register("hashed")
    shelf = b"".join(path.read_bytes() for path in file.parent.glob("shelf.db*"))
    assert b"$argon2id$" in shelf
    assert PASSWORD.encode() not in shelf


def test_account_that_takes_too_long_is_told_apart_from_one_that_was_made(
    mongo_server: MongoServer, tmp_path: Path
) -> None:
    """A login changes nothing; a registration may have happened yet."""
    with TcpProxy(mongo_server.port) as proxy:
        url = f"mongodb://127.0.0.1:{proxy.port}/accounts?socketTimeoutMS=20000"
        with JacServer(TRAPS, tmp_path, env=os.environ | {"MONGODB_URI": url}) as server:
            server.register("early")
            proxy.stall()
            login = server.send("POST", "/user/login", nested("early"))
            late = server.send("POST", "/user/register", nested("late", register=True))
            proxy.resume()
    assert (504, "TIMEOUT") == (login.status, login.code)
    assert (504, "OUTCOME_UNKNOWN") == (late.status, late.code)


def test_logins_wait_in_no_walkers_thread(server: JacServer) -> None:
    """Hashes take turns; whoever waits for one must not hold up a call."""
    server.register("crowd")
    with ThreadPoolExecutor(80) as pool:
        logins = [
            pool.submit(server.send, "POST", "/user/login", nested(f"crowd-{one}", "wrong horse"))
            for one in range(80)
        ]
        assert 200 == server.call("/function/reporting").status
        assert not all(login.done() for login in logins)
        # On a slow machine the last in the queue wait too long.
        assert {401} <= {login.result().status for login in logins} <= {401, 504}


def login(server: JacServer, name: str) -> dict[str, Any]:
    """Begin a session of an account."""
    answer = server.send("POST", "/user/login", nested(name))
    assert 200 == answer.status, answer.body
    data: dict[str, Any] = answer.body["data"]
    return data


@pytest.mark.parametrize("route", ["/user/refresh", "/user/refresh-token"])
def test_refresh_gives_new_tokens_for_the_same_account(server: JacServer, route: str) -> None:
    """An access token is for jac-scale's route alone."""
    name = f"renewed-{route[6:]}"
    server.register(name)
    begun = login(server, name)
    answer = server.send("POST", route, {"refresh_token": begun["refresh_token"]})
    assert 200 == answer.status
    renewed = answer.body["data"]
    assert begun["root_id"] == renewed["root_id"]
    assert begun["refresh_token"] != renewed["refresh_token"]
    assert 200 == server.call("/walker/boxes", renewed["token"]).status
    by_access = 200 if route == "/user/refresh-token" else 401
    assert by_access == server.send("POST", route, {"refresh_token": begun["token"]}).status


def test_logout_ends_its_session_at_once(server: JacServer) -> None:
    """For walkers too; the other session goes on until all of them end."""
    server.register("leaving")
    one, two = login(server, "leaving"), login(server, "leaving")
    assert 200 == server.send("POST", "/user/logout", token=one["token"]).status
    assert 401 == server.call("/walker/boxes", one["token"]).status
    assert 401 == server.send("POST", "/user/logout", token=one["token"]).status
    used = {"refresh_token": one["refresh_token"]}
    assert 401 == server.send("POST", "/user/refresh", used).status
    assert 200 == server.call("/walker/boxes", two["token"]).status
    assert 200 == server.send("POST", "/user/logout-everywhere", token=two["token"]).status
    assert 401 == server.call("/walker/boxes", two["token"]).status
    used = {"refresh_token": two["refresh_token"]}
    assert 401 == server.send("POST", "/user/refresh", used).status


def test_access_token_is_exchanged_as_by_clients_of_jac_scale(server: JacServer) -> None:
    """With and without `Bearer`, as long as its session goes on."""
    server.register("exchanging")
    begun = login(server, "exchanging")
    for token in (begun["token"], f"Bearer {begun['token']}"):
        answer = server.send("POST", "/user/refresh-token", {"token": token})
        assert 200 == answer.status
        assert {"token", "message"} <= answer.body["data"].keys()
        assert 200 == server.call("/walker/boxes", answer.body["data"]["token"]).status
    assert 200 == server.send("POST", "/user/logout", token=begun["token"]).status
    assert 401 == server.send("POST", "/user/refresh-token", {"token": begun["token"]}).status
    assert 401 == server.send("POST", "/user/refresh-token", {"token": "no token"}).status


def test_logout_by_refresh_token_needs_no_other(server: JacServer) -> None:
    """The access token may have expired; one that is sent beside it is not looked at."""
    server.register("expired")
    begun = login(server, "expired")
    body = {"refresh_token": begun["refresh_token"]}
    assert 200 == server.send("POST", "/user/logout", body, token="expired").status
    assert 401 == server.call("/walker/boxes", begun["token"]).status
    assert 401 == server.send("POST", "/user/logout", body).status
    assert 401 == server.send("POST", "/user/logout").status


def forwarded(address: str) -> dict[str, str]:
    """Make the headers of a proxy on this machine, which the server trusts."""
    return {"X-Forwarded-For": address}


def test_owner_logs_in_while_others_guess(server: JacServer) -> None:
    """From the address they use; and changes the password from there, too."""
    home, name = forwarded("8.8.4.4"), "under-attack"
    server.register(name)
    token = server.send("POST", "/user/login", nested(name), headers=home).body["data"]["token"]
    wrong = nested(name, "wrong horse")
    for number in range(4):
        sent = [
            server.send("POST", "/user/login", wrong, headers=forwarded(f"9.9.9.{number}"))
            for _ in range(6)
        ]
        assert [401] * 5 + [429] == [answer.status for answer in sent]
    assert 200 == server.send("POST", "/user/login", nested(name), headers=home).status
    new = {"current_password": PASSWORD, "new_password": "another horse"}
    assert 200 == server.send("PUT", "/user/password", new, token=token, headers=home).status


def test_guesses_at_once_do_not_share_a_slot(server: JacServer) -> None:
    """However many arrive before the first of them is found to be wrong."""
    server.register("burst")
    with ThreadPoolExecutor(16) as pool:
        sent = list(
            pool.map(
                lambda _: server.send("POST", "/user/login", nested("burst", "wrong horse")),
                range(16),
            )
        )
    statuses = [answer.status for answer in sent]
    assert {401, 429} == set(statuses)
    assert 5 >= statuses.count(401)


def test_registrations_from_one_address_have_to_wait(server: JacServer) -> None:
    """After twenty of them."""
    headers = forwarded("7.7.7.7")
    made = [
        server.send(
            "POST", "/user/register", nested(f"many-{number}", register=True), headers=headers
        ).status
        for number in range(21)
    ]
    assert [201] * 20 + [429] == made
    other = nested("many-more", register=True)
    assert 201 == server.send("POST", "/user/register", other, headers=forwarded("7.7.7.8")).status


def test_hash_that_cannot_be_read_is_a_wrong_password(tmp_path: Path) -> None:
    """A document that came from elsewhere, or was damaged, is no error of ours."""
    with JacServer(TRAPS, tmp_path) as server:
        server.register("damaged")
        shelf = tmp_path / ".jac" / "converge" / "shelf.db"
        with closing(sqlite3.connect(shelf)) as connection, connection:
            connection.execute(
                "UPDATE documents SET body = replace(body, '$argon2id$', '$argon9id$')"
            )
        assert 401 == server.send("POST", "/user/login", nested("damaged")).status


def test_head_without_end_is_cut_off(server: JacServer) -> None:
    """Many headers, one long one, a long path; and one that never ends."""
    many = {f"X-{number}": "1" for number in range(200)}
    assert 431 == server.send("GET", "/", headers=many).status
    assert 431 == server.send("GET", "/", headers={"X-Long": "1" * 40_000}).status
    assert 431 == server.get(f"/{'x' * 40_000}").status
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\nX-Endless: ")
        with suppress(OSError):  # it may be gone already
            for _ in range(100):
                connection.sendall(b"1" * 10_000)
        received = b""
        with suppress(ConnectionError):
            while part := connection.recv(4096):
                received += part
        assert received.startswith(b"HTTP/1.1 431") or not received
    assert 200 == server.get("/healthz/live").status


def test_published_default_secret_of_jac_scale_forges_nothing(server: JacServer) -> None:
    """Neither as its tokens look, nor as ours do."""
    known = "supersecretkey_for_testing_only!"
    token = server.register("default-secret")
    good = jwt.decode(token, options={"verify_signature": False})
    header = {"kid": jwt.get_unverified_header(token)["kid"]}
    theirs = {"username": "admin", "role": "admin", "exp": 4102444800}
    for claims, headers in ((theirs, {}), (good, {}), (good, header)):
        forged = jwt.encode(claims, known, algorithm="HS256", headers=headers)
        assert 401 == server.get("/user/info", token=forged).status


def test_account_with_a_name_and_an_address_logs_in_by_either(server: JacServer) -> None:
    """As jac-scale's clients register; its case does not matter, and nobody has checked it."""
    names = [
        {"type": "username", "value": "both"},
        {"type": "email", "value": "Both@Example.org"},
    ]
    body = {"identities": names, "credential": {"type": "password", "password": PASSWORD}}
    made = server.send("POST", "/user/register", body).body["data"]
    assert "both" == made["username"]
    for sent in (
        {"type": "username", "value": "BOTH"},
        {"type": "email", "value": "both@example.org"},
        {"type": "username", "value": "BOTH@EXAMPLE.ORG"},
    ):
        login = {"identity": sent, "credential": {"type": "password", "password": PASSWORD}}
        found = server.send("POST", "/user/login", login).body["data"]
        assert made["user_id"] == found["user_id"]
    me = server.get("/user/me", token=made["token"]).body["data"]
    assert [one | {"verified": False} for one in names] == me["identities"]
    again = server.send(
        "POST", "/user/register", {"username": "both@example.org", "password": PASSWORD}
    )
    assert (400, "USER_EXISTS") == (again.status, again.code)


def test_password_changes_without_the_name_too(server: JacServer) -> None:
    """As jac-scale's clients send it."""
    token = server.register("nameless")
    body = {"current_password": PASSWORD, "new_password": "another horse"}
    assert 200 == server.send("PUT", "/user/password", body, token=token).status
    assert 401 == server.get("/user/info", token=token).status


def test_keys_of_a_secret_are_not_published(server: JacServer) -> None:
    """There is nothing public about them."""
    answer = server.get("/.well-known/jwks.json")
    assert (200, {"keys": []}) == (answer.status, answer.body)


def test_key_is_rotated_without_a_logout_and_shared_by_all_workers(tmp_path: Path) -> None:
    """From a minted secret to a key that follows from a new one, over a restart of two workers."""
    with JacServer(TRAPS, tmp_path, "--workers", "2") as server:
        server.register("staying")
        begun = login(server, "staying")
    secret = (tmp_path / ".jac" / "converge" / "jwt-secret").read_text()
    toml = tmp_path / "jac.toml"
    toml.write_text(
        f"""{toml.read_text() if toml.exists() else ""}
[converge.jwt]
secret = "{"n" * 64}"
algorithm = "EdDSA"
previous_secrets = ["{secret}"]
"""
    )
    with server:
        assert 200 == server.call("/walker/boxes", begun["token"]).status
        used = {"refresh_token": begun["refresh_token"]}
        token = server.send("POST", "/user/refresh", used).body["data"]["token"]
        assert "EdDSA" == jwt.get_unverified_header(token)["alg"]
        for _ in range(20):
            assert 200 == server.call("/walker/boxes", token).status
        keys = jwt.PyJWKSet.from_dict(server.get("/.well-known/jwks.json").body)
        key = keys[jwt.get_unverified_header(token)["kid"]]
        assert jwt.decode(token, key.key, ["EdDSA"], options={"verify_aud": False})


def test_me_tells_role_and_identities(server: JacServer) -> None:
    """Whoever registers is a user, whatever they ask for."""
    body = nested("asking", register=True) | {"role": "admin", "profile": {"role": "admin"}}
    token = server.send("POST", "/user/register", body).body["data"]["token"]
    me = server.get("/user/me", token=token).body["data"]
    assert ("asking", "user") == (me["username"], me["role"])
    known = {"type": "username", "value": "asking", "verified": False}
    assert [known] == me["identities"]
    assert 401 == server.get("/user/me").status


def test_there_is_no_default_admin(server: JacServer) -> None:
    """Nor a route that would know one."""
    for name, password in (("admin", "changeme"), ("admin", "admin"), ("admin", "password")):
        assert 401 == server.send("POST", "/user/login", nested(name, password)).status
    assert 404 == server.send("POST", "/admin/login", nested("admin", "changeme")).status


@pytest.mark.parametrize("known", [True, False], ids=["account", "nobody"])
def test_guesses_have_to_wait_and_nothing_tells_whose_the_name_is(
    server: JacServer, *, known: bool
) -> None:
    """After five of them not even the right password is looked at, for a moment."""
    name = f"guessed-{known}"
    if known:
        server.register(name)
    wrong = [server.send("POST", "/user/login", nested(name, "wrong horse")) for _ in range(5)]
    assert [401] * 5 == [answer.status for answer in wrong]
    answer = server.send("POST", "/user/login", nested(name))
    assert (429, "TOO_MANY_REQUESTS") == (answer.status, answer.code)
    assert 1 <= int(answer.headers["Retry-After"])


def test_what_happens_to_accounts_is_logged_without_secrets(server: JacServer) -> None:
    """What, whose and from where; names, tokens and passwords stay out."""
    name, password = "audited-name", "audited password"
    assert (
        201 == server.send("POST", "/user/register", nested(name, password, register=True)).status
    )
    assert 401 == server.send("POST", "/user/login", nested(name, "guessed password")).status
    begun = server.send("POST", "/user/login", nested(name, password)).body["data"]
    used = {"refresh_token": begun["refresh_token"]}
    first = server.send("POST", "/user/refresh", used).body["data"]
    again = {"refresh_token": first["refresh_token"]}
    last = server.send("POST", "/user/refresh", again).body["data"]
    assert 401 == server.send("POST", "/user/refresh", used).status
    log = server.log_text()
    account = f"account={begun['user_id']} address=127.0.0.1"
    events = ("register", "login", "refresh", "refresh_reused")
    assert [] == [event for event in events if f"auth {event} {account}" not in log]
    assert f"auth login_failed {account}" in log
    secret = (server.file.parent / ".jac" / "converge" / "jwt-secret").read_text()
    hidden = [name, password, "guessed password", secret]
    hidden += [data[key] for data in (begun, first, last) for key in ("token", "refresh_token")]
    assert [] == [text for text in hidden if text in log]


def test_every_answer_has_the_headers_of_security(server: JacServer) -> None:
    """Those of errors too; and no page of somebody else reads an answer, with or without login."""
    sent = {"Origin": "https://attacker.example"}
    for path in ("/", "/docs", "/user/info", "/nowhere"):
        headers = server.send("GET", path, headers=sent).headers
        assert "nosniff" == headers["X-Content-Type-Options"]
        assert "DENY" == headers["X-Frame-Options"]
        assert "no-referrer" == headers["Referrer-Policy"]
        assert headers["Access-Control-Allow-Origin"] is None
        assert headers["Access-Control-Allow-Credentials"] is None


def test_nobody_is_sent_to_the_host_of_a_request(server: JacServer) -> None:
    """By a path with one slash too many, or a page's; and no answer has a URL that they made up."""
    wanted = {"/walkers/": 200, "/user/login/": 405, "//attacker.example/..": 404, "/docs/": 404}
    for path, status in wanted.items():
        answer = server.send("GET", path, headers={"Host": "attacker.example"})
        assert (status, None) == (answer.status, answer.headers["Location"])
        assert "attacker.example/walkers" not in str(answer.body)


def test_password_is_not_guessed_by_a_token(server: JacServer) -> None:
    """Whoever has found one waits like somebody at the door."""
    token = server.register("found")
    body = {"username": "found", "current_password": "wrong", "new_password": "new password"}
    wrong = [server.send("PUT", "/user/password", body, token=token) for _ in range(5)]
    assert [400] * 5 == [answer.status for answer in wrong]
    answer = server.send("PUT", "/user/password", body, token=token)
    assert (429, "TOO_MANY_REQUESTS") == (answer.status, answer.code)
