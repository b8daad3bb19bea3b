"""Threads of one request (`flow`) in one memory: none loses or doubles what another does."""

import sys
import threading
import uuid
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jac_converge.app_runtime.stores import Document
from jac_converge.app_runtime.stores.shelf import Shelf
from tests.contract.graph_user import Counting, User, loaded

if TYPE_CHECKING:
    from jac_converge.app_runtime.bridge.program import Program

APP = """
import from threading { Barrier, Event }

node Item { has n: int = 0; }
glob gate: Barrier = Barrier(4);
glob opened: Event = Event();
glob flows: list = [];

walker noop { can go with Root entry { } }
walker seed { has count: int; can go with Root entry {
    for i in range(self.count) { here ++> Item(n=i); }
} }
walker listed { can go with Root entry { report [item.n for item in [-->][?:Item]]; } }

def add(n: int) -> int { gate.wait(10); root ++> Item(n=n); return n; }
def add_and_commit(n: int) -> int {
    gate.wait(10);
    root ++> Item(n=n);
    commit();
    root ++> Item(n=n + 4);
    commit();
    return n;
}
def look_and_add(n: int) -> int {
    gate.wait(10);
    seen = len([root -->]);
    root ++> Item(n=n);
    return seen;
}
def cut(n: int) -> int {
    gate.wait(10);
    for item in [root -->][?:Item] { if item.n == n { root del--> item; } }
    return n;
}
# `flow f(i)` reads i when the thread begins, so each has a call of its own around it.
def begin_add(n: int) -> any { return flow add(n); }
def begin_look_and_add(n: int) -> any { return flow look_and_add(n); }
def begin_add_and_commit(n: int) -> any { return flow add_and_commit(n); }
def begin_cut(n: int) -> any { return flow cut(n); }

def add_late -> int {
    opened.wait(10);
    root ++> Item(n=99);
    commit();
    return 99;
}
walker fail_beside_a_flow { can go with Root entry {
    flows.append(flow add_late());
    raise ValueError("on purpose");
} }

walker add_at_once { has count: int; can go with Root entry {
    running = [begin_add(i) for i in range(self.count)];
    for one in running { wait one; }
} }
walker commit_at_once { has count: int; can go with Root entry {
    running = [begin_add_and_commit(i) for i in range(self.count)];
    for one in running { wait one; }
} }
walker look_at_once { has count: int; can go with Root entry {
    running = [begin_look_and_add(10000 + i) for i in range(self.count)];
    for one in running { wait one; }
} }
walker cut_at_once { has count: int; can go with Root entry {
    running = [begin_cut(i) for i in range(self.count)];
    for one in running { wait one; }
} }
"""

THREADS = 8
FLOWS = 4
ROUNDS = 15


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> "Program":
    """Load the app into this process."""
    return loaded(tmp_path_factory.mktemp("threads") / "threads.jac", APP)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """Give an empty store."""
    shelf = Shelf(tmp_path / "shelf.db")
    yield shelf
    shelf.close()


@pytest.fixture(autouse=True)
def restless() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(*tasks: Any) -> list[Any]:
    """Run each in a thread and in our context, all from the same moment on."""
    start = threading.Barrier(len(tasks))

    def run(task: Any) -> Any:
        start.wait(10)
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return [
            one.result(20) for one in [pool.submit(copy_context().run, run, it) for it in tasks]
        ]


@pytest.mark.parametrize("stored", [0, 300])
def test_flows_add_edges_at_once(program: "Program", shelf: Shelf, stored: int) -> None:
    """Each is there, once."""
    for _ in range(ROUNDS):
        user = User(program, Counting(shelf))
        user.call("seed", count=stored)
        user.call("add_at_once", count=FLOWS)
        (found,) = user.call("listed")
        assert sorted([*range(stored), *range(FLOWS)]) == sorted(found)


