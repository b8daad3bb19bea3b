"""Processes with the real tiers, a cache and a store of ours, and a scheduler that wants trouble.

Every step of a process waits, before and after each thing it asks of the cache, the store or the
clock, until the scheduler lets it go on: so any interleaving can happen, at any speed, and nothing
happens by chance. It runs in threads, of which one at a time does something.
"""

import copy
import itertools
import random
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
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

IDS = ("a", "b", "c")


class Killed(BaseException):
    """The process that this ran in is dead."""


class Task:
    """Something that a process does, one step at a time."""

    def __init__(self, process: "Process | None", label: str, run: Callable[[], None]) -> None:
        self.process = process
        self.label = label
        self.at = "begin"
        self.not_before = 0.0
        self.done = False
        self._run = run
        self._killed = False
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()

    def step(self) -> None:
        """Let it go on to its next stop."""
        self._go.release()
        self._stopped.acquire()
        if self.done:
            self._thread.join()
        if self.failure is not None:
            raise self.failure

    def kill(self) -> None:
        """End it where it stands."""
        self._killed = True
        if not self.done:
            self.step()

    def stop(self, at: str, *, not_before: float = 0.0) -> None:
        """Wait, in its thread, for the next step."""
        self.at, self.not_before = at, not_before
        self._stopped.release()
        self._go.acquire()
        if self._killed:
            raise Killed

    def _main(self) -> None:
        current.task = self
        self._go.acquire()
        try:
            if not self._killed:
                self._run()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - raised by `step`
            self.failure = error
        self.done = True
        self._stopped.release()


current = threading.local()


class World:
    """Time, the truth, the cache, and who is at work."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - no secrets
        self.now = 1000.0
        self.tasks: list[Task] = []
        self.trace: list[str] = []
        self.cache = MemoryCache(lambda: self.now * 1.05)
        self.snapshot = copy.deepcopy((self.cache.registers, self.cache.values))
        self.store = Truth()
        self.acknowledged: dict[str, int] = dict.fromkeys(IDS, 0)
        self.counter = itertools.count(1)
        self.asked = self.cached = 0
        rates = (0.96, 1.0, 1.04)
        self.processes = [Process(self, number, rate) for number, rate in enumerate(rates)]

    def begin(self, process: "Process | None", label: str, run: Callable[[], None]) -> Task:
        """Have a process, or the network, do something."""
        who = "network" if process is None else f"p{process.number}"
        task = Task(process, f"{who} {label} #{next(self.counter)}", run)
        self.tasks.append(task)
        self.note(f"{task.label} begins")
        return task

    def note(self, text: str) -> None:
        """Write a line of the trace."""
        self.trace.append(f"{self.now:9.2f}  {text}")

    def step(self, task: Task) -> None:
        """Let one task go on."""
        before = task.at
        task.step()
        self.note(f"{task.label}: {before} -> {'end' if task.done else task.at}")
        if task.done:
            self.tasks.remove(task)

    def ready(self) -> list[Task]:
        """Return who could go on now."""
        return [task for task in self.tasks if task.not_before <= self.now]

    def run(self, task: Task, *, to: str = "the end") -> None:
        """Let one task go on until it stands somewhere; time passes while it sleeps."""
        while not task.done and task.at != to:
            self.now = max(self.now, task.not_before)
            self.step(task)
        assert task.done == (to == "the end"), f"{task.label} never came to: {to}"

    def settle_down(self) -> None:
        """Let everything run to its end."""
        while self.tasks:
            ready = self.ready()
            if ready:
                self.step(ready[0])
            else:
                self.now = min(task.not_before for task in self.tasks)

    def settle_down_but(self, one: Task) -> None:
        """Let everything else run to its end, as far as it gets without time passing."""
        while ready := [task for task in self.ready() if task is not one]:
            self.step(ready[0])

    def end(self) -> None:
        """Kill what is left."""
        for task in self.tasks:
            task.kill()
        self.tasks.clear()


class Truth:
    """The store; what it wrote, in order."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.history: dict[str, list[Any]] = {id_: [None] for id_ in IDS}
        self.landings: dict[int, dict[str, int]] = {}

    def commit(self, batch: WriteBatch) -> None:
        """Compare and set."""
        stored = self.documents
        lost = [new.id for new in batch.creates if new.id in stored]
        expected = {changed.id: changed.version for changed in batch.updates}
        expected |= {gone.id: gone.version for gone in batch.removals}
        there = {id_: document.version for id_, document in stored.items()}
        lost += [id_ for id_, version in expected.items() if there.get(id_) != version]
        if lost:
            raise Conflict(lost)
        for document in batch.creates + batch.updates:
            old = stored.get(document.id, document)
            version = document.version + 1
            stored[document.id] = Document(
                id=document.id,
                kind=old.kind,
                body=document.body,
                version=version,
                group=old.group,
                stamp=old.stamp,
            )
            self.history.setdefault(document.id, []).append(document.body.get("mark"))
        for removal in batch.removals:
            del stored[removal.id]
            self.history[removal.id].append(None)
        written = [document.id for document in batch.creates + batch.updates]
        written += [removal.id for removal in batch.removals]
        self.landings[id(batch)] = {id_: len(self.history[id_]) - 1 for id_ in written}

    def place(self, id_: str, document: Document | None) -> int:
        """Return where in the history of an id this state is, the last time it was."""
        history = self.history[id_]
        mark = None if document is None else document.body["mark"]
        return len(history) - 1 - history[::-1].index(mark)


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
            if how == "exclusive":
                with self.tiers.exclusive() as view:
                    view.commit(batch)
            else:
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

    @contextmanager
    def exclusive(self) -> Iterator[DocumentStore]:
        """Have no lock."""
        yield self

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
