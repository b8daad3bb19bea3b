"""Each kind of URL leads to the Redis it names."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from jac_converge.app_runtime.stores import StoreError
from jac_converge.app_runtime.stores.cache import COLD, CacheDown, Epoch, Release
from jac_converge.app_runtime.stores.document import Document
from jac_converge.app_runtime.stores.redis import Redis
from tests.contract.warm_tiers import age
from tests.servers.certificates import Authority
from tests.servers.process import Process, free_port, wait_until
from tests.servers.redis_server import RedisServer

HOST = "127.0.0.1"


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """Give a place for servers that end with the test."""
    with ExitStack() as stack:
        yield stack


def check(url: str, raw: "redis.Redis") -> None:
    """Ask for a sign of life, put a document and read it."""
    cache = Redis(url, ttl=60)
    cache.ping()
    epoch = Epoch(name="e", server=cache.probe("e"))
    document = Document(id="a", kind="k", body={}, version=1)
    cache.hold(epoch, ["a"], "w")
    age(raw, COLD)
    cache.settle([Release(epoch=epoch, token="w", documents={"a": document})])
    assert {"a": document} == cache.read(epoch, ["a"], "r").documents
    cache.close()


def test_acl_user(redis_server: RedisServer) -> None:
    """A user of our keys and commands alone is enough; characters of a URL are quoted."""
    with redis.Redis.from_url(redis_server.url) as raw:
        commands = "+evalsha +script|load +info +select +set +get +mget +del +hget +hmget +hset"
        commands += " +hdel +hlen +hgetall +time +pttl +pexpire"
        rules = ["on", ">p@ss/1", "~jac-converge:*", *commands.split()]
        assert raw.execute_command("ACL", "SETUSER", "app", *rules)
        check(f"redis://app:p%40ss%2F1@{HOST}:{redis_server.port}/0", raw)
        wrong = Redis(f"redis://app:wrong@{HOST}:{redis_server.port}/0", ttl=60)
        with pytest.raises(CacheDown, match="AuthenticationError") as refused:
            wrong.probe("e")
        assert "p@ss" not in str(refused.value)
        wrong.close()


def test_tls(servers: ExitStack, tmp_path: Path) -> None:
    """The certificate is checked against the authority of the URL."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("redis", "redis", addresses=[HOST])
    port = free_port()
    server = servers.enter_context(
        RedisServer(
            tls_port=str(port),
            tls_cert_file=str(certificate),
            tls_key_file=str(key),
            tls_ca_cert_file=str(authority.certificate),
            tls_auth_clients="no",
        )
    )
    with redis.Redis.from_url(server.url) as raw:
        check(f"rediss://{HOST}:{port}/0?ssl_ca_certs={authority.certificate}", raw)
    stranger = Redis(f"rediss://{HOST}:{port}/0", ttl=60)
    with pytest.raises(CacheDown, match="certificate"):
        stranger.probe("e")
    stranger.close()


def test_unix_socket(servers: ExitStack, tmp_path: Path) -> None:
    """Its database comes as a query."""
    path = tmp_path / "redis.sock"
    server = servers.enter_context(RedisServer(unixsocket=str(path)))
    with redis.Redis.from_url(server.url.removesuffix("0") + "3") as raw:
        check(f"unix://{path}?db=3", raw)


def test_databases_are_servers_of_their_own(redis_server: RedisServer) -> None:
    """Two processes that name different ones share no cache."""
    names = set()
    for database in (0, 1):
        cache = Redis(f"redis://{HOST}:{redis_server.port}/{database}", ttl=60)
        names.add(cache.server("e"))
        cache.close()
    assert 2 == len(names)


def test_sentinel(servers: ExitStack, tmp_path: Path, redis_server: RedisServer) -> None:
    """It is asked for the master; one that is not there is passed over."""
    port, nobody = free_port(), free_port()
    conf = tmp_path / "sentinel.conf"
    conf.write_text(
        f"port {port}\nbind {HOST}\ndir {tmp_path}\n"
        f"sentinel monitor shop {HOST} {redis_server.port} 1\n"
    )

    def ready() -> bool:
        with redis.Redis(port=port) as client:
            try:
                return bool(client.sentinel_masters())
            except redis.ConnectionError as error:
                raise OSError from error

    program = redis_server.command[0]
    command = [program, str(conf), "--sentinel"]
    servers.enter_context(Process("sentinel", command, log=tmp_path / "log", ready=ready))
    with redis.Redis.from_url(redis_server.url) as raw:
        check(f"redis+sentinel://{HOST}:{nobody},{HOST}:{port}/shop/0", raw)


def test_cluster(servers: ExitStack) -> None:
    """All keys of an epoch are on one node, which is found by asking any."""
    server = servers.enter_context(RedisServer(cluster_enabled="yes"))
    with redis.Redis.from_url(server.url) as raw:
        raw.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_until(
            lambda: raw.cluster("info")["cluster_state"] == "ok", within=20, what="the cluster"
        )
        check(f"redis+cluster://{HOST}:{server.port}", raw)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("redis://h:port/0", id="port"),
        pytest.param("redis+sentinel://h:1", id="sentinel-without-service"),
        pytest.param("redis://h/0?socket_timeout=soon", id="option"),
        pytest.param("redis://h/0?colour=blue", id="unknown-option"),
    ],
)
def test_a_url_without_sense_is_said_at_once(url: str) -> None:
    """And not when the first request comes."""
    with pytest.raises(StoreError, match=r"Redis open failed .*redis_url"):
        Redis(url, ttl=60)


@pytest.mark.parametrize("scheme", ["redis", "rediss+sentinel", "redis+cluster"])
@pytest.mark.parametrize("password", ["s3cr/et", "s3cr?et", "s3cr#et", "1234/s3cr", "1?s3cr=et"])
def test_a_password_that_is_not_quoted_is_not_shown(scheme: str, password: str) -> None:
    """What stands before its special character would be taken for a port, and told."""
    with pytest.raises(StoreError, match="percent-encode") as refused:
        Redis(f"{scheme}://user:{password}@host/shop/0", ttl=60)
    assert "s3cr" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


FORKING = """
import os, sys
from jac_converge.app_runtime.stores.redis_urls import Pools

pools = Pools(sys.argv[1], greet=lambda connection: connection.on_connect())

def ask():
    with pools.connection("key") as connection:
        connection.send_command("CLIENT", "ID")
        return connection.read_response()

mine = ask()
for locked in (False, True):
    if locked:  # as if another thread were about to lend one
        pools._lock.acquire()
    if (child := os.fork()) == 0:
        os._exit(ask() == mine)
    if locked:
        pools._lock.release()
    assert os.waitpid(child, 0)[1] == 0, "a child talks through the socket of its parent"
    assert ask() == mine, "the parent's connection was closed"
"""


def test_forked_child_has_connections_of_its_own(redis_server: RedisServer) -> None:
    """Else it and its parent would read each other's answers; the parent keeps its own."""
    command = [sys.executable, "-c", FORKING, redis_server.url]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (0, "") == (ran.returncode, ran.stderr)
