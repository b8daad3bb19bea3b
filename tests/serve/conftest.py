"""Apps that are served once for all tests that only look, or that name their own users."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.app_with_roles import PASSWORD, ROLES, AppWithRoles, make_admin
from tests.servers.jac_server import JacServer

API = Path(__file__).parent / "apps" / "api"


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give one worker with that app and the module it imports."""
    server = JacServer(API / "api.jac", tmp_path_factory.mktemp("api"))
    shutil.copy(API / "words.jac", server.file.parent)
    with server:
        yield server


@pytest.fixture(scope="session")
def roles_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppWithRoles]:
    """Give two workers, which have to agree at once, with the app of roles."""
    server = JacServer(ROLES, tmp_path_factory.mktemp("roles"), "--workers", "2")
    make_admin(server)
    with server:
        body = {"username": "boss", "password": PASSWORD}
        answer = server.send("POST", "/user/login", body)
        yield AppWithRoles(server, answer.body["data"]["token"])
