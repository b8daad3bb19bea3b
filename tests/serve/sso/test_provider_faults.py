"""A provider that is down, or not what it should be, fails the logins at it, and no more."""

from collections.abc import Iterator

import pytest

from tests.serve.sso.app_with_sso import (
    CLIENT,
    admit,
    callback,
    fill_in,
    landed,
    open_login,
    serve,
    table,
)
from tests.servers.browser import Browser
from tests.servers.jac_server import JacServer
from tests.servers.openid_provider import Exchange, OpenIdProvider
from tests.servers.process import wait_until

DOWN = (503, "SSO_UNAVAILABLE")


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    """Give a provider to these tests alone, which hurt it."""
    with OpenIdProvider() as own:
        yield own


@pytest.fixture(scope="module")
def app(
    openid_provider: OpenIdProvider,  # so that what is missing is a skip
    provider: OpenIdProvider,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[JacServer]:
    """Give a server that was started while its provider was down."""
    assert openid_provider.issuer != provider.issuer
    described = serve(tmp_path_factory.mktemp("faults"), {"corp": table(provider.issuer)})
    provider.kill9()
    with described as running:
        yield running


def come_back(provider: OpenIdProvider, app: JacServer) -> None:
    """Let the provider run, and wait until logins are possible again."""
    if not provider.alive:
        provider.start()
    provider.proxy.honest()
    admit(provider, callback(app))
    wait_until(lambda: app.get("/sso/corp/login").status == 302, within=30, what="logins")


def test_server_starts_without_its_provider(provider: OpenIdProvider, app: JacServer) -> None:
    """Logins there are refused until it is back; everything else works."""
    answer = app.get("/sso/corp/login")
    assert DOWN == (answer.status, answer.code)
    assert int(answer.headers["Retry-After"]) > 0
    assert app.register("ann")
    assert 200 == app.get("/healthz/ready").status
    come_back(provider, app)
    assert "provider failed" in app.log_text()


@pytest.mark.parametrize("status", [502, 200], ids=["broken", "empty"])
def test_provider_that_fails_in_the_middle_fails_that_login(
    provider: OpenIdProvider, app: JacServer, browser: Browser, status: int
) -> None:
    """With an answer that says so, and the next one is fine."""
    come_back(provider, app)
    with browser.page() as page:
        open_login(page, app)
        fill_in(page, "middle")

        def dead(exchange: Exchange) -> Exchange:
            return exchange.answering({}, status) if exchange.path == "/token" else exchange

        provider.proxy.lie = dead
        assert DOWN == landed(page).refusal
        provider.proxy.honest()
        open_login(page, app)
        page.wait_for_url(lambda url: "/callback" in url)
        assert "/sso/corp/callback" in page.url


def test_wrong_client_secret_is_told_to_the_log_alone(
    provider: OpenIdProvider, app: JacServer, browser: Browser
) -> None:
    """Users cannot do anything about it."""
    come_back(provider, app)
    provider.client(CLIENT, "another-secret-than-the-app-has", callback(app))
    with browser.page() as page:
        open_login(page, app)
        fill_in(page, "wrong")
        assert DOWN == landed(page).refusal
    assert "check id and secret" in app.log_text()
