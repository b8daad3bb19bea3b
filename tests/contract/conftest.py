"""An empty store of each make, and what tests of commits to MongoDB look through.

All on a real server or file.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest

from jac_converge.app_runtime.stores import DocumentStore
from jac_converge.app_runtime.stores.mongo import Mongo
from jac_converge.app_runtime.stores.shelf import Shelf
from tests.contract.mongo_points import SHORT, opened, proxied
from tests.servers.committer import DATABASE
from tests.servers.mongo_proxy import MongoProxy
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


@pytest.fixture
def proxy(mongo_server: MongoServer) -> Iterator[MongoProxy]:
    """Give a proxy before a server that has the old documents."""
    with proxied(mongo_server) as proxy:
        yield proxy


@pytest.fixture
def direct(mongo_server: MongoServer) -> Iterator[Mongo]:
    """Give the store of another process, which knows nothing yet, and is soon out of patience."""
    with opened(mongo_server.url, SHORT) as store:
        yield store


@pytest.fixture
def rows(mongo_server: MongoServer) -> Iterator[Any]:
    """Give the rows as they lie in MongoDB."""
    with pymongo.MongoClient[dict[str, Any]](mongo_server.url) as client:
        yield client[DATABASE]["documents"]
