"""A graph of any size through the memory of a request: what is read, in how many round trips.

The store is a real shelf; a counter in front of it sees what it is asked.
"""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jac_converge.app_runtime.bridge import reading
from jac_converge.app_runtime.stores import Conflict
from tests.contract.graph_user import Counting, User, loaded, on_shelf

if TYPE_CHECKING:
    from jac_converge.app_runtime.bridge.program import Program

APP = """
node Item { has n: int = 0; }
node Other { has n: int = 0; }
edge Link { has w: int = 0; }

walker noop { can go with Root entry { report 1; } }
walker seed { has count: int; can go with Root entry {
    for i in range(self.count) { here ++> Item(n=i); }
} }
walker add { has n: int; can go with Root entry { here ++> Item(n=self.n); } }
walker add_unless_there { has n: int; can go with Root entry {
    if not [item for item in [-->][?:Item] if item.n == self.n] { here ++> Item(n=self.n); }
} }
walker unlink_and_commit { can go with Root entry {
    for item in [-->][?:Item] { here del--> item; }
    commit();
} }
walker listed { can go with Root entry { report [item.n for item in [-->][?:Item]]; } }
walker drop { has n: int; can go with Root entry {
    for item in [-->][?:Item] { if item.n == self.n { del item; } }
} }
walker unlink { has n: int; can go with Root entry {
    for item in [-->][?:Item] { if item.n == self.n { here del--> item; } }
} }
walker clear { can go with Root entry { for item in [-->] { del item; } } }
walker chain { has count: int; can go with Root entry {
    at = here;
    for i in range(self.count) { new = Item(n=i); at ++> new; at = new; }
} }
walker chain_among_others { has count: int, others: int; can go with Root entry {
    at = here;
    for i in range(self.count) {
        new = Item(n=i);
        at ++> new;
        for j in range(self.others) { new <++ Other(n=j); }
        at = new;
    }
} }
walker hops { has seen: int = 0;
    can go with Root entry { visit [-->]; }
    can see with Item entry { self.seen += 1; visit [-->]; }
    can end with Root exit { report self.seen; }
}
walker build { has pairs: list[list[int]], count: int; can go with Root entry {
    made = [(Item(n=i) if i % 3 else Other(n=i)) for i in range(self.count)];
    for one in made { here ++> one; }
    for (a, b, kind) in self.pairs {
        if kind == 0 { made[a] ++> made[b]; }
        elif kind == 1 { made[a] +>: Link(w=a) :+> made[b]; }
        else { made[a] <+:Link(w=b):+> made[b]; }
    }
} }
walker cut_and_tie_again { has how: str; can go with Root entry {
    one = [-->][?:Item][0];
    again = one;
    if self.how == "cut" { here del--> one; } else { del one; }
    commit();
    hub = (here ++> Item(n=7))[0];
    hub ++> again;
} }
walker two_steps { can go with Root entry { report sorted([i.n for i in [--> -->][?:Item]]); } }
walker drop_root { can go with Root entry { del here; } }
walker commit_twice { can go with Root entry {
    one = Item(n=1);
    here ++> one;
    commit();
    one.n = 2;
    here ++> Item(n=3);
    commit();
    report sorted([item.n for item in [-->][?:Item]]);
} }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> "Program":
    """Load the app into this process."""
    return loaded(tmp_path_factory.mktemp("graph") / "graphs.jac", APP)


@pytest.fixture
def user(program: "Program", tmp_path: Path) -> Iterator[User]:
    """Give somebody with an empty graph."""
    with on_shelf(program, tmp_path) as somebody:
        yield somebody


def test_request_that_looks_at_no_edge_reads_none(user: User) -> None:
    """With a thousand edges or with none: the root alone."""
    user.call("seed", count=1000)
    user.call("noop")
    assert (1, 1, 0) == (user.store.trips, user.store.documents, user.store.written)


def test_adding_to_a_large_root_touches_the_root_alone(user: User) -> None:
    """One document is read; node, edge and root are written."""
    user.call("seed", count=1000)
    user.call("add", n=1000)
    assert (1, 1, 3) == (user.store.trips, user.store.documents, user.store.written)
    assert [list(range(1001))] == user.call("listed")


def test_thousand_children_come_in_three_round_trips(user: User) -> None:
    """The root, its pages of edges, then the nodes; in the order they were added."""
    user.call("seed", count=1000)
    assert [list(range(1000))] == user.call("listed")
    assert 3 == user.store.trips
    assert user.store.documents <= 1020  # no edge is looked at


def test_what_is_read_each_time_comes_in_one_round_trip(user: User) -> None:
    """From the third call on, and with what is new in a second one."""
    user.call("seed", count=10)
    for trips in (2, 2, 1, 1):
        assert [list(range(10))] == user.call("listed")
        assert trips == user.store.trips
    user.twin().call("add", n=10)
    for trips in (2, 1):
        assert [list(range(11))] == user.call("listed")
        assert trips == user.store.trips


def test_what_is_gone_is_not_read_because_it_was_before(user: User) -> None:
    """Nor counted as missing where it is asked for."""
    user.call("seed", count=10)
    for _ in range(3):
        user.call("listed")
    user.twin().call("drop", n=3)
    left = [n for n in range(10) if n != 3]
    for _ in range(2):
        assert [left] == user.call("listed")
    assert 1 == user.store.trips


def test_what_waited_too_long_is_read_again(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """A walker that waits for others means to see what they did."""
    from jac_converge.app_runtime.bridge import reading  # noqa: PLC0415

    user.call("seed", count=10)
    for _ in range(3):
        user.call("listed")
    assert 1 == user.store.trips
    monkeypatch.setattr(reading, "FRESH", -1.0)
    assert [list(range(10))] == user.call("listed")
    assert 2 == user.store.trips


@pytest.mark.parametrize("walker", ["drop", "unlink"])
def test_child_in_a_page_is_removed_and_no_other(user: User, walker: str) -> None:
    """The old edges of a large root can go too."""
    user.call("seed", count=300)
    user.call(walker, n=5)
    assert [[n for n in range(300) if n != 5]] == user.call("listed")


def test_emptied_root_has_no_edges_and_no_pages(user: User) -> None:
    """What is not needed any more leaves no document behind."""
    user.call("seed", count=300)
    user.call("clear")
    assert [[]] == user.call("listed")
    assert ["root"] == [document.kind for document in user.store.scan("", 10)]


def test_explicit_commit_goes_on_from_what_it_wrote(user: User) -> None:
    """The second part of the request changes what the first one stored."""
    assert [[2, 3]] == user.call("commit_twice")
    assert [[2, 3]] == [sorted(user.call("listed")[0])]


def test_edges_that_others_add_meanwhile_stay(user: User) -> None:
    """Who looks at none of them is not run again, in however many pages they are."""
    user.call("seed", count=255)
    other = user.twin()

    def meanwhile(_: Any) -> None:
        for n in (1000, 1001, 1002):
            other.call("add", n=n)

    user.run("add", {"n": 2000}, meanwhile)
    assert [[*range(255), 1000, 1001, 1002, 2000]] == user.call("listed")


def test_edges_that_others_add_meanwhile_are_a_conflict_when_looked_at(user: User) -> None:
    """What was decided by looking at the edges has to be decided again."""
    other = user.twin()
    with pytest.raises(Conflict):
        user.run("add_unless_there", {"n": 1}, lambda _: other.call("add", n=1))
    assert [[1]] == user.call("listed")


def test_node_that_lost_its_last_edge_is_removed_once(user: User) -> None:
    """The commit at the end of the request finds it gone already."""
    user.call("seed", count=2)
    user.call("unlink_and_commit")
    assert [[]] == user.call("listed")


@pytest.mark.parametrize("how", ["cut", "delete"])
def test_node_that_a_commit_removed_can_be_connected_again(user: User, how: str) -> None:
    """It is stored anew, as it is."""
    user.call("add", n=5)
    user.call("cut_and_tie_again", how=how)
    assert ([[7]], [[5]]) == (user.call("listed"), user.call("two_steps"))


def test_root_is_not_deleted(user: User) -> None:
    """Its account could not be used any more."""
    user.call("add", n=5)
    with pytest.raises(ValueError, match="a root cannot be deleted"):
        user.call("drop_root")
    assert [[5]] == user.call("listed")


def test_all_roots_come_in_one_round_trip(user: User) -> None:
    """Each once, the caller's own among them; it was read before."""
    others = [User(user._program, user.store) for _ in range(5)]
    expected = {user.root, *(other.root for other in others)}
    seen = user.run("noop", {}, lambda root: _roots(root, user.store))[1]
    assert expected == seen
    assert (2, 1 + 6) == (user.store.trips, user.store.documents)


