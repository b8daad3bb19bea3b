"""The Redis and the MongoDB of the tests behave like ones: what other tests take for granted."""

from collections.abc import Iterator
from typing import Any

import pymongo
import pymongo.errors
import pytest
import redis

from tests.servers.mongo_server import MongoServer
from tests.servers.process import wait_until
from tests.servers.redis_server import RedisServer

Json = dict[str, Any]


@pytest.fixture
def cache(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """Give a client that fails after half a second instead of retrying."""
    with redis.Redis.from_url(
        redis_server.url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=None
    ) as client:
        yield client


@pytest.fixture
def collection(mongo_server: MongoServer) -> Iterator[pymongo.collection.Collection[Json]]:
    """Give an empty collection, through a client that fails after a second."""
    with pymongo.MongoClient[Json](
        mongo_server.url, serverSelectionTimeoutMS=1000, socketTimeoutMS=1000, retryReads=False
    ) as client:
        yield client["test"]["documents"]


def test_redis_answers_and_forgets_when_killed(
    redis_server: RedisServer, cache: redis.Redis
) -> None:
    """A killed Redis comes back on its port, and empty."""
    cache.set("colour", "blue")
    before = cache.get("colour")

    redis_server.kill9()
    with pytest.raises(redis.ConnectionError):
        cache.get("colour")
    redis_server.start()

    assert (b"blue", None) == (before, cache.get("colour"))


def test_redis_goes_mute_when_frozen(redis_server: RedisServer, cache: redis.Redis) -> None:
    """A frozen Redis neither answers nor refuses; thawed, it has its data."""
    cache.set("colour", "blue")

    redis_server.freeze()
    with pytest.raises(redis.TimeoutError):
        cache.get("colour")
    redis_server.thaw()

    assert b"blue" == cache.get("colour")


def test_mongo_finds_what_was_inserted(collection: pymongo.collection.Collection[Json]) -> None:
    """Documents keep their types, and one $in fetches many."""
    documents: list[Json] = [{"_id": f"n{i}", "version": 1, "tags": ["a", i]} for i in range(3)]
    collection.insert_many(documents)

    found = list(collection.find({"_id": {"$in": ["n0", "n2", "n9"]}}).sort("_id"))

    assert [documents[0], documents[2]] == found


def test_mongo_compares_and_sets(collection: pymongo.collection.Collection[Json]) -> None:
    """An update with the version in its filter succeeds once."""
    collection.insert_one({"_id": "n", "version": 1, "value": "old"})

    matched = [
        collection.update_one(
            {"_id": "n", "version": 1}, {"$set": {"value": value}, "$inc": {"version": 1}}
        ).matched_count
        for value in ("first", "second")
    ]

    assert [1, 0] == matched
    assert {"_id": "n", "version": 2, "value": "first"} == collection.find_one({"_id": "n"})


def test_mongo_refuses_a_duplicate(collection: pymongo.collection.Collection[Json]) -> None:
    """Ids are unique."""
    collection.insert_one({"_id": "n"})

    with pytest.raises(pymongo.errors.DuplicateKeyError):
        collection.insert_one({"_id": "n"})


def test_mongo_keeps_its_data_when_killed(
    mongo_server: MongoServer, collection: pymongo.collection.Collection[Json]
) -> None:
    """What was acknowledged is there after kill -9 and a restart on the same port."""
    collection.insert_one({"_id": "n"})

    mongo_server.kill9()
    with pytest.raises(pymongo.errors.ConnectionFailure):
        collection.find_one()
    mongo_server.start()

    assert {"_id": "n"} == collection.find_one()


def test_mongo_goes_mute_when_frozen(
    mongo_server: MongoServer, collection: pymongo.collection.Collection[Json]
) -> None:
    """A frozen MongoDB times out; thawed, it answers."""
    collection.insert_one({"_id": "n"})

    mongo_server.freeze()
    with pytest.raises(pymongo.errors.NetworkTimeout):
        collection.find_one()
    mongo_server.thaw()

    def found() -> bool:
        return collection.find_one() == {"_id": "n"}

    wait_until(found, within=10, what="an answer after the thaw")
