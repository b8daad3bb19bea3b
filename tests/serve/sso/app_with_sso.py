"""An app at which one may log in by providers, and somebody in front of a browser."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, Response

from tests.servers.jac_server import JacServer
from tests.servers.openid_provider import Exchange, OpenIdProvider

__all__ = [
    "CLIENT",
    "SECRET",
    "Landed",
    "admit",
    "callback",
    "fill_in",
    "held_back",
    "landed",
    "log_in",
    "open_login",
    "query_of",
    "serve",
    "table",
    "visit",
]

CLIENT, SECRET = "jac-app", "a-secret-of-the-app-that-no-log-shows"
APP = """
walker:priv whoami {
    can tell with Root entry { report str(here.__jac__.id); }
}
"""


def table(issuer: str, **more: Any) -> str:
    """Write the keys of a provider's table."""
    keys = {"issuer": issuer, "client_id": CLIENT, "client_secret": SECRET} | more
    return "\n".join(f"{key} = {_toml(value)}" for key, value in keys.items())


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"'''{value}'''"


def serve(
    folder: Path,
    providers: Mapping[str, str],
    *flags: str,
    server: str = "",
    more: str = "",
    env: Mapping[str, str] | None = None,
) -> JacServer:
    """Describe a server with providers.

    Args:
        folder: for its files.
        providers: name -> keys of its table.
        flags: of `jac serve`.
        server: keys of [converge.server].
        more: further tables.
        env: instead of our environment.
    """
    source = folder / "source"
    source.mkdir(parents=True, exist_ok=True)
    (source / "app.jac").write_text(APP)
    tables = "".join(f"[converge.sso.{name}]\n{keys}\n" for name, keys in providers.items())
    (source / "jac.toml").write_text(f"[converge.server]\n{server}\n{tables}{more}\n")
    return JacServer(source / "app.jac", folder / "served", *flags, env=env)


def callback(server: JacServer, provider: str = "corp", host: str = "127.0.0.1") -> str:
    """Return the redirect URI of a server."""
    return f"http://{host}:{server.port}/sso/{provider}/callback"


def admit(provider: OpenIdProvider, *redirects: str, client: str = CLIENT) -> None:
    """Let an app be a client of the provider."""
    provider.client(client, SECRET, *redirects)


def open_login(page: Page, server: JacServer, path: str = "/sso/corp/register") -> None:
    """Go to the provider by a route of the app."""
    page.goto(f"http://127.0.0.1:{server.port}{path}")


def fill_in(page: Page, who: str) -> None:
    """Log in on the pages of the provider, up to the last click."""
    page.fill("[name=login]", who)
    page.fill("[name=password]", "any")
    page.click("[type=submit]")
    page.wait_for_selector("[name=prompt][value=consent]", state="attached")


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """What the app answered a browser in the end."""

    status: int
    body: dict[str, Any]

    @property
    def account(self) -> dict[str, Any]:
        """Whoever has logged in."""
        assert self.body["ok"], self.body
        data: dict[str, Any] = self.body["data"]
        return data

    @property
    def refusal(self) -> tuple[int, str]:
        """Status and code of an error."""
        return self.status, self.body["error"]["code"]


def landed(page: Page, click: str = "[type=submit]") -> Landed:
    """Click, and return what the app answers when the browser has come back."""
    with page.expect_response(_from_callback) as answered:
        page.click(click)
    return Landed(status=answered.value.status, body=answered.value.json())


def log_in(page: Page, server: JacServer, who: str, path: str = "/sso/corp/register") -> Landed:
    """Go through all of it; returns what the app answers in the end."""
    open_login(page, server, path)
    fill_in(page, who)
    return landed(page)


def held_back(page: Page, provider: OpenIdProvider, server: JacServer) -> str:
    """Agree at the provider, and return the URL that the browser is kept from following."""
    app, elsewhere = f":{server.port}/sso/corp/callback", f":{provider.proxy.port}/jwks"

    def lie(exchange: Exchange) -> Exchange:
        moved = [(key, value.replace(app, elsewhere)) for key, value in exchange.answer_headers]
        return replace(exchange, answer_headers=tuple(moved))

    provider.proxy.lie = lie
    page.click("[type=submit]")
    page.wait_for_url(lambda url: elsewhere in url)
    provider.proxy.honest()
    return page.url.replace(elsewhere, app)


def visit(page: Page, url: str) -> Landed:
    """Open a page of the app, and return what it answers."""
    answer = page.goto(url)
    assert answer is not None
    return Landed(status=answer.status, body=answer.json())


def _from_callback(response: Response) -> bool:
    return "/callback" in response.url and response.status not in (302, 303)


def query_of(url: str) -> dict[str, str]:
    """Return the parameters of a URL."""
    return {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
