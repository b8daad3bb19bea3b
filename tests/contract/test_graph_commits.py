"""An explicit commit, and what other threads of the same request do to the graph meanwhile."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jac_converge.app_runtime.stores import UnknownOutcome, WriteBatch
from jac_converge.app_runtime.stores.shelf import Shelf
from tests.contract.graph_user import Counting, User, loaded

if TYPE_CHECKING:
    from jac_converge.app_runtime.bridge.program import Program

APP = """
node Item { has n: int = 0; }
edge Link { has w: int = 0; }
glob meanwhile: list = [], others: list = [];

walker seed { has count: int; can go with Root entry {
    for i in range(self.count) { here ++> Item(n=i); }
} }
walker listed { can go with Root entry { report [item.n for item in [-->][?:Item]]; } }
walker below { can go with Root entry { report sorted([i.n for i in [--> -->][?:Item]]); } }

def hang_on(hub: any, count: int) -> None { for i in range(count) { hub ++> Item(n=i); } }
def begin(hub: any, count: int) -> any { return flow hang_on(hub, count); }

walker commit_while_it_grows { has count: int; can go with Root entry {
    hub = (here ++> Item(n=0))[0];
    growing = begin(hub, self.count);
    commit();
    wait growing;
} }
walker commit_often { has count: int; can go with Root entry {
    growing = [begin(here, self.count) for _ in range(2)];
    for _ in range(10) { commit(); }
    for one in growing { wait one; }
} }
walker assign_what_does_not_fit { can go with Root entry {
    try { here +>: Link : w=1, nope=2 :+> Item(n=1); }
    except ValueError as error { report str(error); }
    here ++> Item(n=2);
} }
walker chain { has count: int; can go with Root entry {
    first = at = Item(n=0);
    for i in range(1, self.count) { new = Item(n=i); at ++> new; at = new; }
    here ++> first;
} }
walker tie_meanwhile { can go with Root entry {
    hub = (here ++> Item(n=0))[0];
    meanwhile.append(lambda: hub ++> Item(n=1));
    commit();
} }
walker cut_meanwhile { can go with Root entry {
    one = (here ++> Item(n=1000))[0];
    meanwhile.append(lambda: cut(here, one));
    commit();
} }
walker drop_meanwhile { can go with Root entry {
    one = (here ++> Item(n=1000))[0];
    meanwhile.append(lambda: drop(one));
    commit();
} }
walker cut_below_meanwhile { can go with Root entry {
    hub = (here ++> Item(n=0))[0];
    one = (hub ++> Item(n=1))[0];
    hub ++> Item(n=2);
    meanwhile.append(lambda: cut(hub, one));
    commit();
} }
walker add_unless_there_meanwhile { has n: int; can go with Root entry {
    there: list = [];
    meanwhile.append(lambda: there.extend([item.n for item in [here -->][?:Item]]));
    meanwhile.append(lambda: others[0]());
    here ++> Item(n=1000);
    commit();
    if self.n not in there { here ++> Item(n=self.n); }
} }
def cut(here: any, one: Item) -> None { here del--> one; }
def drop(one: Item) -> None { del one; }
"""

ROUNDS = 40


class Interrupted(Counting):
    """A shelf, and what other threads of a request do while it commits."""

    def __init__(self, shelf: Shelf, meanwhile: list[Callable[[], Any]]) -> None:
        super().__init__(shelf)
        self.shelf = shelf
        self.torn: list[str] = []
        self._meanwhile = meanwhile

    def commit(self, batch: WriteBatch) -> None:
        """Let another thread do something, and write."""
        if self._meanwhile:
            run, failed = copy_context().run, []

            def other(task: Callable[[], Any]) -> None:
                try:
                    task()
                except BaseException as error:  # noqa: BLE001 - raised again below
                    failed.append(error)

            thread = threading.Thread(target=run, args=(other, self._meanwhile.pop()))
            thread.start()
            thread.join(20)
            for error in failed:
                raise error
        super().commit(batch)
        self.torn += list(self._torn(batch))

    def _torn(self, batch: WriteBatch) -> Iterator[str]:
        """Yield the entries of what was written that lead to nothing."""
        for document in batch.creates + batch.updates:
            for entry in document.body.get("edges", ()):
                if len(self.shelf.get([entry[:32], entry[33:]])) < 2:
                    yield entry


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> "Program":
    """Load the app into this process."""
    return loaded(tmp_path_factory.mktemp("commits") / "commits.jac", APP)


def shared(program: "Program", name: str) -> list[Any]:
    """Return a list of the app's module."""
    found: list[Any] = getattr(sys.modules[program.walkers["seed"].cls.__module__], name)
    return found


