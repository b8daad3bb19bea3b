"""The OpenID provider of the tests does what tests of logins rely on."""

import http.client
import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.sync_api import Page

from tests.servers.browser import Browser
from tests.servers.openid_provider import Exchange, OpenIdProvider

BACK = "http://127.0.0.1:9/back"  # nobody is there, and nobody need be


def read(provider: OpenIdProvider, path: str) -> dict[str, Any]:
    """Ask the provider, through its proxy."""
    connection = http.client.HTTPConnection("127.0.0.1", provider.proxy.port, timeout=10)
    connection.request("GET", path)
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return found


def authorize(provider: OpenIdProvider, page: Page) -> None:
    """Open the page to log in."""
    provider.client("contract", "secret", BACK)
    asked = {
        "client_id": "contract",
        "response_type": "code",
        "scope": "openid email",
        "redirect_uri": BACK,
        "state": "s",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    page.goto(f"{provider.issuer}/auth?{urlencode(asked)}", wait_until="commit")


def came_back(page: Page, click: str) -> dict[str, list[str]]:
    """Click, and return what the browser brings to the client."""
    with page.expect_request(lambda request: request.url.startswith(BACK)) as request:
        page.click(click)
    return parse_qs(urlsplit(request.value.url).query)


def test_provider_is_the_issuer_that_its_proxy_is(openid_provider: OpenIdProvider) -> None:
    """Every address that it tells leads through the proxy."""
    told = read(openid_provider, "/.well-known/openid-configuration")
    assert openid_provider.issuer == told["issuer"]
    assert told["token_endpoint"].startswith(openid_provider.issuer)


def test_provider_publishes_its_new_key_alone(openid_provider: OpenIdProvider) -> None:
    """As one whose old key was stolen."""
    before = read(openid_provider, "/jwks")["keys"]
    openid_provider.rotate()
    after = read(openid_provider, "/jwks")["keys"]
    assert 1 == len(before) == len(after)
    assert before[0]["kid"] != after[0]["kid"]


def test_provider_logs_in_by_a_form(openid_provider: OpenIdProvider, browser: Browser) -> None:
    """Name, password, consent: and back with a code, also where its key changed meanwhile."""
    with browser.page() as page:
        authorize(openid_provider, page)
        page.fill("[name=login]", "ann")
        page.fill("[name=password]", "any")
        openid_provider.rotate()
        page.click("[type=submit]")
        page.wait_for_selector("[name=prompt][value=consent]", state="attached")
        back = came_back(page, "[type=submit]")
    assert {"code", "state", "iss"} == back.keys()
    assert [openid_provider.issuer] == back["iss"]


def test_provider_denies(openid_provider: OpenIdProvider, browser: Browser) -> None:
    """Whoever cancels comes back with an error."""
    with browser.page() as page:
        authorize(openid_provider, page)
        back = came_back(page, "text=Cancel")
    assert ["access_denied"] == back["error"]


def test_proxy_lies_where_it_is_told_to(openid_provider: OpenIdProvider) -> None:
    """And notes what the server itself answered."""

    def lie(exchange: Exchange) -> Exchange:
        return exchange.answering({"keys": []}) if exchange.path == "/jwks" else exchange

    openid_provider.proxy.lie = lie
    assert {"keys": []} == read(openid_provider, "/jwks")
    assert openid_provider.proxy.seen[-1].json["keys"]
    openid_provider.proxy.honest()
    assert read(openid_provider, "/jwks")["keys"]
