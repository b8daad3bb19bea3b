"""Our own logins, seen by an attacker: another's browser, another's code, another's address."""

import json
from http.cookies import SimpleCookie
from time import time
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import pytest
from playwright.sync_api import Page

from jac_converge.app_runtime.sso.seal import Seal
from tests.serve.sso.app_with_sso import (
    SECRET,
    fill_in,
    held_back,
    landed,
    log_in,
    open_login,
    query_of,
    visit,
)
from tests.serve.sso.conftest import JWT_SECRET
from tests.servers.browser import Browser
from tests.servers.jac_server import JacServer
from tests.servers.openid_provider import OpenIdProvider

STATE = (400, "SSO_STATE_INVALID")
PASSWORD = "correct horse"


def sealed(page: Page) -> dict[str, str]:
    """Return the cookies of a login that has begun, as Playwright sets them."""
    (cookie,) = [one for one in page.context.cookies() if one["name"].startswith("jac-sso-")]
    return {"name": cookie["name"], "value": cookie["value"], "domain": "127.0.0.1", "path": "/"}


def begin_link(page: Page, server: JacServer, token: str) -> str:
    """Begin to link as a page of the app does; returns where to go."""
    page.goto(f"http://127.0.0.1:{server.port}/sso")
    url: str = page.evaluate(
        """async ([token, password]) => {
            const headers = {Authorization: 'Bearer ' + token, 'Content-Type': 'application/json'};
            const body = JSON.stringify({current_password: password});
            const answer = await fetch('/sso/corp/link', {method: 'POST', headers, body});
            return (await answer.json()).data.url;
        }""",
        [token, PASSWORD],
    )
    return url


# Whose browser it is


def test_login_csrf_is_refused(
    server: JacServer, browser: Browser, openid_provider: OpenIdProvider
) -> None:
    """An attacker's own login, sent to a victim's browser to end there, logs nobody in."""
    with browser.page() as attacker:
        open_login(attacker, server)
        fill_in(attacker, "csrf")
        url = held_back(attacker, openid_provider, server)
    with browser.page() as victim:
        assert STATE == visit(victim, url).refusal
        assert [] == victim.context.cookies()


def test_replayed_callback_is_refused(
    server: JacServer, browser: Browser, openid_provider: OpenIdProvider
) -> None:
    """Even in the browser that kept the cookie, and without asking the provider again."""
    with browser.page() as page:
        open_login(page, server)
        fill_in(page, "replay")
        cookie, url = sealed(page), held_back(page, openid_provider, server)
        assert 201 == visit(page, url).status
        assert STATE == visit(page, url).refusal
        page.context.add_cookies([cookie])  # type: ignore[list-item]
        asked = openid_provider.proxy.asked("/token")
        assert STATE == visit(page, url).refusal
        assert asked == openid_provider.proxy.asked("/token")


def test_injected_code_is_refused(
    server: JacServer, browser: Browser, openid_provider: OpenIdProvider
) -> None:
    """Somebody else's code, in a login of one's own, does not fit it (PKCE)."""
    with browser.page() as victim:
        open_login(victim, server)
        fill_in(victim, "injected")
        stolen = query_of(held_back(victim, openid_provider, server))["code"]
    with browser.page() as attacker:
        open_login(attacker, server)
        fill_in(attacker, "attacker")
        parts = urlsplit(held_back(attacker, openid_provider, server))
        query = urlencode(query_of(parts.geturl()) | {"code": stolen})
        injected = urlunsplit(parts._replace(query=query))
        assert (400, "SSO_FAILED") == visit(attacker, injected).refusal


def test_login_expires(
    server: JacServer, browser: Browser, openid_provider: OpenIdProvider
) -> None:
    """After ten minutes, by the time that is sealed, not by the browser's."""
    seal = Seal([JWT_SECRET], purpose="sso login")
    with browser.page() as page:
        open_login(page, server)
        cookie = sealed(page)
        note = json.dumps(seal.open(cookie["value"], within=60)).encode()
        fill_in(page, "late")
        url = held_back(page, openid_provider, server)
        for age, expected in ((601, 400), (560, 201)):
            old = seal._cipher().encrypt_at_time(note, int(time()) - age).decode()
            page.context.add_cookies([cookie | {"value": old}])  # type: ignore[list-item]
            assert expected == visit(page, url).status


def test_logins_without_end_do_not_fill_the_jar(server: JacServer) -> None:
    """Another page may begin them; with too many cookies, no request would fit any more."""
    jar = {f"jac-sso-{number:012}": "x" * 600 for number in range(20)}
    cookie = "; ".join(f"{name}={value}" for name, value in ({"jac-other": "1"} | jar).items())
    begun = server.send("GET", "/sso/corp/login", headers={"Cookie": cookie})
    assert 302 == begun.status
    set_ = begun.headers.get_all("Set-Cookie") or []
    gone = {one.partition("=")[0] for one in set_ if "Max-Age=0" in one}
    assert set(list(jar)[:13]) == gone
    assert 1 == len(set_) - len(gone)
    few = {"Cookie": "; ".join(f"{name}=x" for name in list(jar)[:6])}
    begun = server.send("GET", "/sso/corp/login", headers=few)
    assert 1 == len(begun.headers.get_all("Set-Cookie") or [])


