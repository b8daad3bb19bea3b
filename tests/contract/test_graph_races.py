"""Two requests at one node: one adds edges, the other does something else meanwhile."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jac_converge.app_runtime.stores import Conflict, UnknownOutcome
from tests.contract.graph_user import User, loaded, on_shelf

if TYPE_CHECKING:
    from jac_converge.app_runtime.bridge.program import Program

APP = """
node Hub { has n: int = 0, notes: list[int] = []; }
node Leaf { has n: int = 0; }

walker make { has leaves: int; can go with Root entry {
    hub = (here ++> Hub())[0];
    for i in range(self.leaves) { hub ++> Leaf(n=i); }
} }
walker add { has first: int, count: int = 1; can go with Root entry {
    hub = [-->][?:Hub][0];
    for i in range(self.count) { hub ++> Leaf(n=self.first + i); }
} }
walker set { has n: int; can go with Root entry { [-->][?:Hub][0].n = self.n; } }
walker note { has n: int; can go with Root entry { [-->][?:Hub][0].notes.append(self.n); } }
walker set_and_add { has n: int; can go with Root entry {
    hub = [-->][?:Hub][0];
    hub.n = self.n;
    hub ++> Leaf(n=self.n);
} }
walker add_as_many { can go with Root entry {
    hub = [-->][?:Hub][0];
    for i in range(hub.n) { hub ++> Leaf(n=1000 + i); }
} }
walker protect { can go with Root entry { grant([-->][?:Hub][0], ReadPerm); } }
walker drop_hub { can go with Root entry { for hub in [-->][?:Hub] { del hub; } } }
walker drop_leaf { has n: int; can go with Root entry {
    for leaf in [-->-->][?:Leaf] { if leaf.n == self.n { del leaf; } }
} }
walker add_unless_there { has n: int; can go with Root entry {
    hub = [-->][?:Hub][0];
    there = [leaf.n for leaf in [hub -->][?:Leaf]];
    hub.n += 1;
    commit();
    if self.n not in there { hub ++> Leaf(n=self.n); }
} }
walker seen { can go with Root entry {
    for hub in [-->][?:Hub] {
        report {"n": hub.n, "notes": hub.notes, "leaves": [leaf.n for leaf in [hub -->][?:Leaf]]};
    }
} }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> "Program":
    """Load the app into this process."""
    return loaded(tmp_path_factory.mktemp("races") / "races.jac", APP)


@pytest.fixture
def user(program: "Program", tmp_path: Path) -> Iterator[User]:
    """Give somebody with an empty graph."""
    with on_shelf(program, tmp_path) as somebody:
        yield somebody


def race(user: User, ours: tuple[str, dict[str, Any]], *theirs: tuple[str, dict[str, Any]]) -> bool:
    """Run theirs while ours runs, and ours again if it has to; returns whether it had to."""
    other = user.twin()

    def meanwhile(_: Any) -> None:
        for walker, fields in theirs:
            other.call(walker, **fields)

    try:
        user.run(*ours, meanwhile)
    except Conflict:
        user.call(ours[0], **ours[1])
        return True
    return False


SIZES = [0, 1, 126, 127, 128, 129, 254, 255, 256, 257]


@pytest.mark.parametrize("leaves", SIZES)
@pytest.mark.parametrize("count", [1, 130, 300])
def test_both_add_at_once(user: User, leaves: int, count: int) -> None:
    """Also where a page becomes full for both of them: nothing is lost, and nobody runs twice."""
    user.call("make", leaves=leaves)
    again = race(
        user,
        ("add", {"first": 2000, "count": count}),
        ("add", {"first": 1000}),
        ("add", {"first": 1001}),
    )
    assert again is False
    expected = [*range(leaves), 1000, 1001, *range(2000, 2000 + count)]
    assert [{"n": 0, "notes": [], "leaves": expected}] == user.call("seen")


