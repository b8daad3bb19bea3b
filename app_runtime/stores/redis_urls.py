"""From a URL to connections: one server, the master of a Sentinel, or the node of a cluster.

- `redis://[user:password@]host:port/db`, `rediss://` with TLS, `unix:///path?db=0`;
- `redis+sentinel://[user:password@]host:port,host:port/service/db`, `rediss+sentinel://`;
- `redis+cluster://[user:password@]host:port,host:port`, `rediss+cluster://`.

Options of redis-py come as a query, such as `?ssl_ca_certs=/path/ca.crt` or `?socket_timeout=1`,
and win over the limits here. It changes with the ways to reach a Redis.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel

from jac_converge.app_runtime.forks import begin_anew_in_children
from jac_converge.app_runtime.stores.document import StoreError

__all__ = ["Pools"]

CONNECT, ANSWER = 0.25, 0.5  # s
Pool = redis.ConnectionPool


class _Way(Protocol):
    def pool(self, key: str) -> Pool: ...

    def forget(self) -> None: ...


class Pools:
    """Connections to whichever server keeps a key."""

    def __init__(self, url: str, *, greet: Callable[[Any], None]) -> None:
        """Read the URL; nothing is connected.

        Args:
            url: as above.
            greet: called with each connection that has been made; has to make it ready.

        Raises:
            StoreError: the URL makes no sense.
        """
        self._url, self._greet = url, greet
        try:
            self.begin_anew()
        except ValueError:
            # Its text quotes the URL: of a password with a `/`, what stands before it, as a port.
            raise _refused(
                "ValueError",
                "it has a form, a port or an option without sense; "
                "percent-encode special characters of user, password and options",
            ) from None
        except (TypeError, redis.RedisError) as error:
            raise _refused(type(error).__name__, str(error)) from error
        begin_anew_in_children(self)

    def begin_anew(self) -> None:
        """Know no connection; what there was is neither used nor closed."""
        self._lock = threading.Lock()
        self._idle: dict[Pool, list[Any]] = {}
        """What was lent before. redis-py's own pool asks the operating system for more than a
        command to Redis takes; what it finds out, the next command does, and is sent again."""
        self._way = _way(self._url, self._greet)

    @contextmanager
    def connection(self, key: str) -> Iterator[Any]:
        """Lend a connection; one that did not get all its replies is not lent again.

        Raises:
            redis.RedisError: there is none to be had.
        """
        pool = self._way.pool(key)
        with self._lock:  # else `forget` may give back what is lent in this moment
            idle = self._idle.setdefault(pool, [])
            connection = idle.pop() if idle else None
        if connection is None:
            connection = pool.get_connection()
        whole = False
        try:
            yield connection
            whole = True
        except redis.exceptions.ResponseError:
            whole = True  # a reply like any other
            raise
        finally:
            with self._lock:
                kept = whole and self._idle.get(pool) is idle
                if kept:
                    idle.append(connection)
            if not kept:
                _give_back(pool, [connection])

    def forget(self) -> None:
        """Close what is idle, and find the way anew."""
        self._way.forget()
        with self._lock:
            idle, self._idle = self._idle, {}
        for pool, connections in idle.items():
            _give_back(pool, connections)

    def close(self) -> None:
        """Close what is idle; what is in use closes by itself."""
        self.forget()


def _give_back(pool: Pool, connections: list[Any]) -> None:
    for connection in connections:
        connection.disconnect()
        pool.release(connection)


class _Direct:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def pool(self, key: str) -> Pool:  # noqa: ARG002 - it keeps them all
        return self._pool

    def forget(self) -> None:
        self._pool.disconnect(inuse_connections=False)


class _Cluster:
    """Asks a cluster who keeps a key, and talks to that node alone."""

    def __init__(self, nodes: list[tuple[str, int]], options: dict[str, Any]) -> None:
        self._nodes = nodes
        self._options = options
        self._lock = threading.Lock()
        self._cluster: RedisCluster | None = None
        self._pools: dict[str, Pool] = {}

    def pool(self, key: str) -> Pool:
        with self._lock:
            if self._cluster is None:
                plain = {k: v for k, v in self._options.items() if k not in _OURS}
                tls = self._options.get("connection_class") is redis.SSLConnection
                nodes = [ClusterNode(host, port) for host, port in self._nodes]
                self._cluster = RedisCluster(startup_nodes=nodes, ssl=tls, **plain)
            node = self._cluster.get_node_from_key(key)
            if node is None:
                raise redis.ConnectionError("no node of the cluster keeps our slot")
            if node.name not in self._pools:
                where = {"host": node.host, "port": node.port}
                self._pools[node.name] = Pool(**(self._options | where))
            return self._pools[node.name]

    def forget(self) -> None:
        with self._lock:
            cluster, self._cluster = self._cluster, None
            pools, self._pools = self._pools, {}
        if cluster is not None:
            cluster.close()
        for pool in pools.values():
            pool.disconnect(inuse_connections=False)


_OURS = ("redis_connect_func", "connection_class", "host", "port")


def _refused(reason: str, cause: str) -> StoreError:
    return StoreError(
        f"Redis open failed ({reason}): {cause}; check [converge.database] redis_url or REDIS_URL"
    )


def _way(url: str, greet: Callable[[Any], None]) -> _Way:
    split = urlsplit(url)
    scheme, _, kind = split.scheme.partition("+")
    if scheme != "unix" and "@" in f"{split.path}{split.query}{split.fragment}":
        raise ValueError  # a part of the password would be taken for a host, and told
    if not kind:
        return _Direct(_checked(Pool(**_options(url, greet))))
    credentials, _, hosts = split.netloc.rpartition("@")
    one = hosts.partition(",")[0]
    service, _, database = split.path.strip("/").partition("/")
    plain = split._replace(
        scheme=scheme,
        netloc=f"{credentials}@{one}" if credentials else one,
        path=f"/{database}",
    )
    options = _options(urlunsplit(plain), greet)
    if kind == "sentinel" and service:
        return _Direct(_checked(_of_sentinel(_nodes(hosts, 26379), service, options)))
    if kind == "sentinel":
        raise _refused("NoService", "the URL of a Sentinel ends in /service or /service/db")
    if kind == "cluster":
        options.pop("db", None)
        _checked(Pool(**options))
        return _Cluster(_nodes(hosts, 6379), options)
    raise _refused("NoWay", f"+{kind} is neither +sentinel nor +cluster")


def _checked(pool: Pool) -> Pool:
    """Make a connection without connecting it, which raises TypeError for an unknown option."""
    pool.connection_class(**pool.connection_kwargs)
    return pool


def _options(url: str, greet: Callable[[Any], None]) -> dict[str, Any]:
    options: dict[str, Any] = {
        "socket_connect_timeout": CONNECT,
        "socket_timeout": ANSWER,
        # More than there are threads: waiting for one, or being refused, would be an outage.
        "max_connections": 1000,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    return options | dict(parse_url(url)) | {"redis_connect_func": greet}


def _of_sentinel(nodes: list[tuple[str, int]], service: str, options: dict[str, Any]) -> Pool:
    for where in ("host", "port"):
        options.pop(where, None)
    if options.pop("connection_class", None) is redis.SSLConnection:
        options["ssl"] = True
    secret = ("username", "password", "db", "redis_connect_func")
    asking = {name: value for name, value in options.items() if name not in secret}
    sentinel = Sentinel(nodes, sentinel_kwargs=asking, **options)
    pool: Pool = sentinel.master_for(service).connection_pool
    return pool


def _nodes(hosts: str, default: int) -> list[tuple[str, int]]:
    nodes = []
    for place in hosts.split(","):
        split = urlsplit(f"//{place}")
        nodes.append((split.hostname or "localhost", split.port or default))
    return nodes
