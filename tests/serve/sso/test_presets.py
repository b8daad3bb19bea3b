"""Presets: what is peculiar about github, apple and microsoft, by a browser."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.serve.sso.app_with_sso import (
    CLIENT,
    SECRET,
    Landed,
    admit,
    callback,
    fill_in,
    landed,
    query_of,
    serve,
    table,
    visit,
)
from tests.serve.sso.forger import Forger, brought_back
from tests.servers.browser import Browser
from tests.servers.github_stand_in import GithubStandIn
from tests.servers.jac_server import JacServer
from tests.servers.openid_provider import Exchange, Lie, OpenIdProvider

KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()
APPLE, MICROSOFT = "jac-app-apple", "jac-app-microsoft"
DIRECTORY, OTHER = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
FORGER = Forger()


@pytest.fixture(scope="module")
def github() -> Iterator[GithubStandIn]:
    """Give a GitHub."""
    with GithubStandIn(CLIENT, SECRET) as standing_in:
        yield standing_in


@pytest.fixture(scope="module")
def presets(
    openid_provider: OpenIdProvider,
    github: GithubStandIn,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[JacServer]:
    """Give an app with all of them."""
    folder: Path = tmp_path_factory.mktemp("presets")
    issuer = openid_provider.issuer
    apple = (
        f"issuer='{issuer}'\nclient_id='{APPLE}'\nteam_id='TEAM'\nkey_id='KEY'\n"
        "private_key='${APPLE_KEY}'\n"
    )
    providers = {
        "github": table(github.url),
        "apple": apple,
        "microsoft": table(issuer, client_id=MICROSOFT, tenant="common"),
    }
    described = serve(folder, providers, env=os.environ | {"APPLE_KEY": PEM})
    admit(openid_provider, callback(described, "apple", "localhost"), client=APPLE)
    admit(openid_provider, callback(described, "microsoft"), client=MICROSOFT)
    with described as running:
        yield running


def at_github(browser: Browser, server: JacServer, operation: str = "register") -> Landed:
    """Log in at GitHub, which asks nothing."""
    with browser.page() as page:
        return visit(page, f"http://127.0.0.1:{server.port}/sso/github/{operation}")


# github


def test_github_account_is_its_number(
    presets: JacServer, browser: Browser, github: GithubStandIn
) -> None:
    """Whoever gets a name that is free again is somebody else; the address is the primary one."""
    github.user = {"id": 1, "login": "octocat"}
    github.emails = [
        {"email": "other@git.test", "verified": True, "primary": False},
        {"email": "octocat@git.test", "verified": True, "primary": True},
    ]
    made = at_github(browser, presets)
    assert (201, "octocat@git.test") == (made.status, made.account["username"])
    assert made.account["user_id"] == at_github(browser, presets).account["user_id"]
    github.user = {"id": 2, "login": "octocat"}
    github.emails = []
    other = at_github(browser, presets)
    assert 201 == other.status
    assert made.account["user_id"] != other.account["user_id"]


def test_github_address_that_is_not_verified_leads_nowhere(
    presets: JacServer, browser: Browser, github: GithubStandIn
) -> None:
    """Anybody can write any address into their profile there."""
    github.user = {"id": 3, "login": "squatter", "email": "octocat@git.test"}
    github.emails = [{"email": "octocat@git.test", "verified": False, "primary": True}]
    made = at_github(browser, presets)
    assert (201, "") == (made.status, made.account["username"])


def test_github_login_is_denied(
    presets: JacServer, browser: Browser, github: GithubStandIn
) -> None:
    """As at any provider."""
    github.deny = True
    assert (403, "SSO_DENIED") == at_github(browser, presets, "login").refusal
    github.deny = False


# apple


def at_apple(browser: Browser, server: JacServer, who: str) -> Landed:
    """Log in at Apple, on another site than the app."""
    with browser.page() as page:
        page.goto(f"http://localhost:{server.port}/sso/apple/register")
        fill_in(page, who)
        with page.expect_request(lambda sent: "/apple/callback" in sent.url) as first:
            answer = landed(page)
        assert "POST" == first.value.method
        return answer


def test_apple_sends_a_form_and_gets_a_signed_secret(
    presets: JacServer, browser: Browser, openid_provider: OpenIdProvider
) -> None:
    """A POST from another site brings no cookie along, so the browser comes once more."""
    secrets: list[str] = []

    def swapped(path: str, body: bytes) -> bytes:
        """Check what Apple checks, and let the real provider see a secret that it knows."""
        if path != "/token":
            return body
        form = query_of(f"?{body.decode()}")
        secrets.append(form["client_secret"])
        return urlencode(form | {"client_secret": SECRET}).encode()

    openid_provider.proxy.rewrite = swapped
    assert 201 == at_apple(browser, presets, "apple-user").status
    (secret,) = secrets
    claims = jwt.decode(
        secret, KEY.public_key(), algorithms=["ES256"], audience=openid_provider.issuer
    )
    assert ("TEAM", APPLE) == (claims["iss"], claims["sub"])
    assert claims["exp"] - claims["iat"] <= 300
    assert "KEY" == jwt.get_unverified_header(secret)["kid"]
    sent = [one for one in openid_provider.proxy.seen if one.path == "/token"]
    assert "Authorization" not in sent[-1].headers


def test_apple_form_is_bounded_and_brings_nothing_else(presets: JacServer) -> None:
    """Only what a login needs goes into a URL; and nobody sends us a large one."""
    form = urlencode({"state": "s", "code": "c", "user": '{"name": "Ann"}'}).encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = presets.send("POST", "/sso/apple/callback", raw=form, headers=kind)
    assert 303 == answer.status
    assert {"state": "s", "code": "c"} == query_of(answer.headers["Location"])
    large = presets.send("POST", "/sso/apple/callback", raw=b"a=" + b"b" * 70_000, headers=kind)
    assert 413 == large.status


# microsoft


def microsoft(issuer: str, **claims: str | None) -> Lie:
    """Answer as Microsoft does for `common`: with a template for the issuer of each directory."""
    template = f"{issuer}/{{tenantid}}/v2.0"
    forged = FORGER.claims(**claims)
    back = brought_back(lambda params: {k: v for k, v in params.items() if k != "iss"})

    def lie(exchange: Exchange) -> Exchange:
        if exchange.path == "/.well-known/openid-configuration":
            told = exchange.json | {"issuer": template}
            del told["authorization_response_iss_parameter_supported"]
            return exchange.answering(told)
        return back(forged(exchange))

    return lie


def at_microsoft(browser: Browser, server: JacServer, who: str) -> Landed:
    """Log in at Microsoft."""
    with browser.page() as page:
        page.goto(f"http://127.0.0.1:{server.port}/sso/microsoft/register")
        fill_in(page, who)
        return landed(page)


def test_microsoft_user_belongs_to_a_directory(
    presets: JacServer, browser: Browser, openid_provider: OpenIdProvider
) -> None:
    """The same subject in another directory is somebody else, and no address is believed."""
    issuer, seen = openid_provider.issuer, set()
    for directory in (DIRECTORY, OTHER):
        claims = {"iss": f"{issuer}/{directory}/v2.0", "tid": directory}
        openid_provider.proxy.lie = microsoft(issuer, **claims)
        made = at_microsoft(browser, presets, "ms-user")
        assert (201, "") == (made.status, made.account["username"])
        seen.add(made.account["user_id"])
    assert 2 == len(seen)


@pytest.mark.parametrize(
    ("issuer_of", "directory"),
    [(DIRECTORY, OTHER), (DIRECTORY, None), ("evil", "evil"), ("{tenantid}", "{tenantid}")],
    ids=["of another", "none", "not an id", "the template"],
)
def test_microsoft_issuer_has_the_directory_in_it(
    presets: JacServer,
    browser: Browser,
    openid_provider: OpenIdProvider,
    issuer_of: str,
    directory: str | None,
) -> None:
    """Or anybody's directory could speak for everybody's."""
    issuer = openid_provider.issuer
    claims = {"iss": f"{issuer}/{issuer_of}/v2.0", "tid": directory}
    openid_provider.proxy.lie = microsoft(issuer, **claims)
    answer = at_microsoft(browser, presets, "ms-user")
    assert (401, "SSO_TOKEN_INVALID") == answer.refusal
