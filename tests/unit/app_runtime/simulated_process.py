"""Processes with the real tiers, over a cache and a store that take their time.

Their clocks run at different speeds, and each has its own view of the network.
"""

import itertools
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any

from jac_converge.app_runtime.stores import (
    Conflict,
    Document,
    DocumentStore,
    Removal,
    Unavailable,
    WriteBatch,
)
from jac_converge.app_runtime.stores.cache import CacheDown, Epoch, Found, Head, Settlement
from jac_converge.app_runtime.stores.tiered import TieredStore
from tests.unit.app_runtime.memory_cache import MemoryCache
from tests.unit.app_runtime.simulation import Task, World, current

RATES = (0.96, 1.0, 1.04)  # of a process's clock; that of the cache is faster than each


class Town(World):
    """A world with three processes."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.processes = [Process(self, number, rate) for number, rate in enumerate(RATES)]


class Process:
    """One process: its own tiers, clock, and view of the network."""

    def __init__(self, world: World, number: int, rate: float) -> None:
        self.world = world
        self.number = number
        self.rate = rate
        self.reaches = True
        self.start()

    def start(self) -> None:
        """Begin anew, with nothing known."""
        tokens = itertools.count()
        life = next(self.world.counter)
        self.background: list[Task] = []
        self.tiers = TieredStore(
            SlowCache(self),
            SlowStore(self),
            background=self,
            clock=self.clock,
            sleep=self.sleep,
            token=lambda: f"p{self.number}x{life}x{next(tokens)}",
        )

    def crash(self) -> None:
        """Die, and begin anew."""
        for task in [task for task in self.world.tasks if task.process is self]:
            task.kill()
            self.world.tasks.remove(task)
        self.start()

    def clock(self) -> float:
        """Return s, by a clock of its own."""
        return self.number * 100 + self.world.now * self.rate

    def sleep(self, seconds: float) -> None:
        """Wait for s, by that clock."""
        current.task.stop("sleeping", not_before=self.world.now + seconds / self.rate)

    def settle(self, settlement: Settlement) -> None:
        """Begin to settle."""
        self.world.begin(self, "settle", lambda: self._settle(settlement))

    def soon(self, task: Callable[[], None]) -> None:
        """Begin a task, unless one runs."""
        self.background = [known for known in self.background if not known.done]
        if not self.background:
            self.background.append(self.world.begin(self, "look", task))

    def close(self) -> None:
        """Have nothing to close."""

    def _settle(self, settlement: Settlement) -> None:
        try:
            SlowCache(self).settle([settlement])
        except CacheDown:
            return

    def read(self, ids: Sequence[str]) -> None:
        """Read, and see that nothing acknowledged before is missing."""
        world = self.world
        floor = dict(world.acknowledged)
        found = self.tiers.get(ids)
        world.asked += len(ids)
        for id_ in ids:
            place = world.store.place(id_, found.get(id_))
            said = f"p{self.number} read {id_} at {place}, {floor[id_]} was acknowledged before"
            assert place >= floor[id_], "\n".join([*world.trace, said])

    def write(self, ids: Sequence[str], *, how: str) -> None:
        """Change documents, and count it as acknowledged when the tiers say so."""
        world = self.world
        documents = dict(world.store.documents) if how == "blind" else self.tiers.get(ids)
        mark = next(world.counter)
        batch = _batch(ids, documents, mark, removing=how == "remove")
        try:
            self.tiers.commit(batch)
        except (Conflict, Unavailable):
            return
        for id_, place in world.store.landings[id(batch)].items():
            world.acknowledged[id_] = max(world.acknowledged[id_], place)


class SlowCache:
    """The cache as one process reaches it, or does not."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def server(self, name: str) -> str:
        """Ask for the server."""
        return self._ask("server", lambda cache: cache.server(name))

    def probe(self, name: str) -> str:
        """Ask for a write."""
        return self._ask("probe", lambda cache: cache.probe(name))

    def read(self, epoch: Epoch, ids: Collection[str], token: str) -> Found:
        """Ask for documents."""
        found = self._ask("read", lambda cache: cache.read(epoch, ids, token))
        self._process.world.cached += len(found.documents)
        return found

    def hold(self, epoch: Epoch, ids: Collection[str], token: str) -> dict[str, Head]:
        """Ask for a hold."""
        return self._ask("hold", lambda cache: cache.hold(epoch, ids, token))

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Begin to settle."""
        self._ask("settle", lambda cache: cache.settle(settlements))

    def close(self) -> None:
        """Have nothing to close."""

    def _ask[T](self, what: str, operation: Callable[[MemoryCache], T]) -> T:
        world, task = self._process.world, current.task
        task.stop(f"asks cache to {what}")
        if not self._process.reaches:
            if world.rng.random() < 0.3:  # it arrives, much later perhaps, and nobody hears of it
                world.begin(None, f"lost {what}", lambda: _unheard(world, operation))
            raise CacheDown("not reached")
        result = operation(world.cache)
        task.stop(f"has answer to {what}")
        if not self._process.reaches:
            raise CacheDown("the answer is lost")
        return result


def _unheard(world: World, operation: Callable[[MemoryCache], Any]) -> None:
    try:
        operation(world.cache)
    except CacheDown:
        return


class SlowStore:
    """The store, whose answers take their time."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Read, after a while."""
        stored = self._process.world.store.documents
        current.task.stop("asks store to get")
        found = {id_: stored[id_] for id_ in ids if id_ in stored}
        current.task.stop("has documents")
        return found

    def commit(self, batch: WriteBatch) -> None:
        """Compare and set."""
        world = self._process.world
        current.task.stop("asks store to commit")
        world.store.commit(batch)
        current.task.stop("has committed")
        if world.rng.random() < 0.03:
            raise Unavailable("the answer is lost")

    def exclusive(self) -> AbstractContextManager[DocumentStore]:
        """Never happens."""
        raise AssertionError

    def find(self, kind: str) -> list[Document]:
        """Never happens."""
        raise AssertionError(kind)

    def near(self, group: str, stamp: int, limit: int) -> list[Document]:
        """Never happens."""
        raise AssertionError(group, stamp, limit)

    def scan(self, after: str, limit: int) -> list[Document]:
        """Never happens."""
        raise AssertionError(after, limit)

    def ping(self) -> None:
        """Answer."""

    def close(self) -> None:
        """Have nothing to close."""


def _batch(
    ids: Sequence[str], documents: dict[str, Document], mark: int, *, removing: bool
) -> WriteBatch:
    creates = [id_ for id_ in ids if id_ not in documents]
    there = [documents[id_] for id_ in ids if id_ in documents]
    body = {"mark": mark}
    return WriteBatch(
        creates=tuple(Document(id=i, kind="k", body=body, group="g", stamp=7) for i in creates),
        updates=() if removing else tuple(
            Document(id=old.id, kind=old.kind, body=body, version=old.version) for old in there
        ),
        removals=tuple(Removal(id=old.id, version=old.version) for old in there)
        if removing
        else (),
    )  # fmt: skip
