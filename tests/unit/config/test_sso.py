"""`[converge.sso.NAME]`: presets, rules, and secrets that no message shows."""

from pathlib import Path

import pytest

from jac_converge.config.load import ConfigError
from jac_converge.config.suggest import suggest_table
from tests.unit.config.small_app import load

SECRET = "hunter2-client-secret"


def refused(folder: Path, toml: str) -> str:
    """Return what is wrong with a jac.toml, which is one thing."""
    with pytest.raises(ConfigError) as caught:
        load(folder, toml)
    (line,) = str(caught.value).splitlines()
    return line.partition("jac.toml:")[2]


def test_sso_provider_has_the_preset_of_its_name(folder: Path) -> None:
    """`[converge.sso.google]` says it all; another name may have a preset, too."""
    app = load(
        folder,
        "[converge.sso.google]\nclient_id = 'a'\nclient_secret = '${G}'\n"
        "[converge.sso.staff]\npreset = 'google'\nclient_id = 'b'\nclient_secret = '${G}'\n"
        "[converge.sso.own]\nissuer = 'https://login.example/realm'\nclient_id = 'c'\n",
        G=SECRET,
    )
    presets = {name: provider.preset for name, provider in app.settings.sso.items()}
    assert {"google": "google", "staff": "google", "own": "openid"} == presets
    assert SECRET not in repr(app)


def test_sso_provider_without_client_id_is_off(folder: Path) -> None:
    """So that a variable that is empty switches it off, and no rule minds."""
    app = load(folder, "[converge.sso.google]\nclient_id = '${ID:-}'\n")
    assert app.settings.sso["google"].client_id is None


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[converge.sso.own]\nclient_id='c'", "1: converge.sso.own.issuer: is not given"),
        (
            "[converge.sso.own]\nclient_id='c'\nissuer='http://login.example'",
            "3: converge.sso.own.issuer: must be a URL that begins with https://",
        ),
        (
            "[converge.sso.google]\nclient_id='c'",
            "1: converge.sso.google.client_secret: is not given",
        ),
        (
            "[converge.sso.microsoft]\nclient_id='c'\nclient_secret='s'",
            "1: converge.sso.microsoft.tenant: is not given",
        ),
        (
            "[converge.sso.google]\nclient_id='c'\nclient_secret='s'\ntenant='t'",
            "4: converge.sso.google.tenant: means nothing",
        ),
        (
            "[converge.sso.apple]\nclient_id='c'\nteam_id='t'\nkey_id='k'",
            "1: converge.sso.apple.private_key: is not given",
        ),
        (
            "[converge.sso.google]\nclient='c'",
            "2: converge.sso.google.client: unknown key; did you mean `client_id`?",
        ),
        ("[converge.sso.'No']\nclient_id=''", "1: converge.sso.No: must be the name of a provider"),
        (
            "[converge.server]\nreturn_urls=['https://shop.example']",
            "2: converge.server.return_urls[0]: must be a URL with a path",
        ),
        (
            "[converge.server]\nreturn_urls=['https://a@shop.example/']",
            "2: converge.server.return_urls[0]: must be a URL with a path",
        ),
    ],
)
def test_sso_mistake_is_told_at_its_key(folder: Path, toml: str, said: str) -> None:
    """One mistake is one line."""
    line = refused(folder, toml)
    assert line.startswith(said), line


@pytest.mark.parametrize("key", ["client_secret", "private_key"])
def test_sso_secret_is_in_no_message(folder: Path, key: str) -> None:
    """Not even one that is no string."""
    line = refused(folder, f"[converge.sso.apple]\nclient_id='c'\n{key}=[['hunter2']]")
    assert "hunter2" not in line


def test_sso_table_of_jac_scale_is_ours(folder: Path) -> None:
    """There, whoever logs in gets an account, and comes back to one page."""
    app = load(
        folder,
        "[plugins.scale.sso]\nhost = 'https://shop.example'\n"
        "client_auth_callback_url = 'https://shop.example/after'\n"
        f"[plugins.scale.sso.google]\nclient_id = 'a'\nclient_secret = '{SECRET}'\n",
    )
    assert "https://shop.example" == app.settings.server.public_url
    assert ("https://shop.example/after",) == app.settings.server.return_urls
    assert "always" == app.settings.sso["google"].registration
    suggestion = suggest_table(app)
    assert SECRET not in suggestion
    assert 'client_secret = "${SSO_GOOGLE_CLIENT_SECRET}"' in suggestion
