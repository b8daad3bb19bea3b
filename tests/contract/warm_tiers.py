"""Tiers on a real Redis whose epoch is as old as a test wants it to be."""

import redis

from jac_converge.app_runtime.stores import DocumentStore
from jac_converge.app_runtime.stores.background import Threads
from jac_converge.app_runtime.stores.cache import COLD
from jac_converge.app_runtime.stores.redis import PREFIX, Redis
from jac_converge.app_runtime.stores.tiered import TieredStore
from tests.servers.process import wait_until


def tiers(url: str, store: DocumentStore) -> tuple[TieredStore, Redis]:
    """Put a cache in front of a store, as a worker does."""
    cache = Redis(url, ttl=3600)
    made = TieredStore(cache, store, background=Threads(cache.settle), tally=cache.tally)
    return made, cache


def age(raw: "redis.Redis", seconds: float) -> None:
    """Move every moment that the server has written down into the past."""
    by = round(seconds * 1000)
    for key in raw.scan_iter(f"{PREFIX}:*"):
        if raw.type(key) == b"hash":
            fields: dict[bytes, bytes] = raw.hgetall(key)  # type: ignore[assignment]
            for name, value in fields.items():
                # "" is a birth, in ms; the others have one or more `token@end`
                marks = [mark.rpartition(b"@") for mark in value.split(b",")]
                aged = [who + at + b"%d" % (int(end) - by) for who, at, end in marks]
                raw.hset(key, name, b",".join(aged))
        else:
            raw.pexpire(key, raw.pttl(key) - by)


def warm(store: TieredStore, cache: Redis, raw: "redis.Redis", *ids: str) -> None:
    """Read documents until they come from the cache, however cold it is now."""

    def found() -> bool:
        age(raw, COLD)
        before = cache.tally.hits
        store.get(ids)
        return cache.tally.hits == before + len(ids)

    wait_until(found, within=20, what="a warm cache")


def evalshas(raw: "redis.Redis") -> int:
    """Return how many scripts the server has run."""
    stats = raw.info("commandstats")
    return int(stats["cmdstat_evalsha"]["calls"])
