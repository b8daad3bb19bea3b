"""`on_commit(...)`: what an app does outside of its graph, once, after its commit."""

import asyncio
import logging
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from jac_converge.app_runtime.stores import (
    Conflict,
    Document,
    DocumentStore,
    UnknownOutcome,
    WriteBatch,
)
from tests.contract.graph_user import loaded

if TYPE_CHECKING:
    from jac_converge.app_runtime.bridge.program import Program

APP = """
import sys;
import from threading { Event }

glob said: list = [];
glob gate: Event = Event();

node Sum { has n: int = 0, marks: list[int] = []; }

def tell(what: any) -> None { said.append(what); }
def add_one(sum: Sum, what: any) -> None { sum.n += 1; said.append(what); }
def fail(what: any) -> None { said.append(what); raise ValueError("no post today"); }
def add_one_and_fail(sum: Sum) -> None { sum.n += 1; raise ValueError("no post today"); }
def change_all_and_fail(sum: Sum, other: Sum) -> None {
    sum.marks.append(1);
    sum.n = 100;
    sum ++> Sum(n=9);
    grant(sum, WritePerm);
    other.n = -1;
    del other;
    raise ValueError("no post today");
}
def hold_on() -> None { gate.wait(10); }
def beside() -> any { return flow hold_on(); }
async def tell_later(what: any) -> None { said.append(what); }
def:pub heard() -> list { return said; }

walker:pub begin { can go with Root entry { said.clear(); gate.clear(); here ++> Sum(); } }
walker:pub seen { can go with Root entry { report [-->][?:Sum][0].n; } }
walker:pub count { can go with Root entry {
    sum = [-->][?:Sum][0];
    sum.n += 1;
    n = sum.n;
    on_commit(lambda: tell(n));
} }
walker:pub look { can go with Root entry { on_commit(lambda: tell("looked")); } }
walker:pub refused { can go with Root entry {
    on_commit(lambda: tell("refused"));
    here ++> Sum(n=5);
    raise ValueError("no");
} }
walker:pub in_order { can go with Root entry {
    on_commit(lambda: tell(1));
    on_commit(lambda: fail(2));
    on_commit(lambda: sys.exit(3));
    on_commit(lambda: tell_later(4));
    on_commit(lambda: tell(5));
    [-->][?:Sum][0].n += 1;
    report "done";
} }
walker:pub in_turn { can go with Root entry {
    on_commit(lambda: on_commit(lambda: tell("then")));
    on_commit(lambda: tell("first"));
} }
walker:pub inner { can go with Root entry {
    [-->][?:Sum][0].n += 1;
    on_commit(lambda: tell("inner"));
} }
walker:pub outer { can go with Root entry {
    on_commit(lambda: tell("outer"));
    root spawn inner();
    tell("in the walker");
} }
walker:pub in_parts { can go with Root entry {
    on_commit(lambda: tell("first"));
    commit();
    tell("nothing was written yet");
    [-->][?:Sum][0].n += 1;
    commit();
    tell("part one is written");
    on_commit(lambda: tell("second"));
    [-->][?:Sum][0].n += 1;
} }
walker:pub change { can go with Root entry {
    sum = [-->][?:Sum][0];
    on_commit(lambda: add_one(sum, "changed"));
    on_commit(lambda: root spawn inner());
    sum.n += 1;
} }
walker:pub change_by_half_in_parts { can go with Root entry {
    sum = [-->][?:Sum][0];
    on_commit(lambda: add_one_and_fail(sum));
    on_commit(lambda: add_one(sum, "after that"));
    sum.n += 1;
    commit();
    said.append(sum.n);
    sum.n += 10;
} }
walker:pub change_all_by_half { has meddle: bool; can go with Root entry {
    sum = [-->][?:Sum][0];
    marks = sum.marks;
    hub = (here ++> Sum(n=1))[0];
    other = (hub ++> Sum(n=2))[0];
    if self.meddle { on_commit(lambda: change_all_and_fail(hub, other)); }
    else { on_commit(lambda: change_all_and_fail(sum, hub)); }
    commit();
    marks.append(7);
    hub.n += 1;
    other.n += 1;
    if self.meddle { hub ++> Sum(n=4); hub.marks.append(5); }
} }
walker:pub all_of_it { can go with Root entry {
    report [sum.n for sum in [-->][?:Sum]];
    report [sum.marks for sum in [-->][?:Sum]];
    report [sum.n for sum in [-->-->][?:Sum]];
} }
walker:pub fail_beside_a_thread { can go with Root entry {
    sum = [-->][?:Sum][0];
    on_commit(lambda: add_one_and_fail(sum));
    sum.n += 1;
    other = beside();
    try { commit(); } finally { gate.set(); }
    wait other;
    sum.n += 10;
} }
walker:pub change_by_half { can go with Root entry {
    sum = [-->][?:Sum][0];
    on_commit(lambda: add_one_and_fail(sum));
    on_commit(lambda: add_one(sum, "after that"));
    sum.n += 1;
} }
async walker:pub count_async { async can go with Root entry {
    [-->][?:Sum][0].n += 1;
    on_commit(lambda: tell_later("async"));
} }
"""


