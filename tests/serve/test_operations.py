"""What an operator asks a running server: how it is, and what it has done."""

import asyncio
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from jac_converge.app_runtime.probes import GRACE, Health, Tier
from jac_converge.app_runtime.stores import Unavailable
from jac_converge.app_runtime.stores.mongo import Mongo
from tests.servers.jac_server import JacServer
from tests.servers.mongo_server import MongoServer
from tests.servers.process import wait_until
from tests.servers.redis_server import RedisServer

TRAPS = Path(__file__).parent / "apps" / "traps.jac"
TOML = """
[serve]
conflict_max_attempts = 20
[converge.server]
metrics_enabled = true
max_body_bytes = 2000
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[JacServer]:
    """Give one worker that tells metrics."""
    running = JacServer(TRAPS, tmp_path)
    (tmp_path / "jac.toml").write_text(TOML)
    with running:
        yield running


def metrics(server: JacServer) -> dict[str, float]:
    """Return the samples by name and labels, without the worker."""
    answer = server.get("/metrics")
    assert 200 == answer.status
    assert "text/plain; version=0.0.4; charset=utf-8" == answer.headers["Content-Type"]
    samples = {}
    for line in answer.body.decode().splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            named, count = re.subn(rf',?worker="{server.pid}"', "", name)
            assert 1 == count, line
            samples[named] = float(value)
    return samples


def test_metrics_are_off_unless_asked_for(tmp_path: Path) -> None:
    """They are for the operator alone."""
    with JacServer(TRAPS, tmp_path) as server:
        assert 404 == server.get("/metrics").status


def test_requests_are_counted_by_route_and_status(server: JacServer) -> None:
    """Never by what a client made up: paths, ids and methods."""
    token = server.register("ann")
    box = server.call("/walker/put", token, label="a").reports[0]["_jac_id"]
    assert 200 == server.call(f"/walker/look/{box}", token).status
    assert 404 == server.call("/walker/look/nobody", token).status
    assert 404 == server.get("/made/up").status
    assert 405 == server.send("PROPFIND", "/walker/look").status
    assert 413 == server.send("POST", "/walker/put", raw=b"x" * 3000).status
    assert 500 == server.call("/walker/half_then_fail").status
    found = metrics(server)
    ended = 'jac_http_requests_total{{method="{}",route="{}",status="{}"}}'
    assert 1 == found[ended.format("POST", "/walker/look/{node}", 200)]
    assert 1 == found[ended.format("POST", "/walker/look/{node}", 404)]
    assert 1 == found[ended.format("GET", "other", 404)]
    assert 1 == found[ended.format("other", "/walker/look", 405)]
    assert 1 == found[ended.format("POST", "/walker/put", 413)]
    assert 1 == found[ended.format("POST", "/walker/half_then_fail", 500)]
    assert not any("nobody" in name or box in name or "made" in name for name in found)


def test_durations_are_a_histogram(server: JacServer) -> None:
    """Each bucket has what those below it have; the last has all."""
    server.call("/function/nap", seconds=0.3)
    server.call("/function/nap", seconds=0.0)
    found = metrics(server)
    name = 'jac_http_request_seconds{}{{route="/function/nap"{}}}'
    buckets = [
        value
        for sample, value in found.items()
        if sample.startswith('jac_http_request_seconds_bucket{route="/function/nap"')
    ]
    assert sorted(buckets) == buckets
    assert 2 == buckets[-1] == found[name.format("_count", "")]
    assert 1 >= found[name.format("_bucket", ',le="0.25"')]
    assert 0.3 <= found[name.format("_sum", "")]


def test_conflicts_and_replays_are_counted(server: JacServer) -> None:
    """Eight calls at once that read, wait and write the same counter."""
    server.call("/walker/increment")
    before = metrics(server)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(server.call, "/walker/slow_increment") for _ in range(8)]
    assert {200} == {call.result().status for call in calls}
    found = metrics(server)
    conflicts = 'jac_store_conflicts_total{tier="shelf"}'
    assert found[conflicts] > before[conflicts]
    assert found["jac_call_replays_total{}"] == found[conflicts]
    commits = 'jac_store_commits_total{tier="shelf"}'
    assert 8 == found[commits] - before[commits] - found[conflicts] + before[conflicts]
    assert 0 == found['jac_store_errors_total{tier="shelf"}']
    assert (
        found['jac_store_hits_total{tier="shelf"}'] > before['jac_store_hits_total{tier="shelf"}']
    )
    assert 0 == found["jac_calls_running{}"]


def test_readiness_names_the_shelf(server: JacServer) -> None:
    """And how it is."""
    expected = {"status": "ready", "tiers": {"shelf": "ok"}}
    assert expected == server.get("/healthz/ready").body["data"]


def test_readiness_tells_that_mongodb_does_not_answer(tmp_path: Path) -> None:
    """At once, though a hiccup moves no traffic; and that it does again."""
    with MongoServer() as mongo:
        env = os.environ | {"MONGODB_URI": f"{mongo.url}?serverSelectionTimeoutMS=200"}
        with JacServer(TRAPS, tmp_path, env=env) as server:

            def told() -> object:
                return server.get("/healthz/ready").body["data"]

            wait_until(
                lambda: {"status": "ready", "tiers": {"mongodb": "ok"}} == told(),
                within=10,
                what="a tier that is well",
            )
            mongo.kill9()
            wait_until(
                lambda: {"status": "degraded", "tiers": {"mongodb": "degraded"}} == told(),
                within=9,
                what="a tier that is not",
            )
            assert 200 == server.get("/healthz/live").status
            wait_until(
                lambda: server.get("/healthz/ready").status == 503, within=20, what="the end"
            )
            answer = server.get("/healthz/ready")
            assert "NOT_READY" == answer.code
            assert {"tiers": {"mongodb": "down"}} == answer.body["error"]["details"]
            assert answer.headers["Retry-After"]
            mongo.start()
            wait_until(
                lambda: server.get("/healthz/ready").status == 200, within=20, what="the return"
            )


def test_readiness_needs_no_redis(redis_server: RedisServer, mongo_server: MongoServer) -> None:
    """A real cache that is killed is told and moves no traffic; a real MongoDB does."""
    cache = redis.Redis.from_url(redis_server.url, socket_timeout=1)
    store = Mongo.open(f"{mongo_server.url}?serverSelectionTimeoutMS=300", database="test")

    def ping() -> None:
        try:
            cache.ping()
        except redis.RedisError as error:
            raise Unavailable(str(error)) from error

    now = 0.0
    tiers = [Tier(name="mongodb", ping=store.ping), Tier(name="redis", ping=ping, needed=False)]
    health = Health(tiers, clock=lambda: now)

    async def scenario() -> None:
        nonlocal now
        await health.look()
        assert {"mongodb": "ok", "redis": "ok"} == health.ready().tiers
        redis_server.kill9()
        await health.look()
        assert {"mongodb": "ok", "redis": "degraded"} == health.ready().tiers
        now += GRACE + 1
        await health.look()
        found = health.ready()
        assert (None, {"mongodb": "ok", "redis": "down"}) == (found.reason, found.tiers)
        redis_server.start()
        mongo_server.kill9()
        await health.look()
        assert {"mongodb": "degraded", "redis": "ok"} == health.ready().tiers
        now += GRACE + 1
        await health.look()
        found = health.ready()
        assert {"mongodb": "down", "redis": "ok"} == found.tiers
        assert "mongodb cannot be reached" == found.reason

    asyncio.run(scenario())
    cache.close()
    store.close()


def test_round_trips_to_mongodb_are_counted(mongo_server: MongoServer, tmp_path: Path) -> None:
    """Some at the start, and a few for each call; signs of life are among them."""
    app = tmp_path / "source" / "tiny.jac"
    app.parent.mkdir()
    app.write_text(
        "node Thing {}\nwalker:pub add { can go with Root entry { here ++> Thing(); report 1; } }\n"
    )
    app.with_name("jac.toml").write_text("[converge.server]\nmetrics_enabled = true\n")
    env = os.environ | {"MONGODB_URI": f"{mongo_server.url}trips"}
    trips = 'jac_store_round_trips_total{tier="mongodb"}'
    with JacServer(app, tmp_path / "run", env=env) as server:
        before = metrics(server)[trips]
        server.call("/walker/add")
        assert before < metrics(server)[trips] <= before + 6
