"""The example `examples/sso`, at the real provider."""

import os
import re
from pathlib import Path

from tests.serve.conformance import EVERYWHERE, ask_everything
from tests.serve.sso.app_with_sso import SECRET, admit, callback, log_in
from tests.servers.browser import Browser
from tests.servers.jac_server import JacServer
from tests.servers.openid_provider import OpenIdProvider

EXAMPLE = Path(__file__).parents[3] / "examples" / "sso"
CLIENT = "jac-example"


def test_example_lets_somebody_in(
    openid_provider: OpenIdProvider, browser: Browser, tmp_path: Path
) -> None:
    """As its README says: register in a browser, call with the token, log in again.

    And what it says of logins elsewhere is so.
    """
    env = os.environ | {
        "CORP_ISSUER": openid_provider.issuer,
        "CORP_CLIENT_ID": CLIENT,
        "CORP_CLIENT_SECRET": SECRET,
    }
    described = JacServer(EXAMPLE / "notes.jac", tmp_path, env=env)
    admit(openid_provider, callback(described), client=CLIENT)
    with described as server:
        assert {"providers": ["corp"]} == server.get("/sso").body["data"]
        with browser.page() as page:
            made = log_in(page, server, "erin")
        assert 201 == made.status
        token = made.account["token"]
        server.call("/walker/add_note", token, text="milk")
        with browser.page() as page:
            again = log_in(page, server, "erin", "/sso/corp/login").account
        assert ["milk"] == server.call("/walker/list_notes", again["token"]).reports
        asked = ask_everything(server, token, but=EVERYWHERE)
        assert [] == asked.wrong
        assert 200 in asked.statuses["POST /walker/add_note"]
        assert "GET /sso/{provider}/callback" in asked.statuses
        assert SECRET not in server.log_text()


def test_example_says_that_every_provider_is_off(tmp_path: Path) -> None:
    """Where nobody has set a variable yet."""
    with JacServer(EXAMPLE / "notes.jac", tmp_path) as server:
        assert {"providers": []} == server.get("/sso").body["data"]
        for name, told in (("google", "off: its client_id is not set"), ("x", "known here: none")):
            answer = server.get(f"/sso/{name}/login")
            assert (404, "SSO_UNKNOWN_PROVIDER") == (answer.status, answer.code)
            assert told in answer.body["error"]["message"]


def test_example_names_every_variable_in_its_readme() -> None:
    """And is short."""
    readme = (EXAMPLE / "README.md").read_text()
    variables = re.findall(r"\$\{(\w+)", (EXAMPLE / "jac.toml").read_text())
    assert [] == [name for name in variables if name not in readme]
    assert len(readme.splitlines()) <= 30