class Wayward:
    """A store that does something else for a commit, once asked to."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self.instead: list[Exception] = []
        self.held = False

    def commit(self, batch: WriteBatch) -> None:
        """Write, unless there is something to raise."""
        if self.instead:
            raise self.instead.pop()
        self._store.commit(batch)

    def exclusive(self) -> Any:
        """Lend the lock of the store, and this store with it."""
        return _Lent(self, self._store.exclusive())

    def get(self, ids: Any) -> dict[str, Document]:
        """Read."""
        return self._store.get(ids)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class _Lent:
    def __init__(self, wayward: Wayward, held: Any) -> None:
        self._wayward, self._held = wayward, held

    def __enter__(self) -> Wayward:
        inside = Wayward(self._held.__enter__())
        inside.instead = self._wayward.instead
        self._wayward.held = True
        return inside

    def __exit__(self, *error: object) -> Any:
        self._wayward.held = False
        return self._held.__exit__(*error)


class Client:
    """Calls walkers as the server does, at one root."""

    def __init__(self, program: "Program", store: DocumentStore) -> None:
        from jac_converge.app_runtime.bridge.program import new_root  # noqa: PLC0415
        from jac_converge.app_runtime.calls import Calls  # noqa: PLC0415

        self._program = program
        self.store = Wayward(store)
        self._calls = Calls(self.store, max_attempts=3, timeout=20)
        self._root = uuid.uuid4()
        store.commit(WriteBatch(creates=(new_root(self._root),)))
        self.call("begin")

    def call(self, walker: str, **fields: Any) -> list[Any]:
        """Run a walker; returns its reports."""
        from jac_converge.app_runtime.calls import Order  # noqa: PLC0415

        spec = self._program.walkers[walker]
        order = Order(spec=spec, fields=lambda: dict(fields), root=lambda _: self._root)
        return asyncio.run(self._calls.execute(order)).reports

    def heard(self) -> list[Any]:
        """Return what effects have said since the beginning."""
        heard: list[Any] = self._program.functions["heard"].function()
        return list(heard)

    @property
    def n(self) -> Any:
        """The number that is stored."""
        return self.call("seen")[0]

    def close(self) -> None:
        """End its threads."""
        self._calls.close()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> "Program":
    """Load the app into this process."""
    return loaded(tmp_path_factory.mktemp("effects") / "effects.jac", APP)


@pytest.fixture
def client(program: "Program", store: DocumentStore) -> Iterator[Client]:
    """Give somebody with a sum of 0."""
    made = Client(program, store)
    yield made
    made.close()


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_effect_of_a_replayed_walker_runs_once(client: Client, lost: int) -> None:
    """However many runs it took, and with what the last one made."""
    client.store.instead = [Conflict(["x"])] * lost
    client.call("count")
    assert ([1], 1) == (client.heard(), client.n)


def test_effect_runs_where_nothing_was_to_be_stored(client: Client) -> None:
    """The call has ended well all the same."""
    client.call("look")
    assert ["looked"] == client.heard()


def test_no_effect_where_the_walker_raised(client: Client) -> None:
    """Nothing of it is stored either."""
    with pytest.raises(ValueError, match="no"):
        client.call("refused")
    assert ([], 0) == (client.heard(), client.n)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Conflict(["x"]), id="conflict"),
        pytest.param(UnknownOutcome("gone"), id="outcome-unknown"),
    ],
)
def test_no_effect_where_nobody_can_say_that_it_is_stored(client: Client, error: Exception) -> None:
    """Refused each time, or perhaps written: at most once means not then."""
    client.store.instead = [error] * 3
    with pytest.raises(type(error)):
        client.call("count")
    client.store.instead = []
    assert ([], 0) == (client.heard(), client.n)


def test_effects_run_in_order_and_a_failure_is_for_the_log(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """One that raises or calls sys.exit neither undoes the commit nor denies it."""
    caplog.set_level(logging.ERROR)
    assert ["done"] == client.call("in_order")
    assert ([1, 2, 4, 5], 1) == (client.heard(), client.n)
    failed = [it for it in caplog.records if "on_commit effect failed" in it.message]
    raised = [it.exc_info[0] for it in failed if it.exc_info]
    assert [ValueError, SystemExit] == raised


def test_effect_of_an_effect_runs_after_it(client: Client) -> None:
    """And after those that were there before."""
    client.call("in_turn")
    assert ["first", "then"] == client.heard()


def test_effect_of_an_inner_walker_waits_for_the_commit_of_the_outer_one(client: Client) -> None:
    """There is one commit for both."""
    client.call("outer")
    assert (["in the walker", "outer", "inner"], 1) == (client.heard(), client.n)


def test_effects_run_with_the_part_that_was_committed(client: Client) -> None:
    """At an explicit `commit()`, once it has written: before that, the call may run again."""
    client.call("in_parts")
    expected = ["nothing was written yet", "first", "part one is written", "second"]
    assert (expected, 2) == (client.heard(), client.n)


def test_effect_before_an_empty_commit_is_not_run_twice(client: Client) -> None:
    """The walker loses its race after a `commit()` that had nothing to write."""
    client.store.instead = [Conflict(["x"])]
    client.call("in_parts")
    assert 1 == client.heard().count("first")


def test_what_an_effect_changes_is_stored(client: Client) -> None:
    """By a commit of its own, also where it spawns a walker."""
    client.call("change")
    assert (["changed", "inner"], 3) == (client.heard(), client.n)


def test_what_a_failed_effect_changed_is_not_stored(client: Client) -> None:
    """What later ones change is, and without it."""
    client.call("change_by_half")
    assert (["after that"], 2) == (client.heard(), client.n)


def test_what_a_failed_effect_changed_is_not_stored_with_the_next_commit(client: Client) -> None:
    """At an explicit `commit()`: the walker goes on with what it has committed."""
    client.call("change_by_half_in_parts")
    assert (["after that", 2], 12) == (client.heard(), client.n)


@pytest.mark.parametrize("on", ["old", "new"])
def test_failed_effect_leaves_no_trace_of_any_kind(client: Client, on: str) -> None:
    """Neither of fields nor of edges, nodes or rights, on old nodes or on new ones."""
    new = on == "new"
    client.call("change_all_by_half", meddle=new)
    numbers, marks, below = client.call("all_of_it")
    assert ([0, 2], [3, 4] if new else [3]) == (numbers, below)
    assert [[7], [5] if new else []] == marks
    access = [it.body.get("access") for it in client.store.scan("", 100) if it.kind == "node"]
    assert {None} == set(access)


def test_failed_effect_beside_another_thread_ends_the_call(client: Client) -> None:
    """Nobody can tell what which of them has changed, and nothing may be lost without a word."""
    with pytest.raises(UnknownOutcome, match="other threads"):
        client.call("fail_beside_a_thread")
    assert 1 == client.n


def test_effect_of_an_asynchronous_walker_runs(client: Client) -> None:
    """An asynchronous effect too."""
    client.call("count_async")
    assert (["async"], 1) == (client.heard(), client.n)


def test_effects_run_without_the_lock_of_the_store(client: Client, program: "Program") -> None:
    """A second run holds it; whoever waits for an effect must not."""
    said = program.functions["heard"].function()

    class Asking(list[Any]):
        def append(self, what: Any) -> None:
            super().append((what, client.store.held))

    module = program.functions["heard"].function.__globals__
    module["said"] = Asking()
    client.store.instead = [Conflict(["x"])]
    client.call("count")
    heard = client.heard()
    module["said"] = said
    assert [(1, False)] == heard