def test_cookie_of_a_login_says_nothing(server: JacServer, browser: Browser) -> None:
    """It is sealed, scripts do not see it, and a changed one is none."""
    answer = server.get("/sso/corp/login")
    (morsel,) = SimpleCookie(answer.headers["Set-Cookie"]).values()
    assert (True, "lax") == (morsel["httponly"], morsel["samesite"].lower())
    assert "no-store" == answer.headers["Cache-Control"]
    state = query_of(answer.headers["Location"])["state"]
    assert state not in morsel.value
    with browser.page() as page:
        open_login(page, server)
        cookie = sealed(page)
        changed = cookie["value"][:-8] + "AAAAAAA="
        page.context.add_cookies([cookie | {"value": changed}])  # type: ignore[list-item]
        fill_in(page, "sealed")
        assert STATE == landed(page).refusal


def test_code_of_a_page_is_of_no_use_to_others(server: JacServer, browser: Browser) -> None:
    """Who finds the URL in a log or a history lacks the cookie; its owner can still use it."""
    with browser.page() as page:
        open_login(page, server, "/sso/corp/register?next=/walkers")
        fill_in(page, "overseen")
        page.click("[type=submit]")
        page.wait_for_url(lambda url: "/walkers" in url)
        code = query_of(page.url)["code"]
        found = server.send("POST", "/sso/token", {"code": code})
        assert (400, "SSO_CODE_INVALID") == (found.status, found.code)
        (cookie,) = [one for one in page.context.cookies() if "sso-code" in one["name"]]
        headers = {"Cookie": f"{cookie['name']}={cookie['value']}"}
        taken = server.send("POST", "/sso/token", {"code": code}, headers=headers)
        assert 200 == taken.status


def test_sealed_login_is_no_code(server: JacServer, browser: Browser) -> None:
    """What was sealed for one purpose opens nothing else."""
    with browser.page() as page:
        open_login(page, server)
        answer = server.send("POST", "/sso/token", {"code": sealed(page)["value"]})
    assert (400, "SSO_CODE_INVALID") == (answer.status, answer.code)


# Where a browser is sent


@pytest.mark.parametrize(
    "page",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://127.0.0.1@evil.example/",
        "http://127.0.0.1.evil.example/",
        "https:evil.example",
        " /walkers",
        "/walkers\r\nSet-Cookie: a=b",
        f"/{'a' * 1024}",
    ],
)
def test_open_redirect_is_refused(server: JacServer, page: str) -> None:
    """Before anybody logs in."""
    for path in ("/sso/corp/login", "/sso/corp/register"):
        answer = server.get(f"{path}?next={quote(page)}")
        assert (answer.status, answer.code) in (
            (400, "RETURN_URL_REFUSED"),
            (422, "VALIDATION_ERROR"),
        )
        assert answer.headers["Location"] is None


def test_host_of_a_request_opens_no_page(server: JacServer) -> None:
    """Nobody's pages are the app's because a request says so: the provider does not send there."""
    answer = server.send("GET", "/sso/corp/login", headers={"Host": "evil.example"})
    told = query_of(answer.headers["Location"])["redirect_uri"]
    assert "http://evil.example/sso/corp/callback" == told  # which is not registered there


# Into which account


def test_address_of_an_unverified_account_leads_nowhere(
    server: JacServer, browser: Browser
) -> None:
    """Who registers the victim's address in advance neither gets nor blocks its account."""
    trap = server.register("victim@people.test", PASSWORD)
    with browser.page() as page:
        victim = log_in(page, server, "victim").account
    trapped = server.get("/user/me", token=trap).body["data"]
    assert victim["user_id"] != trapped["user_id"]
    assert ["email"] == [one["type"] for one in trapped["identities"]]
    assert not trapped["identities"][0]["verified"]
    login = server.send(
        "POST", "/user/login", {"username": "victim@people.test", "password": PASSWORD}
    )
    assert trapped["user_id"] == login.body["data"]["user_id"]
    with browser.page() as page:
        assert victim["user_id"] == log_in(page, server, "victim").account["user_id"]


