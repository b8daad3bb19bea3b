"""A scheduler that wants trouble, time, and the truth that everything is measured against.

Every step of a process waits, before and after each thing it asks of the cache, the store or the
clock, until the scheduler lets it go on: so any interleaving can happen, at any speed, and nothing
happens by chance. It runs in threads, of which one at a time does something.
"""

import copy
import itertools
import random
import threading
from collections.abc import Callable
from typing import Any, Protocol

from jac_converge.app_runtime.stores import Conflict, Document, WriteBatch
from tests.unit.app_runtime.memory_cache import MemoryCache

IDS = ("a", "b", "c")


class Named(Protocol):
    """Whose task it is."""

    number: int


class Killed(BaseException):
    """The process that this ran in is dead."""


class Task:
    """Something that a process does, one step at a time."""

    def __init__(self, process: "Named | None", label: str, run: Callable[[], None]) -> None:
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

    def begin(self, process: "Named | None", label: str, run: Callable[[], None]) -> Task:
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