@pytest.fixture
def user(program: "Program", tmp_path: Path) -> Iterator[User]:
    """Give somebody with an empty graph."""
    shelf = Shelf(tmp_path / "shelf.db")
    yield User(program, Interrupted(shelf, shared(program, "meanwhile")))
    shelf.close()


@pytest.fixture
def restless() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_what_grows_on_a_new_node_while_it_is_stored_is_stored_too(user: User) -> None:
    """By that commit or the next one, and once."""
    for _ in range(ROUNDS):
        own = user.other()
        own.call("commit_while_it_grows", count=60)
        assert [list(range(60))] == own.call("below")


def test_edge_to_a_new_node_that_comes_while_it_is_stored_is_there(user: User) -> None:
    """It is stored with the next commit."""
    user.call("tie_meanwhile")
    assert [[1]] == user.call("below")


@pytest.mark.parametrize("count", [0, 10, 127, 128, 300])
@pytest.mark.parametrize("walker", ["cut_meanwhile", "drop_meanwhile"])
def test_edge_that_is_cut_while_it_is_stored_is_gone(user: User, walker: str, count: int) -> None:
    """The next commit takes out again what this one put in."""
    user.call("seed", count=count)
    user.call(walker)
    assert [list(range(count))] == user.call("listed")
    kinds = [it.kind for it in user.store.scan("", 1000)]
    assert (count, count) == (kinds.count("node"), kinds.count("edge"))


def test_edge_of_a_new_node_that_is_cut_while_it_is_stored_is_gone(user: User) -> None:
    """From both its nodes."""
    user.call("cut_below_meanwhile")
    assert [[2]] == user.call("below")
    assert 2 == sum(it.kind == "edge" for it in user.store.scan("", 100))


def test_look_during_a_commit_that_followed_others_is_not_forgotten(
    user: User, program: "Program"
) -> None:
    """It saw the list without what they added, and decided by that."""
    user.call("seed", count=1)
    other = User(program, Counting(user.store.shelf), user.root)
    shared(program, "others")[:] = [lambda: other.call("seed", count=10)]
    with pytest.raises(UnknownOutcome, match="changed meanwhile"):
        user.call("add_unless_there_meanwhile", n=9)
    assert 1 == user.call("listed")[0].count(9)


@pytest.mark.usefixtures("restless")
def test_commit_stores_no_part_of_an_edge_that_another_thread_ties(user: User) -> None:
    """With each entry that it stores, the edge and both its nodes are there."""
    for _ in range(5):
        user.other().call("commit_often", count=25)
    assert [] == user.store.torn


def test_edge_that_cannot_be_made_ties_nothing(user: User) -> None:
    """The walker may go on, and finds no half of it."""
    assert ["Invalid attribute: nope"] == user.call("assign_what_does_not_fit")
    assert ([[2]], []) == (user.call("listed"), user.store.torn)


def test_chain_may_be_longer_than_the_stack(user: User) -> None:
    """Tied to the root at last, all of it is taken along."""
    user.call("chain", count=3000)
    assert 3000 == sum(it.kind == "node" for it in user.store.scan("", 10_000))
