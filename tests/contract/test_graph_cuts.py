"""Deleting in a graph that others have edges in: what goes along, what stays, what still works."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from jac_converge.app_runtime.stores import Conflict
from tests.contract.graph_user import User, loaded, on_shelf

if TYPE_CHECKING:
    from jac_converge.app_runtime.bridge.program import Program

APP = """
node Thing { has name: str; }
edge Tie { }

walker put { has name: str; can go with Root entry {
    new = (here ++> Thing(name=self.name))[0];
    grant(new, ConnectPerm);
    report jid(new);
} }
walker tie { has id: str; can go with Root entry { here +>: Tie() :+> jobj(self.id); } }
walker tie_below { has name: str, id: str; can go with Root entry {
    new = (here ++> Thing(name=self.name))[0];
    new +>: Tie() :+> jobj(self.id);
} }
walker self_tie { has name: str; can go with Root entry {
    new = (here ++> Thing(name=self.name))[0];
    new +>: Tie() :+> new;
} }
walker drop { has name: str; can go with Root entry {
    for one in [-->][?:Thing] { if one.name == self.name { del one; } }
} }
walker cut { has name: str; can go with Root entry {
    for one in [-->][?:Thing] { if one.name == self.name { here del--> one; } }
} }
walker cut_ties { has name: str; can go with Root entry {
    for one in [-->][?:Thing] { if one.name == self.name { for tie in [edge -->] { del tie; } } }
} }
walker untie { can go with Root entry { for tie in [edge ->:Tie:->] { del tie; } } }
walker names { can go with Root entry { report [one.name for one in [-->][?:Thing]]; } }
walker tied { can go with Root entry { report [one.name for one in [->:Tie:->]]; } }
walker deep { can go with Root entry { report [one.name for one in [-->-->][?:Thing]]; } }
walker open_root { can go with Root entry { grant(here, ConnectPerm); report jid(here); } }
walker close_root { can go with Root entry { revoke(here); } }
walker hang_below { has id: str, name: str; can go with Root entry {
    jobj(self.id) ++> [(here ++> Thing(name=self.name))[0]];
} }
walker fan { has count: int; can go with Root entry {
    hub = (here ++> Thing(name="hub"))[0];
    for i in range(self.count) { leaf = Thing(name=str(i)); hub ++> leaf; here ++> leaf; }
} }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> "Program":
    """Load the app into this process."""
    return loaded(tmp_path_factory.mktemp("cuts") / "cuts.jac", APP)


@pytest.fixture
def ann(program: "Program", tmp_path: Path) -> Iterator[User]:
    """Give somebody with an empty graph."""
    with on_shelf(program, tmp_path) as somebody:
        yield somebody


@pytest.fixture
def bob(ann: User) -> User:
    """Give somebody else."""
    return ann.other()


def kinds(user: User) -> Counter[str]:
    """Count what is stored."""
    return Counter(document.kind for document in user.store.scan("", 5000))


def with_pages(user: User) -> set[str]:
    """Return the nodes that have pages of edges."""
    return {it.id.partition(".")[0] for it in user.store.scan("", 5000) if it.kind == "page"}


def test_edge_to_a_node_that_others_deleted_leads_nowhere(ann: User, bob: User) -> None:
    """Its owner can go on with all that is around it, as if it were not there."""
    (thing,) = ann.call("put", name="hers")
    bob.call("put", name="his")
    bob.call("tie", id=thing)
    assert [["his", "hers"]] == bob.call("names")
    ann.call("drop", name="hers")
    assert [["his"]] == bob.call("names")
    assert [[]] == bob.call("tied")
    bob.call("untie")
    bob.call("cut", name="his")
    assert [[]] == bob.call("names")


@pytest.mark.parametrize("walker", ["drop", "cut", "cut_ties"])
def test_node_beside_one_that_others_deleted_can_go(ann: User, bob: User, walker: str) -> None:
    """With its edge to what is not there any more."""
    (thing,) = ann.call("put", name="hers")
    bob.call("tie_below", name="his", id=thing)
    ann.call("drop", name="hers")
    assert [[]] == bob.call("deep")
    bob.call(walker, name="his")
    assert [[]] == bob.call("names")
    if walker == "drop":
        assert {"root": 2} == kinds(bob)


def test_edge_that_another_hangs_meanwhile_is_a_conflict(ann: User, bob: User) -> None:
    """The deletion has to be decided again, on a node that has one edge more."""
    (thing,) = ann.call("put", name="hers")
    with pytest.raises(Conflict):
        ann.run("drop", {"name": "hers"}, lambda _: bob.call("tie", id=thing))
    assert [["hers"]] == bob.call("tied")
    with pytest.raises(Conflict):
        bob.run("tie", {"id": thing}, lambda _: ann.call("drop", name="hers"))


def test_edges_of_the_deleter_go_from_lists_that_are_closed_by_now(ann: User, bob: User) -> None:
    """Whoever may delete an edge may take it out of both lists, and nothing else."""
    root = bob.call("open_root")[0]
    ann.call("hang_below", id=root, name="hers")
    ann.call("put", name="other")
    assert [[]] == bob.call("names")  # it is not granted to him
    bob.call("close_root")
    ann.call("drop", name="hers")
    assert [] == ann.warnings
    (document,) = [it for it in bob.store.find("root") if it.id == bob.root.hex]
    assert "edges" not in document.body
    assert {"root": 2, "node": 1, "edge": 1} == kinds(ann)


def test_edge_to_itself_goes_with_its_node(ann: User) -> None:
    """It is met twice while its node is deleted."""
    ann.call("self_tie", name="loop")
    ann.call("drop", name="loop")
    assert {"root": 1} == kinds(ann)


def test_old_nodes_of_guests_go_beside_one_that_others_deleted(ann: User, bob: User) -> None:
    """What is not there any more keeps nothing alive."""
    from jac_converge.app_runtime.bridge.guests import remove_nodes  # noqa: PLC0415
    from jac_converge.app_runtime.bridge.program import GUEST_ROOT, Program  # noqa: PLC0415

    Program.ensure_guest(ann.store)
    bob.root = GUEST_ROOT
    (thing,) = ann.call("put", name="hers")
    bob.call("tie_below", name="his", id=thing)
    ann.call("drop", name="hers")
    (node,) = [it.id for it in ann.store.scan("", 100) if it.kind == "node"]
    assert 1 == remove_nodes(ann.store, [node])
    assert {"root": 3} == kinds(ann)


def test_pages_go_with_their_node(ann: User) -> None:
    """Also when nobody looked at the edges before."""
    ann.call("fan", count=400)
    assert 2 == len(with_pages(ann))
    ann.call("drop", name="hub")
    assert {ann.root.hex} == with_pages(ann)
    assert [[str(n) for n in range(400)]] == ann.call("names")


def test_pages_go_with_a_node_of_which_nothing_else_was_read(ann: User) -> None:
    """Who deletes it need not have looked at its edges."""
    from jac_converge.app_runtime.bridge.memory import RequestMemory  # noqa: PLC0415

    ann.call("fan", count=400)
    (hub,) = with_pages(ann) - {ann.root.hex}
    memory = RequestMemory(ann.store)
    assert memory.has(UUID(hub))
    memory.delete(UUID(hub))
    memory.flush()
    assert {ann.root.hex} == with_pages(ann)