def _roots(own: Any, store: Counting) -> set[uuid.UUID]:
    from jaclang.jac0core.runtime import JacRuntime  # noqa: PLC0415

    assert (1, 1) == (store.trips, store.documents)
    roots = [root.__jac__ for root in JacRuntime.get_context().mem.get_roots()]
    assert len(roots) == len(set(roots))
    assert any(root is own for root in roots)
    return {root.id for root in roots}


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing grows stale on a machine that has other work, too."""
    monkeypatch.setattr(reading, "FRESH", 600.0)


@pytest.mark.usefixtures("unhurried")
def test_chain_is_read_ahead(user: User) -> None:
    """Fifty hops cost far fewer round trips than hops."""
    user.call("chain", count=50)
    assert [50] == user.call("hops")
    assert user.store.trips <= 8


@pytest.mark.usefixtures("unhurried")
def test_deleting_many_children_reads_ahead_ever_further(user: User) -> None:
    """The edge of each is needed, and those of all come in few round trips, each once."""
    user.call("seed", count=1000)
    user.call("clear")
    assert user.store.trips <= 14  # 22 where it is 256 documents each time
    assert user.store.documents <= 4100  # the nodes are among those that were read ahead
    assert [[]] == user.call("listed")


@pytest.mark.usefixtures("unhurried")
def test_reading_ahead_goes_no_further_where_it_was_in_vain(user: User) -> None:
    """A chain among many other nodes wants few of those that come along."""
    user.call("chain_among_others", count=40, others=300)
    assert [40] == user.call("hops")
    assert user.store.documents <= 40 * (256 + 3)


PAIRS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2)).map(list), max_size=14
)


CHANGES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=4)


class Step(NamedTuple):
    """A step of a traversal."""

    direction: str
    by_edge: bool
    """Whether it goes over links alone."""
    by_node: bool
    """Whether it leads to items alone."""
    starts: list[int]
    """Which of the nodes that hang at the root it starts from; none: from the root."""


STEPS = st.builds(
    Step,
    st.sampled_from(["OUT", "IN", "ANY"]),
    st.booleans(),
    st.booleans(),
    st.lists(st.integers(0, 5), max_size=3, unique=True),
)


@pytest.mark.parametrize("wanted", ["nodes", "edges", "edges-with-nodes"])
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pairs=PAIRS, changes=CHANGES, step=STEPS)
def test_steps_lead_where_jaclang_leads(
    user: User, wanted: str, pairs: Any, changes: Any, step: Step
) -> None:
    """In every direction and with every filter: the same nodes and edges in the same order.

    Each in a request of its own, since jaclang's step makes the list of edges whole.
    """
    from jaclang.jac0core.archetype import ObjectSpatialDestination  # noqa: PLC0415
    from jaclang.jac0core.constant import EdgeDir  # noqa: PLC0415

    someone = user.other()
    someone.call("build", pairs=pairs, count=6)
    edge = (lambda it: type(it).__name__ == "Link") if step.by_edge else None
    node = (lambda it: type(it).__name__ == "Item") if step.by_node else None

    def look(steps: Any) -> list[str]:
        def walk(root: Any) -> list[str]:
            everywhere = ObjectSpatialDestination(EdgeDir.OUT, None, None)
            made = steps["nodes"]([root.archetype], everywhere)
            _change(made, changes)
            hop = ObjectSpatialDestination(EdgeDir[step.direction], edge, node)
            starts = [made[number] for number in step.starts] or [root.archetype]
            found = steps[wanted](starts, hop)
            return [_name(it) for it in found]

        return someone.run("noop", {}, walk, keep=False)[1]  # type: ignore[no-any-return]

    ours, theirs = _steps()
    assert look(theirs) == look(ours)


def _steps() -> Any:
    from jaclang.jac0core.runtime import JacRuntimeImpl  # noqa: PLC0415

    from jac_converge.app_runtime.bridge import graph  # noqa: PLC0415

    ours = {
        "nodes": graph.nodes_of,
        "edges": graph.edges_of,
        "edges-with-nodes": graph.edges_with_nodes,
    }
    theirs = {
        "nodes": JacRuntimeImpl.edges_to_nodes,
        "edges": JacRuntimeImpl.get_edges,
        "edges-with-nodes": JacRuntimeImpl.get_edges_with_node,
    }
    return ours, theirs


def _change(nodes: list[Any], changes: list[tuple[int, int, bool]]) -> None:
    """Connect nodes, or cut what is between them."""
    from jaclang.jac0core.runtime import JacRuntimeInterface as Jac  # noqa: PLC0415

    for a, b, connects in changes:
        if connects:
            Jac.connect(nodes[a], nodes[b])
        else:
            Jac.disconnect(nodes[a], [nodes[b]])


def _name(archetype: Any) -> str:
    """Name a node, or an edge by its ends if it is new and has an id of its own in each request."""
    anchor = archetype.__jac__
    if "document" in anchor.__dict__:
        return str(anchor.id)
    return f"{anchor.source.id} {anchor.target.id}"
