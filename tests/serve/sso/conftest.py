"""An app with two providers, which are the same process under two names, served by two workers."""

import os
from collections.abc import Iterator

import pytest

from tests.serve.sso.app_with_sso import CLIENT, admit, callback, serve, table
from tests.servers.jac_server import JacServer
from tests.servers.openid_provider import OpenIdProvider

JWT_SECRET = "0123456789abcdef0123456789abcdef-of-tests"


@pytest.fixture(scope="session")
def server(
    openid_provider: OpenIdProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JacServer]:
    """Give the app; tests share its accounts."""
    issuer = openid_provider.issuer
    described = serve(
        tmp_path_factory.mktemp("sso"),
        {"corp": table(issuer), "other": table(issuer, client_id="jac-app-2")},
        "--workers",
        "2",
        env=os.environ | {"JWT_SECRET": JWT_SECRET},
    )
    admit(openid_provider, callback(described), client=CLIENT)
    admit(openid_provider, callback(described, "other"), client="jac-app-2")
    with described as running:
        yield running


@pytest.fixture(autouse=True)
def honest(openid_provider: OpenIdProvider) -> Iterator[None]:
    """Let no lie outlive its test."""
    yield
    openid_provider.proxy.honest()