def test_flows_look_and_add_edges_at_once(program: "Program", shelf: Shelf) -> None:
    """What was stored and what is new stand in the list, each once."""
    for _ in range(ROUNDS):
        user = User(program, Counting(shelf))
        user.call("seed", count=300)
        user.call("look_at_once", count=FLOWS)
        (found,) = user.call("listed")
        assert [*range(300), *range(10000, 10000 + FLOWS)] == sorted(found)


def test_flows_cut_edges_at_once(program: "Program", shelf: Shelf) -> None:
    """Each is gone, from the newest ones and from pages."""
    for _ in range(ROUNDS):
        user = User(program, Counting(shelf))
        user.call("seed", count=140)
        user.call("cut_at_once", count=FLOWS)
        assert [list(range(FLOWS, 140))] == user.call("listed")


@pytest.mark.parametrize("stored", [0, 120])
def test_flows_commit_at_once(program: "Program", shelf: Shelf, stored: int) -> None:
    """What one adds while another commits is stored by the next commit, and once."""
    for _ in range(ROUNDS):
        user = User(program, Counting(shelf))
        user.call("seed", count=stored)
        user.call("commit_at_once", count=FLOWS)
        (found,) = user.call("listed")
        assert sorted([*range(stored), *range(2 * FLOWS)]) == sorted(found)


def test_flow_of_a_failed_call_stores_nothing(program: "Program", shelf: Shelf) -> None:
    """Not by a commit of its own either, and it ends when it next touches the graph."""
    from jac_converge.app_runtime.bridge.program import TooLate  # noqa: PLC0415

    user = User(program, Counting(shelf))
    with pytest.raises(ValueError, match="on purpose"):
        user.call("fail_beside_a_flow")
    app = sys.modules["threads"]
    app.opened.set()
    (late,) = app.flows
    assert isinstance(late.exception(10), TooLate)
    assert [[]] == user.call("listed")


def test_threads_see_each_edge_once(program: "Program", shelf: Shelf) -> None:
    """Whoever comes first reads the list, and the others wait for it."""
    user = User(program, Counting(shelf))
    user.call("seed", count=300)

    def look(root: Any) -> list[int]:
        return at_once(*[lambda: len(root.edges)] * THREADS)

    for _ in range(ROUNDS):
        assert [300] * THREADS == user.run("noop", {}, look, keep=False)[1]


def test_threads_share_the_anchors_of_one_request(program: "Program", shelf: Shelf) -> None:
    """No id has two anchors, nor two archetypes, whoever read it first."""
    user = User(program, Counting(shelf))
    user.call("seed", count=100)
    ids = [it.id for it in shelf.scan("", 1000) if it.kind == "node"]

    def look(_: Any) -> list[list[Any]]:
        from jaclang.jac0core.runtime import JacRuntimeInterface as Jac  # noqa: PLC0415

        memory = Jac.get_context().mem
        uuids = [uuid.UUID(id_) for id_ in ids]
        return at_once(*[lambda: [memory.get(id_).archetype for id_ in uuids]] * THREADS)

    for _ in range(ROUNDS):
        first, *others = user.run("noop", {}, look, keep=False)[1]
        for other in others:
            assert all(a is b for a, b in zip(first, other, strict=True))


class Moving:
    """A store whose documents get a version more with each read of them."""

    def __init__(self) -> None:
        self._reads = 0

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Read."""
        self._reads += 1
        return {id_: Document(id=id_, kind="page", body={}, version=self._reads) for id_ in ids}

    def near(self, group: str, stamp: int, limit: int) -> list[Document]:
        """Read nothing ahead."""
        del group, stamp, limit
        return []


def test_threads_read_one_version_of_a_document() -> None:
    """One that was read twice at once counts as it was read first, for all."""
    from jac_converge.app_runtime.bridge.reading import Reader  # noqa: PLC0415

    ids = [str(n) for n in range(50)]
    for _ in range(ROUNDS):
        reader = Reader(Moving())  # type: ignore[arg-type] # no request commits here
        read = at_once(*[lambda reader=reader: dict(reader.read(ids))] * THREADS)
        assert all(read[0] == other for other in read)
        assert all(read[0][id_] is reader.document(id_) for id_ in ids)
