"""The parts on Redis and MongoDB: first counted, behind proxies, then timed, without them.

Each server has a Redis and a MongoDB of its own. The peer can write through its proxy only, so
whoever is needed for the timing is made before.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from benchmarks import speed, wire
from benchmarks.clients import APP, ITEMS, READERS, Clients
from benchmarks.counting_proxy import CountingProxy, mongo_messages, redis_pipelines
from benchmarks.peer import PeerServer
from benchmarks.peer_writes import plain_updates
from benchmarks.speed import Plan
from benchmarks.table import Table
from benchmarks.wire import Counted
from tests.servers.jac_server import JacServer
from tests.servers.mongo_server import MongoServer
from tests.servers.redis_server import RedisServer

__all__ = ["measure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where one of the two servers lives, and its databases."""

    folder: Path
    peer: Path | None
    """Where the peer is installed; None for ourselves."""
    redis: RedisServer
    mongo: MongoServer

    def server(self, *, redis_port: int, mongo_port: int) -> JacServer:
        """Describe the server on its databases, or on proxies before them."""
        urls = {
            "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "MONGODB_URI": f"mongodb://127.0.0.1:{mongo_port}/",
        }
        env = {**os.environ, **urls}
        if self.peer is None:
            return JacServer(APP, self.folder, env=env)
        return PeerServer(self.peer, APP, self.folder, env=env)


def measure(table: Table, folder: Path, plan: Plan, peer: Path | None, *, quick: bool) -> None:
    """Print counts and rates, ours and the peer's.

    Raises:
        ServerMissing: there is no Redis or no MongoDB-wire server on this machine.
    """
    homes: list[Path | None] = [None] if peer is None else [None, peer]
    with ExitStack() as stack:
        places = [stack.enter_context(_place(folder / "counted", home)) for home in homes]
        wire.measure(table, [stack.enter_context(_counted(place)) for place in places], quick=quick)
    with ExitStack() as stack:
        # Fresh databases: the server of the tests reads a whole collection to find some by id.
        places = [stack.enter_context(_place(folder / "timed", home)) for home in homes]
        clients = [stack.enter_context(_direct(place)) for place in places]
        table.part("Redis and MongoDB, one worker", "ours 1/s", "peer 1/s", "ratio")
        speed.measure(table, speed.DATABASE_ROWS, clients, plan)


@contextmanager
def _place(folder: Path, peer: Path | None) -> Iterator[_Place]:
    with RedisServer() as cache, MongoServer() as mongo:
        name = "ours" if peer is None else "peer"
        yield _Place(folder=folder / name, peer=peer, redis=cache, mongo=mongo)


@contextmanager
def _counted(place: _Place) -> Iterator[Counted]:
    rewrite = bytes if place.peer is None else plain_updates(place.mongo.url)
    with (
        CountingProxy(place.redis.port, redis_pipelines) as to_redis,
        CountingProxy(place.mongo.port, mongo_messages, rewrite=rewrite) as to_mongo,
        place.server(redis_port=to_redis.port, mongo_port=to_mongo.port) as server,
        redis.Redis.from_url(place.redis.url) as cache,
    ):
        yield Counted(
            clients=Clients(server), redis=to_redis, mongo=to_mongo, forget=cache.flushall
        )


@contextmanager
def _direct(place: _Place) -> Iterator[Clients]:
    """Give users with items, and their server without proxies."""
    with _counted(place) as counted:
        clients = counted.clients
        clients.users(READERS, items=ITEMS)
    with place.server(redis_port=place.redis.port, mongo_port=place.mongo.port) as server:
        clients.server = server
        yield clients
