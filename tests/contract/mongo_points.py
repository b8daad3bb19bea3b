"""The writes of a commit to MongoDB at which tests break it, and what must be there afterwards."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pymongo
import pytest

from jac_converge.app_runtime.stores import (
    Document,
    Removal,
    WriteBatch,
)
from jac_converge.app_runtime.stores.mongo import Mongo
from jac_converge.app_runtime.stores.mongo_parts import Parts
from jac_converge.app_runtime.stores.mongo_sending import Patience
from tests.servers.committer import DATABASE
from tests.servers.mongo_proxy import MongoProxy
from tests.servers.mongo_server import MongoServer
from tests.servers.process import wait_until

__all__ = [
    "NEW",
    "OLD",
    "SHAPES",
    "SHORT",
    "Point",
    "Shape",
    "change_all",
    "check_clean",
    "doc",
    "happened",
    "opened",
    "points",
    "proxied",
]

SHORT = Patience(lease=0.15, keep=0.3)
# A writer that has to win a race against the lease must not be aborted because the machine is slow.
CALM = {"lease": 60.0, "keep": 60.0}
# One that shows life before every step it may do so.
LIVELY = {"lease": 0.0, "longest_lease": 0.0, "keep": 60.0}


WHOLE = Parts()


def doc(id_: str, text: str = "old", version: int = 0) -> Document:
    """Make a document with one field."""
    return Document(id=id_, kind="node", body={"text": text}, version=version)


OLD = ("a", "b", "c", "d")
NEW = (doc("x", "new"), doc("y", "new"))
BEFORE = {id_: doc(id_, "old", 1) for id_ in OLD}


@dataclass(frozen=True, slots=True)
class Shape:
    """A batch, how many writes it takes, and which one of them makes it happen."""

    batch: WriteBatch
    writes: int
    point: int
    parts: Parts = WHOLE
    patience: Mapping[str, float] = field(default_factory=lambda: CALM)
    """Of its writer."""

    def opened(self, url: str) -> AbstractContextManager[Mongo]:
        """Open the store of its writer."""
        return opened(url, Patience(**self.patience), self.parts)

    @property
    def after(self) -> dict[str, Document]:
        """What is there once it has happened."""
        found = BEFORE | {new.id: new._replace(version=1) for new in self.batch.creates}
        found |= {changed.id: changed._replace(version=2) for changed in self.batch.updates}
        return {id_: found[id_] for id_ in found if id_ not in {r.id for r in self.batch.removals}}


A, B = doc("a", "newer", 1), doc("b", "newer", 1)
C, D = Removal(id="c", version=1), Removal(id="d", version=1)
SHAPES = {
    "several": Shape(WriteBatch(creates=NEW, updates=(A, B), removals=(C, D)), 6, 3),
    "updates": Shape(WriteBatch(updates=(A, B)), 5, 3),
    "removal": Shape(WriteBatch(removals=(C,)), 5, 3),
    "creates-and-one": Shape(WriteBatch(creates=NEW, updates=(A,)), 2, 2),
    "creates": Shape(WriteBatch(creates=NEW), 2, 2),
    "create": Shape(WriteBatch(creates=NEW[:1]), 1, 1),
    # The record and x, a sign of life, y; a, b, c and d locked with signs of life before, but for
    # the first, and before the decision; that; c, d, a, b carried out; the record deleted.
    "parts": Shape(
        WriteBatch(creates=NEW, updates=(A, B), removals=(C, D)),
        17,
        12,
        Parts(ids=1, new=1, updates=1),
        LIVELY,
    ),
    "creates-in-parts": Shape(
        WriteBatch(creates=(*NEW, doc("z", "new")), updates=(A,)), 4, 4, Parts(new=1)
    ),
}


@dataclass(frozen=True, slots=True)
class Point:
    """A moment in a commit: just before or just after one of its writes reaches the server."""

    shape: Shape
    side: str
    write: int

    @property
    def won(self) -> bool:
        """Whether the batch has happened by then."""
        return self.write + (self.side == "after") > self.shape.point

    def arm(self, proxy: MongoProxy, action: Callable[[], object]) -> None:
        """Count writes from now on, and do something at this one."""
        proxy.reset()
        (proxy.before if self.side == "before" else proxy.after)(self.write, action)


def points(*sides: str) -> pytest.MarkDecorator:
    """Parametrize over every write of batches that have every kind of it."""
    return pytest.mark.parametrize(
        "point",
        [
            pytest.param(Point(SHAPES[name], side, write), id=f"{name}-{side}-{write}")
            for name in ("several", "creates-and-one", "creates", "parts")
            for write in range(1, SHAPES[name].writes + 1)
            for side in sides
        ],
    )


@contextmanager
def opened(url: str, patience: Patience | None = None, parts: Parts = WHOLE) -> Iterator[Mongo]:
    """Open a store."""
    patience = patience or Patience(**CALM)
    store = Mongo.open(url, database=DATABASE, patience=patience, parts=parts)
    try:
        yield store
    finally:
        store.close()


def happened(store: Mongo, shape: Shape) -> bool:
    """Say whether a batch has happened; a batch that has done so by half is a failure."""
    found = store.get({*OLD, *(new.id for new in shape.batch.creates)})
    if found == shape.after:
        return True
    created = {new.id for new in shape.batch.creates}
    assert BEFORE == {id_: found[id_] for id_ in found if id_ not in created}
    return False


def change_all(store: Mongo) -> None:
    """Change every old document that is there, once."""
    read = store.get(OLD).values()
    store.commit(WriteBatch(updates=tuple(r._replace(body={"text": "newest"}) for r in read)))


def check_clean(server: MongoServer, store: Mongo) -> None:
    """Wait until a process that reads everything has left no lock and no record."""
    with pymongo.MongoClient[dict[str, Any]](server.url) as client:
        rows = client[DATABASE]["documents"]

        def clean() -> bool:
            store.scan("", 1000)
            leftovers = [{"lock": {"$exists": True}}, {"next": {"$exists": True}}]
            return not rows.count_documents({"$or": [*leftovers, {"kind": "commit"}]})

        wait_until(clean, within=20, what="no lock and no record")


@contextmanager
def proxied(server: MongoServer) -> Iterator[MongoProxy]:
    """Give a proxy before a server that gets the old documents."""
    with opened(server.url) as store:
        store.commit(WriteBatch(creates=tuple(doc(id_) for id_ in OLD)))
    with MongoProxy(server.port) as proxy:
        yield proxy
