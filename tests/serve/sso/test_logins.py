"""Logins at a real OpenID provider, by a browser: who gets in, and into which account."""

from tests.serve.sso.app_with_sso import (
    SECRET,
    fill_in,
    landed,
    log_in,
    query_of,
)
from tests.servers.browser import Browser
from tests.servers.jac_server import JacServer


def test_register_makes_an_account_that_login_finds(server: JacServer, browser: Browser) -> None:
    """With a root of its own, and the address that the provider has verified."""
    with browser.page() as page:
        made = log_in(page, server, "ann")
        account = made.account
    assert 201 == made.status
    assert "ann@people.test" == account["username"]
    (root,) = server.call("/walker/whoami", account["token"]).reports
    assert account["root_id"] == root.replace("-", "")
    told = server.get("/user/me", token=account["token"]).body["data"]["identities"]
    assert [("email", True), ("sso", True)] == [(one["type"], one["verified"]) for one in told]
    with browser.page() as page:
        again = log_in(page, server, "ann", "/sso/corp/login")
    assert 200 == again.status
    assert account["user_id"] == again.account["user_id"]


def test_register_of_a_known_one_logs_in(server: JacServer, browser: Browser) -> None:
    """There is no second account."""
    with browser.page() as page:
        first = log_in(page, server, "bob").account
    with browser.page() as page:
        second = log_in(page, server, "bob")
    assert 200 == second.status
    assert first["user_id"] == second.account["user_id"]


def test_login_of_an_unknown_one_is_refused(server: JacServer, browser: Browser) -> None:
    """Who wants an account says so, by the other route."""
    with browser.page() as page:
        answer = log_in(page, server, "carl", "/sso/corp/login")
    assert (403, "ACCOUNT_UNKNOWN") == answer.refusal


def test_login_is_denied(server: JacServer, browser: Browser) -> None:
    """Whoever cancels at the provider is told so, and nobody is logged in."""
    with browser.page() as page:
        page.goto(f"http://127.0.0.1:{server.port}/sso/corp/login")
        assert (403, "SSO_DENIED") == landed(page, "text=Cancel").refusal
        assert [] == [one for one in page.context.cookies() if one["name"].startswith("jac-")]


def test_login_goes_on_at_a_page_of_the_app(server: JacServer, browser: Browser) -> None:
    """Which picks the tokens up, once; no token is in a URL."""
    with browser.page() as page:
        base = f"http://127.0.0.1:{server.port}"
        page.goto(f"{base}/sso/corp/register?next=/walkers%3Ftab%3D1")
        fill_in(page, "dora")
        page.click("[type=submit]")
        page.wait_for_url(lambda url: "/walkers" in url)
        code = query_of(page.url)["code"]
        assert "1" == query_of(page.url)["tab"]
        pick = f"""async () => {{
            const sent = {{method: 'POST', headers: {{'Content-Type': 'application/json'}},
                           body: JSON.stringify({{code: '{code}'}})}};
            const answer = await fetch('/sso/token', sent);
            return [answer.status, await answer.json()];
        }}"""
        status, body = page.evaluate(pick)
        assert 200 == status, body
        assert 200 == server.get("/user/me", token=body["data"]["token"]).status
        status, body = page.evaluate(pick)
        assert (400, "SSO_CODE_INVALID") == (status, body["error"]["code"])
    assert SECRET not in server.log_text()
