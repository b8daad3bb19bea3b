"""What a provider, or somebody between it and us, may not make us believe; by a browser."""

from time import time

import pytest

from tests.serve.sso.app_with_sso import CLIENT, SECRET, fill_in, landed, log_in, open_login
from tests.serve.sso.forger import Forger, brought_back, shared, tampered, unsigned
from tests.servers.browser import Browser
from tests.servers.jac_server import JacServer
from tests.servers.openid_provider import Exchange, Lie, OpenIdProvider

FORGER = Forger()
INVALID = (401, "SSO_TOKEN_INVALID")
MIXED_UP = (400, "SSO_MIXED_UP")


def test_forged_key_is_believed_where_it_is_published(
    server: JacServer, browser: Browser, openid_provider: OpenIdProvider
) -> None:
    """So what the tests below refuse is refused for what it says."""
    openid_provider.proxy.lie = FORGER.claims()
    with browser.page() as page:
        assert 201 == log_in(page, server, "believed").status


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param(FORGER.claims(nonce="another"), id="another nonce"),
        pytest.param(FORGER.claims(nonce=None), id="no nonce"),
        pytest.param(FORGER.claims(aud="another-app"), id="another app"),
        pytest.param(FORGER.claims(aud=[CLIENT, "another-app"]), id="two apps, and no azp"),
        pytest.param(FORGER.claims(azp="another-app"), id="another azp"),
        pytest.param(FORGER.claims(iss="https://evil.example"), id="another issuer"),
        pytest.param(FORGER.claims(exp=int(time()) - 3600), id="expired"),
        pytest.param(FORGER.claims(iat=int(time()) + 3600), id="of the future"),
        pytest.param(FORGER.claims(exp=None), id="for ever"),
        pytest.param(FORGER.claims(sub=None), id="of nobody"),
        pytest.param(FORGER.claims(at_hash="another"), id="for another access token"),
        pytest.param(FORGER.claims(sub="ann\n"), id="a subject that is none"),
        pytest.param(FORGER.token(tampered), id="tampered"),
        pytest.param(FORGER.token(unsigned), id="alg none"),
        pytest.param(FORGER.token(shared(SECRET)), id="signed with the client secret"),
        pytest.param(FORGER.token(lambda _: "no.jwt.at-all"), id="no token"),
        pytest.param(FORGER.token(lambda token: token[:-9]), id="truncated"),
        pytest.param(FORGER.token(lambda token: f"{token}{'A' * 70000}"), id="oversized"),
    ],
)
def test_token_is_refused(
    server: JacServer, browser: Browser, openid_provider: OpenIdProvider, lie: Lie
) -> None:
    """Nobody is logged in; the last of these tests looks for an account."""
    openid_provider.proxy.lie = lie
    with browser.page() as page:
        assert INVALID == log_in(page, server, "mallory").refusal


def test_user_info_of_somebody_else_is_refused(
    server: JacServer, browser: Browser, openid_provider: OpenIdProvider
) -> None:
    """Or an address of one would lead another into an account."""

    def lie(exchange: Exchange) -> Exchange:
        if exchange.path != "/me":
            return exchange
        return exchange.answering(exchange.json | {"sub": "ann"})

    openid_provider.proxy.lie = lie
    with browser.page() as page:
        assert INVALID == log_in(page, server, "mallory").refusal
    assert openid_provider.proxy.asked("/me")


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"iss": "https://evil.example"}, id="another issuer"),
        pytest.param({"iss": ""}, id="no issuer"),
    ],
)
def test_provider_that_is_mixed_up_is_refused(
    server: JacServer, browser: Browser, openid_provider: OpenIdProvider, changed: dict[str, str]
) -> None:
    """A code of one provider is never sent to another one (RFC 9207)."""
    openid_provider.proxy.lie = brought_back(lambda params: params | changed)
    with browser.page() as page:
        open_login(page, server)
        fill_in(page, "ann")
        asked = openid_provider.proxy.asked("/token")
        assert MIXED_UP == landed(page).refusal
    assert asked == openid_provider.proxy.asked("/token")


def test_callback_of_another_provider_is_refused(
    server: JacServer, browser: Browser, openid_provider: OpenIdProvider
) -> None:
    """The login that a browser began at one cannot be ended at another."""
    openid_provider.proxy.lie = _elsewhere
    with browser.page() as page:
        open_login(page, server)
        fill_in(page, "ann")
        assert MIXED_UP == landed(page).refusal


def _elsewhere(exchange: Exchange) -> Exchange:
    moved = [
        (name, value.replace("/sso/corp/callback", "/sso/other/callback"))
        for name, value in exchange.answer_headers
    ]
    return Exchange(
        method=exchange.method,
        path=exchange.path,
        sent=exchange.sent,
        headers=exchange.headers,
        status=exchange.status,
        answer=exchange.answer,
        answer_headers=tuple(moved),
    )


def test_key_rotated_in_the_middle_is_found(
    server: JacServer, browser: Browser, openid_provider: OpenIdProvider
) -> None:
    """The keys that we know are old then, so we ask once more."""
    with browser.page() as page:
        log_in(page, server, "keys")
    with browser.page() as page:
        open_login(page, server, "/sso/corp/login")
        fill_in(page, "keys")
        openid_provider.rotate()
        assert 200 == landed(page).status


def test_nobody_of_all_these_has_an_account(server: JacServer, browser: Browser) -> None:
    """Those who were refused have left nothing behind."""
    with browser.page() as page:
        answer = log_in(page, server, "mallory", "/sso/corp/login")
    assert (403, "ACCOUNT_UNKNOWN") == answer.refusal
