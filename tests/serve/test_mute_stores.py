"""What goes on while every store hangs: probes, and threads that need none."""

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jac_converge.app_runtime.probes import EVERY
from jac_converge.app_runtime.stores.bus import BusDown
from jac_converge.app_runtime.stores.redis_bus import RedisBus
from tests.servers.jac_server import JacServer
from tests.servers.mongo_proxy import MongoProxy
from tests.servers.mongo_server import MongoServer
from tests.servers.process import wait_until
from tests.servers.redis_server import RedisServer

SHARED = Path(__file__).parent / "apps" / "shared" / "shared.jac"
CALLS, LOOKS = 40, 50
PROBES = ("/healthz/live", "/healthz/ready")


def test_probes_answer_while_every_store_hangs(
    mongo_server: MongoServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """With 40 calls that wait for them; and ask the stores nothing, well or not."""
    with MongoProxy(mongo_server.port) as proxy, ThreadPoolExecutor(CALLS) as clients:
        env = os.environ | {"MONGODB_URI": proxy.url + "shared", "REDIS_URL": redis_server.url}
        with JacServer(SHARED, tmp_path, env=env) as server:
            assert [1] == server.call("/walker/increment").reports

            def pings_by_probes() -> float:
                """Return how many questions there were but those of the background."""
                began, before = time.monotonic(), proxy.commands["ping"]
                for _ in range(LOOKS):
                    for path in PROBES:
                        assert server.send("GET", path, timeout=10).status in (200, 503)
                seconds = time.monotonic() - began
                return proxy.commands["ping"] - before - (seconds / EVERY + 1)

            assert pings_by_probes() <= 0
            mongo_server.freeze()
            redis_server.freeze()
            try:
                waiting = [clients.submit(server.call, "/walker/number") for _ in range(CALLS)]
                wait_until(
                    lambda: (
                        server.get("/healthz/ready").body["data"] is None
                        or server.get("/healthz/ready").body["data"]["status"] == "degraded"
                    ),
                    within=20,
                    what="a probe that tells of it",
                )
                # The breaker asks for signs of life, too, about as often.
                assert pings_by_probes() <= 5
            finally:
                redis_server.thaw()
                mongo_server.thaw()
            assert {200, 503, 504} >= {one.result(60).status for one in waiting}
            wait_until(
                lambda: server.get("/healthz/ready").body["data"]["status"] == "ready",
                within=30,
                what="the way back",
            )
            assert [1] == server.call("/walker/number").reports


def test_mute_bus_holds_no_thread_of_others(redis_server: RedisServer) -> None:
    """Broadcasts that wait for Redis have threads of their own."""

    async def scenario() -> None:
        bus = RedisBus(redis_server.url, name="test")
        await bus.publish(b"one")
        redis_server.freeze()
        try:
            tasks = [asyncio.create_task(bus.publish(b"more")) for _ in range(CALLS)]
            await asyncio.sleep(0)
            assert 7 == await asyncio.wait_for(asyncio.to_thread(lambda: 7), 10)
            assert not all(task.done() for task in tasks)
        finally:
            redis_server.thaw()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(end is None or isinstance(end, BusDown) for end in ends)
        bus.close()

    asyncio.run(scenario())
