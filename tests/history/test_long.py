"""The same on a large scale: 64 clients, 2 servers of 4 workers, outages of half a minute.

`make test-long` runs these and prints what each workload did per second; nothing asserts a speed.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.history.clients import Crowd
from tests.history.conftest import ProxiedMongo
from tests.history.faults import kill_server, kill_worker, start
from tests.history.topology import run, serving
from tests.history.workloads import WORKLOADS, mixed
from tests.servers.redis_server import RedisServer

pytestmark = pytest.mark.long

CLIENTS, SERVERS, WORKERS = 64, 2, 4
ACCOUNTS, REGISTERS = 100, 16
CALLS = {"shelf": 50, "mongodb": 10, "mongodb-and-redis": 10}  # of each client
OUTAGE = 30.0  # s; longer than MongoDB's answers are waited for
ROUNDS = 4  # of kills
PATIENCE = 240.0  # s


@pytest.mark.parametrize("workload", WORKLOADS)
def test_many_clients_lose_nothing(
    tmp_path: Path,
    store_env: Mapping[str, str],
    request: pytest.FixtureRequest,
    workload: str,
) -> None:
    """One workload at a time, so that each shows its speed and its replays."""
    store = request.node.callspec.params["store_env"]
    with serving(tmp_path, servers=SERVERS, workers=WORKERS, env=store_env) as topology:
        run(
            topology,
            WORKLOADS[workload],
            clients=CLIENTS,
            each=CALLS[store],
            registers=REGISTERS,
            accounts=ACCOUNTS,
            name=f"{store}, {workload}",
        )


def test_shelf_loses_nothing_when_processes_are_killed_again_and_again(tmp_path: Path) -> None:
    """Workers of both servers, and each server in turn."""
    with serving(tmp_path, servers=SERVERS, workers=WORKERS) as topology:

        def kill(crowd: Crowd) -> None:
            for number in range(ROUNDS):
                for server in topology.servers:
                    kill_worker(server)
                    crowd.progress(CLIENTS, within=PATIENCE)
                victim = topology.servers[number % SERVERS]
                kill_server(victim)
                start(victim)
                crowd.progress(CLIENTS, within=PATIENCE)

        run(topology, mixed, clients=CLIENTS, accounts=ACCOUNTS, during=kill, name="shelf, kills")


def stop(mongo: ProxiedMongo) -> None:
    """End it, and start it again with its data."""
    mongo.server.kill9()
    time.sleep(OUTAGE)
    mongo.server.start()


def stall(mongo: ProxiedMongo) -> None:
    """Let nothing pass, and then everything that waited."""
    mongo.proxy.stall()
    time.sleep(OUTAGE)
    mongo.proxy.resume()


def cut(mongo: ProxiedMongo) -> None:
    """Break every connection, many times."""
    for _ in range(10):
        mongo.proxy.cut()
        time.sleep(1)


@pytest.mark.parametrize("outage", [stop, stall, cut])
def test_mongo_outage_is_survived(
    tmp_path: Path, mongo: ProxiedMongo, outage: Callable[[ProxiedMongo], None]
) -> None:
    """Successes, 409 and 503 while it lasts; successes afterwards, through the same processes."""
    with serving(tmp_path, servers=SERVERS, workers=WORKERS, env=mongo.env) as topology:

        def hurt(crowd: Crowd) -> None:
            crowd.progress(CLIENTS, within=PATIENCE)
            outage(mongo)
            crowd.progress(CLIENTS, within=PATIENCE)

        name = f"MongoDB, {outage.__name__}"
        run(topology, mixed, clients=16, accounts=ACCOUNTS, during=hurt, name=name)


def test_cache_outages_are_survived(
    tmp_path: Path, mongo: ProxiedMongo, redis_server: RedisServer
) -> None:
    """It dies and comes back empty, or is mute and comes back with what it had before."""
    env = {**mongo.env, "REDIS_URL": redis_server.url}
    with serving(tmp_path, servers=SERVERS, workers=WORKERS, env=env) as topology:

        def hurt(crowd: Crowd) -> None:
            for _ in range(ROUNDS):
                redis_server.freeze()
                crowd.progress(CLIENTS, within=PATIENCE)
                redis_server.thaw()
                crowd.progress(CLIENTS, within=PATIENCE)
                redis_server.kill9()
                crowd.progress(CLIENTS, within=PATIENCE)
                redis_server.start()

        name = "MongoDB and Redis, outages"
        run(topology, mixed, clients=16, accounts=ACCOUNTS, during=hurt, name=name)