def test_account_of_sso_cannot_be_claimed(server: JacServer, browser: Browser) -> None:
    """Neither by a registration under its address, nor by a password that nobody set."""
    with browser.page() as page:
        log_in(page, server, "claimed")
    body = {"username": "Claimed@people.test", "password": PASSWORD}
    registered = server.send("POST", "/user/register", body)
    assert (400, "USER_EXISTS") == (registered.status, registered.code)
    assert 401 == server.send("POST", "/user/login", body).status
    subject = {"username": "sso:corp:claimed", "password": PASSWORD}
    assert 401 == server.send("POST", "/user/login", subject).status


def test_unverified_address_leads_nowhere(
    server: JacServer, browser: Browser, openid_provider: OpenIdProvider
) -> None:
    """What somebody merely says at the provider is not asked for, nor kept."""
    with browser.page() as page:
        owner = log_in(page, server, "owner").account
    openid_provider.person("thief", email="owner@people.test", email_verified=False)
    openid_provider.person("liar", email="owner@people.test", email_verified="true")
    openid_provider.person("fresh", email="fresh@people.test")
    for name in ("thief", "liar"):
        with browser.page() as page:
            made = log_in(page, server, name)
        assert 201 == made.status
        assert owner["user_id"] != made.account["user_id"]
        assert "" == made.account["username"]


def test_verified_address_of_both_leads_into_the_account(
    server: JacServer, browser: Browser
) -> None:
    """And the subject of the second provider belongs to it from then on."""
    with browser.page() as page:
        first = log_in(page, server, "both").account
    with browser.page() as page:
        second = log_in(page, server, "both", "/sso/other/login")
    assert (200, first["user_id"]) == (second.status, second.account["user_id"])
    told = server.get("/user/me", token=second.account["token"]).body["data"]["identities"]
    assert ["corp", "other"] == [one["provider"] for one in told if one["type"] == "sso"]


# By linking


def test_link_lets_the_owner_in(server: JacServer, browser: Browser) -> None:
    """A signed-in user links; then both ways lead into the account."""
    token = server.register("linker", PASSWORD)
    with browser.page() as page:
        page.goto(begin_link(page, server, token))
        fill_in(page, "linked")
        answer = landed(page)
    assert (200, {"linked": "corp"}) == (answer.status, answer.account)
    with browser.page() as page:
        account = log_in(page, server, "linked", "/sso/corp/login").account
    assert "linker" == account["username"]


def test_link_of_somebody_else_is_refused(server: JacServer, browser: Browser) -> None:
    """A login at a provider belongs to one account."""
    with browser.page() as page:
        log_in(page, server, "taken")
    token = server.register("taker", PASSWORD)
    with browser.page() as page:
        page.goto(begin_link(page, server, token))
        fill_in(page, "taken")
        assert (409, "IDENTITY_TAKEN") == landed(page).refusal


def test_link_cannot_be_forced_upon_a_browser(server: JacServer, browser: Browser) -> None:
    """The victim's login would belong to the attacker's account: but his cookie is not there."""
    assert 405 == server.get("/sso/corp/link").status
    assert 401 == server.send("POST", "/sso/corp/link").status
    token = server.register("forcer", PASSWORD)
    with browser.page() as attacker:
        url = begin_link(attacker, server, token)
    with browser.page() as victim:
        victim.goto(url)
        fill_in(victim, "forced")
        assert STATE == landed(victim).refusal
    identities = server.get("/user/me", token=token).body["data"]["identities"]
    assert ["username"] == [one["type"] for one in identities]


def test_link_needs_the_password(server: JacServer, browser: Browser) -> None:
    """Or a login of the last minutes, where there is none: a found token makes no way in."""
    token = server.register("robbed", PASSWORD)
    for body in (None, {}, {"current_password": "a wrong one"}):
        answer = server.send("POST", "/sso/corp/link", body, token=token)
        assert (400, "UPDATE_FAILED") == (answer.status, answer.code)
    with browser.page() as page:
        account = log_in(page, server, "without-password").account
    assert 200 == server.send("POST", "/sso/other/link", token=account["token"]).status


def test_link_ends_with_the_session(server: JacServer, browser: Browser) -> None:
    """A stolen token that was voided meanwhile lets nobody in for ever."""
    token = server.register("logged-out", PASSWORD)
    with browser.page() as page:
        page.goto(begin_link(page, server, token))
        server.send("POST", "/user/logout-everywhere", token=token)
        fill_in(page, "too-late")
        assert 401 == landed(page).status


# What others see


def test_secrets_are_nowhere(server: JacServer, browser: Browser) -> None:
    """Neither in the log, nor in what is published, nor in an error."""
    with browser.page() as page:
        account = log_in(page, server, "secrets").account
    shown = server.log_text()
    shown += str(server.get("/openapi.json").body) + str(server.get("/sso").body)
    shown += str(server.get("/sso/nobody/login").body)
    for secret in (SECRET, JWT_SECRET, account["token"], account["refresh_token"]):
        assert secret not in shown
    assert "auth sso_register" in shown
    assert "people.test" not in server.log_text()
