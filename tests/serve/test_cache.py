"""Two servers on one MongoDB and one Redis."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from tests.servers.jac_server import JacServer
from tests.servers.mongo_server import MongoServer
from tests.servers.process import wait_until
from tests.servers.redis_server import RedisServer
from tests.servers.tcp_proxy import TcpProxy

SHARED = Path(__file__).parent / "apps" / "shared" / "shared.jac"


@pytest.mark.parametrize("fault", ["stall", "refuse"])
def test_a_server_cut_off_from_redis_keeps_nobody_on_old_values(
    mongo_server: MongoServer, redis_server: RedisServer, tmp_path: Path, fault: str
) -> None:
    """What one acknowledges is what the other reads, before, during and after."""
    with TcpProxy(redis_server.port) as proxy:
        env = os.environ | {"MONGODB_URI": mongo_server.url + "shared"}
        far_env = env | {"REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"}
        near_env = env | {"REDIS_URL": redis_server.url}
        far = JacServer(SHARED, tmp_path / "far", env=far_env)
        near = JacServer(SHARED, tmp_path / "near", env=near_env)
        with far, near:
            assert [1] == far.call("/walker/increment").reports
            wait_until(lambda: _reads_from(redis_server, near), within=30, what="a warm cache")
            getattr(proxy, fault)()
            for expected in range(2, 5):
                assert [expected] == far.call("/walker/increment").reports
                assert [expected] == near.call("/walker/number").reports
                assert [expected] == far.call("/walker/number").reports
            proxy.resume()
            wait_until(lambda: "answers again" in far.log_text(), within=30, what="the way back")
            assert [5] == near.call("/walker/increment").reports
            assert [5] == far.call("/walker/number").reports
        assert 1 == far.log_text().count("reading and writing without it")
        assert "reading and writing without it" not in near.log_text()


def _reads_from(redis: RedisServer, server: JacServer) -> bool:
    """Say whether the number is in the cache, after one more read."""
    server.call("/walker/number")
    with Redis.from_url(redis.url) as raw:
        values = [raw.get(key) for key in raw.scan_iter("jac-converge:*:*")]
    return any(value and b'"n":1' in value for value in values)


def test_redis_is_not_imported_without_a_url(tmp_path: Path) -> None:
    """Nor the circuit breaker's library: an app on a shelf pays for neither."""
    code = """
import sys
from pathlib import Path
from jac_converge.app_runtime.tiers import open_memory
from jac_converge.config.load import load_app
app = load_app(Path(sys.argv[1]), environ={}, profile=None, flags={}, purpose="serve")
open_memory(app).store.close()
print(sorted({"redis", "hiredis", "pymongo", "tenacity"} & set(sys.modules)))
"""
    (tmp_path / "app.jac").write_text("")
    command = [sys.executable, "-c", code, str(tmp_path / "app.jac")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "[]\n" == ended.stdout


def test_a_shelf_has_no_cache(tmp_path: Path) -> None:
    """Several workers share its file, which is faster than any server; one line says so."""
    env = os.environ | {"REDIS_URL": "redis://127.0.0.1:1/0"}
    with JacServer(SHARED, tmp_path, env=env) as server:
        assert [1] == server.call("/walker/increment").reports
    assert 1 == server.log_text().count("redis_url is not used as a cache")
