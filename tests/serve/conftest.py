"""The app that may be called in every way, served once for all tests that only look."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.jac_server import JacServer

API = Path(__file__).parent / "apps" / "api"


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give one worker with that app and the module it imports."""
    server = JacServer(API / "api.jac", tmp_path_factory.mktemp("api"))
    shutil.copy(API / "words.jac", server.file.parent)
    with server:
        yield server