@pytest.mark.parametrize("leaves", [1, 300])
@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        pytest.param(("set", {"n": 7}), {"n": 7, "notes": []}, id="number"),
        pytest.param(("note", {"n": 7}), {"n": 0, "notes": [7]}, id="list"),
    ],
)
def test_field_that_others_change_meanwhile_stays(
    user: User, leaves: int, theirs: Any, expected: dict[str, Any]
) -> None:
    """Who only adds an edge runs again, since it may have read the field."""
    user.call("make", leaves=leaves)
    assert race(user, ("add", {"first": 1000}), theirs)
    assert [expected | {"leaves": [*range(leaves), 1000]}] == user.call("seen")


def test_what_was_decided_by_a_field_is_decided_again(user: User) -> None:
    """As many leaves as the number says that is stored."""
    user.call("make", leaves=1)
    user.call("set", n=1)
    assert race(user, ("add_as_many", {}), ("set", {"n": 3}))
    assert [{"n": 3, "notes": [], "leaves": [0, 1000, 1001, 1002]}] == user.call("seen")


@pytest.mark.parametrize("leaves", [1, 128, 300])
@pytest.mark.parametrize("ours", ["set", "set_and_add"])
def test_edges_that_others_add_stay_where_a_field_is_changed(
    user: User, leaves: int, ours: str
) -> None:
    """Who changes a field runs again, and finds the edges."""
    user.call("make", leaves=leaves)
    assert race(user, (ours, {"n": 7}), ("add", {"first": 1000}), ("add", {"first": 1001}))
    own = [7] if ours == "set_and_add" else []
    expected = {"n": 7, "notes": [], "leaves": [*range(leaves), 1000, 1001, *own]}
    assert [expected] == user.call("seen")


def test_edges_and_fields_of_both_stay(user: User) -> None:
    """The last one to set the field has read what the first one did."""
    user.call("make", leaves=128)
    assert race(user, ("set_and_add", {"n": 2000}), ("set_and_add", {"n": 1000}))
    expected = {"n": 2000, "notes": [], "leaves": [*range(128), 1000, 2000]}
    assert [expected] == user.call("seen")


def test_right_that_is_taken_away_meanwhile_is_asked_again(user: User) -> None:
    """Access is a part of the node as a field is."""
    user.call("make", leaves=1)
    assert race(user, ("add", {"first": 1000}), ("protect", {}))


@pytest.mark.parametrize("leaves", [1, 128, 300])
def test_nothing_is_added_to_a_node_that_others_remove(user: User, leaves: int) -> None:
    """And no document is left of what was to hang there."""
    user.call("make", leaves=leaves)
    user.call("add", first=1)  # its group is known
    before = {it.id for it in user.store.scan("", 5000)}
    other = user.twin()
    with pytest.raises(Conflict):
        user.run("add", {"first": 1000, "count": 200}, lambda _: other.call("drop_hub"))
    assert {it.id for it in user.store.scan("", 5000)} < before
    assert [] == user.call("seen")


@pytest.mark.parametrize("leaves", [3, 128, 300])
def test_edge_that_others_remove_meanwhile_is_gone(user: User, leaves: int) -> None:
    """From the newest ones or from a page."""
    for n, gone in enumerate((0, leaves - 1)):
        if n == 0:
            user.call("make", leaves=leaves)
        race(user, ("add", {"first": 1000 + n}), ("drop_leaf", {"n": gone}))
    expected = [*range(1, leaves - 1), 1000, 1001]
    assert [{"n": 0, "notes": [], "leaves": expected}] == user.call("seen")


def test_look_before_a_commit_is_not_forgotten_after_it(user: User) -> None:
    """What was seen then decides what is added now."""
    user.call("make", leaves=2)
    other = user.twin()
    with pytest.raises(UnknownOutcome, match="changed meanwhile"):
        user.run("add_unless_there", {"n": 9}, lambda _: other.call("add", first=9))
    assert [0, 1, 9] == user.call("seen")[0]["leaves"]
