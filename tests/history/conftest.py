"""Fixtures: environments that name a store, with what the test may hurt about it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.servers.mongo_server import MongoServer
from tests.servers.redis_server import RedisServer
from tests.servers.tcp_proxy import TcpProxy


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxiedMongo:
    """A MongoDB, and the way to it."""

    server: MongoServer
    proxy: TcpProxy

    @property
    def env(self) -> Mapping[str, str]:
        """Of a server that keeps its documents there."""
        return {"MONGODB_URI": f"mongodb://127.0.0.1:{self.proxy.port}/"}


@pytest.fixture
def mongo(mongo_server: MongoServer) -> Iterator[ProxiedMongo]:
    """Give an empty MongoDB behind a proxy."""
    with TcpProxy(mongo_server.port) as proxy:
        yield ProxiedMongo(server=mongo_server, proxy=proxy)


@pytest.fixture(params=["shelf", "mongodb", "mongodb-and-redis"])
def store_env(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """Give the environment of a server for each kind of store, empty and unharmed."""
    env: dict[str, str] = {}
    if request.param != "shelf":
        env |= request.getfixturevalue("mongo").env
    if request.param == "mongodb-and-redis":
        redis: RedisServer = request.getfixturevalue("redis_server")
        env["REDIS_URL"] = redis.url
    return env
