"""The Redis we describe, run for real: its command and its file mean what we think they mean."""

import base64
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from jac_converge.reconciler.build import build
from jac_converge.reconciler.build.credentials import Credentials
from jac_converge.reconciler.objects import key_of
from tests.servers.build import redis_server as redis_server_program
from tests.servers.process import Process, free_port
from tests.servers.redis_server import RedisServer
from tests.unit.reconciler.build.apps import app_with

PASSWORD = 'by hand: "quoted" \\x41 \n # ü'
HOST = "127.0.0.1"


@pytest.fixture
def port(redis_server: RedisServer, tmp_path: Path) -> Iterator[int]:
    """Run the container's command, with the Secret's file in another folder and on a free port."""
    # Asked for only because a missing redis-server is a skip, or a failure, decided in one place.
    del redis_server
    credentials = Credentials(jwt_secret="any", redis_password=PASSWORD, mongodb_password="any")
    objects = {str(key_of(obj)): obj for obj in build(app_with(), credentials)}
    conf = objects["Secret/shop-credentials"]["data"]["redis.conf"]
    (tmp_path / "redis.conf").write_bytes(base64.b64decode(conf))
    pod = objects["StatefulSet/shop-redis"]["spec"]["template"]["spec"]
    name, file, *options = pod["containers"][0]["command"]
    assert ("redis-server", "/etc/redis/redis.conf") == (name, file)

    free = free_port()

    def ready() -> bool:
        with socket.create_connection((HOST, free), timeout=1):
            return True

    command = [
        str(redis_server_program()),
        str(tmp_path / "redis.conf"),
        *options,
        "--port",
        str(free),
    ]
    command += ["--bind", HOST, "--dir", str(tmp_path)]
    with Process("redis-server", command, log=tmp_path / "redis.log", ready=ready, grace=1):
        yield free


def client(port: int, password: str | None) -> redis.Redis:
    """Connect once: redis-py would try a refused password again and again, for seconds."""
    never = Retry(NoBackoff(), 0)
    return redis.Redis(host=HOST, port=port, password=password, socket_timeout=5, retry=never)


def test_built_redis_takes_the_password_of_the_secret_and_no_other(port: int) -> None:
    """Whatever characters it has."""
    with client(port, PASSWORD) as right:
        assert right.ping() is True
    with client(port, "wrong") as wrong, pytest.raises(redis.AuthenticationError):
        wrong.ping()
    with client(port, None) as none, pytest.raises(redis.AuthenticationError):
        none.ping()


def test_built_redis_is_a_cache_only(port: int) -> None:
    """It writes nothing to disk, and makes room by itself."""
    with client(port, PASSWORD) as right:
        found = {
            key: right.config_get(key)[key]
            for key in ("save", "appendonly", "maxmemory", "maxmemory-policy")
        }

    assert {
        "save": "",
        "appendonly": "no",
        "maxmemory": str(192 * 1024 * 1024),
        "maxmemory-policy": "allkeys-lfu",
    } == found


@pytest.mark.parametrize(
    ("password", "expected"), [(PASSWORD, 0), ("wrong", 1)], ids=["right", "wrong"]
)
def test_built_redis_probe_tells_by_its_exit_code(port: int, password: str, expected: int) -> None:
    """The probe fails on an error reply, not just without a connection."""
    beside = Path(redis_server_program()).with_name("redis-cli")
    program = str(beside) if beside.exists() else shutil.which("redis-cli")
    if program is None:
        pytest.skip("no redis-cli beside redis-server")

    done = subprocess.run(
        [program, "-h", HOST, "-p", str(port), "-e", "ping"],
        env={"REDISCLI_AUTH": password},
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert expected == done.returncode, done
