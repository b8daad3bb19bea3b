"""Two pods of one app: a login that one began is ended by the other, once."""

import os
from pathlib import Path

from tests.serve.sso.app_with_sso import (
    admit,
    callback,
    fill_in,
    held_back,
    open_login,
    serve,
    table,
    visit,
)
from tests.serve.sso.conftest import JWT_SECRET
from tests.servers.browser import Browser
from tests.servers.mongo_server import MongoServer
from tests.servers.openid_provider import OpenIdProvider
from tests.servers.redis_server import RedisServer


def test_login_ends_at_another_pod_and_only_there(
    openid_provider: OpenIdProvider,
    browser: Browser,
    mongo_server: MongoServer,
    redis_server: RedisServer,
    tmp_path: Path,
) -> None:
    """What it begins with travels in the browser; that it was used is known to both."""
    env = os.environ | {
        "JWT_SECRET": JWT_SECRET,
        "MONGODB_URI": mongo_server.url,
        "REDIS_URL": redis_server.url,
    }
    keys = {"corp": table(openid_provider.issuer, client_id="jac-app-pods")}
    first, second = (serve(tmp_path / name, keys, env=env) for name in ("first", "second"))
    admit(openid_provider, callback(first), client="jac-app-pods")
    with first, second, browser.page() as page:
        open_login(page, first)
        fill_in(page, "pods")
        url = held_back(page, openid_provider, first)
        cookies = page.context.cookies()
        there = url.replace(f":{first.port}/", f":{second.port}/")
        made = visit(page, there)
        assert 201 == made.status
        assert 200 == first.get("/user/me", token=made.account["token"]).status
        page.context.add_cookies(cookies)  # type: ignore[arg-type]
        assert (400, "SSO_STATE_INVALID") == visit(page, url).refusal
