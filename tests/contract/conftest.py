"""An empty store of each make, on a real server or file."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from jac_converge.app_runtime.stores import DocumentStore
from jac_converge.app_runtime.stores.mongo import Mongo
from jac_converge.app_runtime.stores.shelf import Shelf
from tests.servers.mongo_server import MongoServer


@pytest.fixture(params=["shelf", "mongo"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DocumentStore]:
    """Give an empty store of each make."""
    made: DocumentStore
    if request.param == "shelf":
        made = Shelf(tmp_path / "shelf.db")
    else:
        server: MongoServer = request.getfixturevalue("mongo_server")
        made = Mongo.open(server.url, database=f"test_{secrets.token_hex(4)}")
    yield made
    made.close()
