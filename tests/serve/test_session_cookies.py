"""Sessions in cookies: what a page of the app may do, and what no other page may."""

from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest

from tests.serve.app_with_roles import PASSWORD, ROLES
from tests.servers.browser import Browser
from tests.servers.jac_server import Answer, JacServer

WISH = {"X-Session": "cookie"}
HIDDEN = ("jac-access", "jac-refresh")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give an app whose sessions may be in cookies."""
    server = JacServer(ROLES, tmp_path_factory.mktemp("cookies"))
    with (server.file.parent / "jac.toml").open("a") as toml:
        toml.write("[converge.server]\nsession_cookies = true\n")
        toml.write(f'public_url = "http://localhost:{server.port}"\n')
    with server:
        yield server


def cookies_of(answer: Answer) -> dict[str, Any]:
    """Read what a browser would keep."""
    jar: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_all("Set-Cookie") or ():
        jar.load(line)
    return dict(jar)


def begin(server: JacServer, name: str) -> tuple[dict[str, str], str]:
    """Register for cookies; returns the header of cookies, and the CSRF token."""
    body = {"username": name, "password": PASSWORD}
    answer = server.send("POST", "/user/register", body, headers=WISH)
    assert 201 == answer.status, answer.body
    return sent(answer), answer.body["data"]["csrf_token"]


def sent(answer: Answer) -> dict[str, str]:
    """Return the cookies of an answer, as a browser sends them."""
    jar = cookies_of(answer)
    return {"Cookie": "; ".join(f"{name}={one.value}" for name, one in jar.items())}


def test_cookies_hide_the_tokens(server: JacServer) -> None:
    """From scripts and from other sites; the answer has none."""
    body = {"username": "hidden", "password": PASSWORD}
    answer = server.send("POST", "/user/register", body, headers=WISH)
    jar = cookies_of(answer)
    assert {*HIDDEN, "jac-csrf"} == jar.keys()
    assert [True, True, ""] == [jar[name]["httponly"] for name in (*HIDDEN, "jac-csrf")]
    assert {"strict"} == {one["samesite"] for one in jar.values()}
    assert {"/"} == {one["path"] for one in jar.values()}
    data = answer.body["data"]
    assert not {"token", "refresh_token"} & data.keys()
    assert jar["jac-csrf"].value == data["csrf_token"]
    assert all(jar[name].value not in str(answer.body) for name in HIDDEN)


def test_tokens_are_answered_to_whoever_asks_for_no_cookies(server: JacServer) -> None:
    """Machines and apps on phones go on as before."""
    body = {"username": "bearer", "password": PASSWORD}
    answer = server.send("POST", "/user/register", body)
    assert {} == cookies_of(answer)
    assert 200 == server.get("/user/me", token=answer.body["data"]["token"]).status


def test_cookie_needs_the_header(server: JacServer) -> None:
    """Of its own session, for each method, and for what is public."""
    cookies, csrf = begin(server, "header")
    _, other = begin(server, "header-of-another")
    for method, path in (
        ("POST", "/walker/write"),
        ("GET", "/notes/x"),
        ("POST", "/walker/look"),
        ("GET", "/user/me"),
        ("PATCH", "/user/me"),
    ):
        body: Any = None if method == "GET" else {}
        good = cookies | {"X-CSRF-Token": csrf}
        assert 200 == server.send(method, path, body, headers=good).status
        for wrong in ({}, {"X-CSRF-Token": other}, {"X-CSRF-Token": ""}):
            answer = server.send(method, path, body, headers=cookies | wrong)
            assert (403, "CSRF_FAILED") == (answer.status, answer.code)


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_nobody_is_logged_in_by_a_form_of_another_page(server: JacServer, kind: str | None) -> None:
    """A browser sends these kinds of bodies unasked, with the cookies of a sister site."""
    name = f"victim-{kind}".replace("/", "-")
    kept, _ = begin(server, name)
    body = f'{{"username": "{name}", "password": "{PASSWORD}"}}'.encode()
    headers = kept | ({"Content-Type": kind} if kind is not None else {})
    for route in ("/user/login", "/user/register"):
        answer = server.send("POST", route, raw=body, headers=headers)
        assert (422, None) == (answer.status, answer.headers["Set-Cookie"])


def test_answer_to_a_get_stays_out_of_caches(server: JacServer) -> None:
    """They know it by its URL alone, whoever asked."""
    token = server.register("cached")
    answer = server.get("/notes/x", token=token)
    assert (200, "no-store") == (answer.status, answer.headers["Cache-Control"])


def test_session_in_cookies_is_renewed_and_ends(server: JacServer) -> None:
    """By the refresh cookie, with the header; a logout takes them back."""
    cookies, csrf = begin(server, "renewed")
    header = {"X-CSRF-Token": csrf}
    assert 403 == server.send("POST", "/user/refresh", headers=cookies).status
    renewed = server.send("POST", "/user/refresh", headers=cookies | header)
    assert 200 == renewed.status
    assert "token" not in renewed.body["data"]
    after = sent(renewed)
    assert after != cookies
    ended = server.send("POST", "/user/logout", headers=after | header)
    assert {""} == {one.value for one in cookies_of(ended).values()}
    assert 401 == server.send("GET", "/user/me", headers=after | header).status
    assert 401 == server.send("POST", "/user/refresh", headers=after | header).status


def test_script_gets_no_token_out_of_a_cookie(server: JacServer) -> None:
    """Not by a header that says it wants none in cookies."""
    cookies, csrf = begin(server, "out-of-it")
    header = {"X-CSRF-Token": csrf, "Authorization": "Bearer x"}
    answer = server.send("POST", "/user/refresh", headers=cookies | header)
    assert 422 == answer.status
    assert "data" not in answer.body or not answer.body["data"]


def test_logout_ends_a_session_whose_access_cookie_is_gone(server: JacServer) -> None:
    """It ends after an hour, and the session much later."""
    cookies, csrf = begin(server, "late")
    kept = "; ".join(one for one in cookies["Cookie"].split("; ") if "access" not in one)
    header = {"X-CSRF-Token": csrf}
    assert 403 == server.send("POST", "/user/logout", headers={"Cookie": kept}).status
    ended = server.send("POST", "/user/logout", headers={"Cookie": kept} | header)
    assert 200 == ended.status
    assert {""} == {one.value for one in cookies_of(ended).values()}
    assert 401 == server.send("POST", "/user/refresh", headers={"Cookie": kept} | header).status
    assert 401 == server.send("POST", "/user/logout").status


def test_new_password_gives_new_cookies(server: JacServer) -> None:
    """To the browser that sets it, and ends the others."""
    cookies, csrf = begin(server, "new-password")
    body = {"current_password": PASSWORD, "new_password": "another horse"}
    changed = server.send("PUT", "/user/password", body, headers=cookies | {"X-CSRF-Token": csrf})
    assert 200 == changed.status
    assert not {"token", "refresh_token"} & changed.body["data"].keys()
    good = sent(changed) | {"X-CSRF-Token": changed.body["data"]["csrf_token"]}
    assert 200 == server.send("GET", "/user/me", headers=good).status
    assert 401 == server.send("GET", "/user/me", headers=cookies | {"X-CSRF-Token": csrf}).status


def test_header_with_a_token_counts_before_the_cookie(server: JacServer) -> None:
    """And needs no CSRF token: no other site can send it."""
    cookies, _ = begin(server, "both")
    token = server.register("both-bearer")
    told = server.send("GET", "/user/me", token=token, headers=cookies).body["data"]
    assert "both-bearer" == told["username"]


def test_browser_keeps_tokens_from_scripts_and_other_sites(
    server: JacServer, browser: Browser
) -> None:
    """A page of the app sees the CSRF token alone; one of another site writes nothing."""
    own = f"http://localhost:{server.port}"
    begin_here = f"""async () => {{
        const sent = {{method: 'POST', headers: {{'Content-Type': 'application/json',
                       'X-Session': 'cookie'}},
                       body: JSON.stringify({{username: 'by-browser', password: '{PASSWORD}'}})}};
        const data = (await (await fetch('/user/register', sent)).json()).data;
        const csrf = document.cookie.match(/jac-csrf=([^;]+)/)[1];
        const call = await fetch('/walker/write', {{method: 'POST',
                                 headers: {{'X-CSRF-Token': csrf}}}});
        return [Object.keys(data), document.cookie, call.status];
    }}"""
    write_from_there = f"""async () => {{
        await fetch('{own}/walker/write', {{method: 'POST', mode: 'no-cors',
                                           credentials: 'include'}});
        const form = document.createElement('form');
        form.method = 'POST';
        form.action = '{own}/walker/write';
        document.documentElement.append(form);
        form.submit();
    }}"""
    count = f"""async () => {{
        const csrf = document.cookie.match(/jac-csrf=([^;]+)/)[1];
        const answer = await fetch('{own}/notes/x', {{headers: {{'X-CSRF-Token': csrf}}}});
        return (await answer.json()).data.reports[0][1];
    }}"""
    with browser.page() as page:
        page.goto(f"{own}/walkers")
        told, seen, status = page.evaluate(begin_here)
        assert 200 == status
        assert not {"token", "refresh_token"} & set(told)
        assert "jac-csrf=" in seen
        assert [] == [name for name in HIDDEN if name in seen]
        page.goto(f"http://127.0.0.1:{server.port}/walkers")  # another site to a browser
        with page.expect_navigation():
            page.evaluate(write_from_there)
        assert f"{own}/walker/write" == page.url
        page.goto(f"{own}/walkers")
        assert 1 == page.evaluate(count)


def test_new_secret_leaves_sessions_in_cookies_as_they_are(tmp_path: Path) -> None:
    """Like tokens, while the one before is named as a previous one."""
    old, new = "0123456789abcdef-of-the-old-secret", "0123456789abcdef-of-the-new-secret"
    server = JacServer(ROLES, tmp_path / "rotated")
    toml = server.file.parent / "jac.toml"
    text = toml.read_text() + "[converge.server]\nsession_cookies = true\n"
    text += f'public_url = "http://localhost:{server.port}"\n[converge.jwt]\n'
    toml.write_text(f'{text}secret = "{old}"\n')
    with server:
        cookies, csrf = begin(server, "rotated")
        server.terminate()
        toml.write_text(f'{text}secret = "{new}"\nprevious_secrets = ["{old}"]\n')
        server.start()
        headers = {**cookies, "X-CSRF-Token": csrf}
        assert 200 == server.send("GET", "/user/me", headers=headers).status
        assert 403 == server.send("GET", "/user/me", headers=cookies).status
