"""No update is lost in MongoDB, with and without a cache before it, whatever stops meanwhile.

Clients see successes, 409 and 503 while it lasts, and successes again afterwards, from the same
processes as before; `perform` takes no other answer.
"""

import time
from pathlib import Path

from redis import Redis

from tests.history.clients import Crowd
from tests.history.conftest import ProxiedMongo
from tests.history.faults import workers_of
from tests.history.topology import run, serving
from tests.history.workloads import mixed
from tests.servers.redis_server import RedisServer

OUTAGE = 5.0  # s that MongoDB is gone
HITCH = 1.5  # s that it is mute
CALLS = 10  # through each server, to see that it serves


def test_mongo_loses_nothing_between_two_servers(tmp_path: Path, mongo: ProxiedMongo) -> None:
    """Each with two workers."""
    with serving(tmp_path, servers=2, workers=2, env=mongo.env) as topology:
        run(topology, mixed, clients=8, each=15, name="MongoDB, 2 x 2")


def test_mongo_outage_is_survived(tmp_path: Path, mongo: ProxiedMongo) -> None:
    """It goes mute, comes back, dies, and comes back with its data."""
    with serving(tmp_path, servers=2, workers=2, env=mongo.env) as topology:
        before = [workers_of(server) for server in topology.servers]

        def hurt(crowd: Crowd) -> None:
            crowd.progress(CALLS)
            mongo.proxy.stall()
            time.sleep(HITCH)
            mongo.proxy.resume()
            crowd.progress(CALLS)
            mongo.server.kill9()
            time.sleep(OUTAGE)
            mongo.server.start()
            crowd.progress(CALLS)
            mongo.proxy.cut()
            crowd.progress(CALLS)

        run(topology, mixed, clients=8, during=hurt, name="MongoDB, outages")
        assert before == [workers_of(server) for server in topology.servers]


def test_cache_outage_is_survived(
    tmp_path: Path, mongo: ProxiedMongo, redis_server: RedisServer
) -> None:
    """It is killed, comes back empty, goes mute, goes on with what it had, and is emptied."""
    env = {**mongo.env, "REDIS_URL": redis_server.url}
    with serving(tmp_path, servers=2, workers=1, env=env) as topology:

        def hurt(crowd: Crowd) -> None:
            crowd.progress(CALLS)
            redis_server.kill9()
            crowd.progress(CALLS)
            redis_server.start()
            crowd.progress(CALLS)
            redis_server.freeze()
            crowd.progress(CALLS)
            redis_server.thaw()
            crowd.progress(CALLS)
            with Redis.from_url(redis_server.url) as admin:
                admin.flushall()
            crowd.progress(CALLS)

        run(topology, mixed, clients=8, during=hurt, name="MongoDB and Redis, outages")
