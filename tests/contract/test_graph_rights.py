"""Who may change what: by the rights as they are stored, whatever a walker makes of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jac_converge.app_runtime.stores import Document
from tests.contract.graph_user import User, loaded, on_shelf

if TYPE_CHECKING:
    from jac_converge.app_runtime.bridge.program import Program

APP = """
node Thing { has name: str; }
node Door {
    has name: str, unlocked: bool = False;
    def __jac_access__ -> any { return WritePerm if self.unlocked else ReadPerm; }
}

node Open { has name: str; def __jac_access__ -> any { return WritePerm; } }

walker put { has name: str; can go with Root entry {
    report jid((here ++> Thing(name=self.name))[0]);
} }
walker put_door { has name: str; can go with Root entry {
    report jid((here ++> Door(name=self.name))[0]);
} }
walker share { has id: str, level: str; can go with Root entry {
    grant(jobj(self.id), self.level);
} }
walker share_root { has level: str; can go with Root entry {
    grant(here, self.level);
} }
walker share_with { has id: str, root_id: str, level: str; can go with Root entry {
    import from jaclang.jac0core.runtime { JacRuntimeInterface }
    import from uuid { UUID }
    JacRuntimeInterface.allow_root(jobj(self.id), UUID(self.root_id), self.level);
} }
walker read { has id: str; can go with Root entry { report jobj(self.id).name; } }
walker rename { has id: str, name: str; can go with Root entry { jobj(self.id).name = self.name; } }
walker unlock { has id: str; can go with Root entry {
    door = jobj(self.id);
    door.unlocked = True;
    door.name = "opened";
} }
walker tie { has id: str; can go with Root entry { here ++> jobj(self.id); } }
walker untie { has id: str; can go with Root entry { here del--> jobj(self.id); } }
walker disown { can go with Root entry { for one in [-->][?:Thing] { here del--> one; } } }
walker names { can go with Root entry { report [one.name for one in [-->][?:Thing]]; } }
walker reach { has id: str; can go with Root entry {
    report [n.name for n in [jobj(self.id) -->][?:Thing]];
} }

walker take_by_grant { has id: str; can go with Root entry {
    it = jobj(self.id);
    grant(it, WritePerm);
    it.name = "taken";
} }
walker take_by_root { has id: str, root_id: str; can go with Root entry {
    grant(jobj(self.root_id), WritePerm);
    jobj(self.id).name = "taken";
} }
walker take_by_owner { has id: str; can go with Root entry {
    it = jobj(self.id);
    setattr(it.__jac__, "root", here.__jac__.id);
    it.name = "taken";
} }
walker take_as_new { has id: str; can go with Root entry {
    it = jobj(self.id);
    it.__jac__.hash = 0;
    it.__jac__.persistent = False;
    it.name = "taken";
} }
walker take_and_drop { has id: str; can go with Root entry {
    it = jobj(self.id);
    grant(it, WritePerm);
    del it;
} }
walker take_and_tie { has id: str; can go with Root entry {
    it = jobj(self.id);
    grant(it, WritePerm);
    here ++> it;
} }
walker look_by_root { has id: str, root_id: str; can go with Root entry {
    grant(jobj(self.root_id), WritePerm);
    report [n.name for n in [jobj(self.id) -->][?:Thing]];
} }
walker take_by_class { has id: str; can go with Root entry {
    it = jobj(self.id).__jac__;
    it.archetype = Open(name="taken");
    it.archetype.name = "taken";
} }
walker look_as_owner { has ids: list[str]; can go with Root entry {
    for id_ in self.ids { setattr(jobj(id_).__jac__, "root", here.__jac__.id); }
    report [n.name for n in [jobj(self.ids[0]) -->][?:Thing]];
} }
walker give_away { has id: str, root_id: str; can go with Root entry {
    import from uuid { UUID }
    setattr(jobj(self.id).__jac__, "root", UUID(self.root_id));
} }
walker forget { has id: str; can go with Root entry {
    import from jaclang.jac0core.runtime { JacRuntimeInterface }
    import from uuid { UUID }
    it = jobj(self.id);
    JacRuntimeInterface.get_context().mem.delete(UUID(self.id));
} }
walker forget_below { has id: str; can go with Root entry {
    import from jaclang.jac0core.runtime { JacRuntimeInterface }
    for one in [edge jobj(self.id) -->] {
        JacRuntimeInterface.get_context().mem.delete(one.__jac__.id);
    }
} }
walker reset { has root_id: str, id: str; can go with Root entry {
    import from jaclang.jac0core.runtime { JacRuntimeInterface }
    it = jobj(self.id);
    seen = [it -->];
    JacRuntimeInterface.reset_graph(jobj(self.root_id));
} }
walker drop_it { has id: str; can go with Root entry { it = jobj(self.id); del it; } }
walker drop_all { has id: str; can go with Root entry {
    import from jaclang.jac0core.runtime { JacRuntimeInterface }
    JacRuntimeInterface.destroy([jobj(self.id)] + [jobj(self.id) -->]);
} }
walker cut_below { has id: str; can go with Root entry {
    at = jobj(self.id);
    at del--> [at -->];
} }
walker cut_from_root { has id: str, root_id: str; can go with Root entry {
    jobj(self.root_id) del--> jobj(self.id);
} }
walker drop_edges { has id: str; can go with Root entry {
    for one in [edge jobj(self.id) -->] { del one; }
} }
walker detach_below { has id: str; can go with Root entry {
    import from jaclang.jac0core.runtime { JacRuntimeInterface }
    for one in [edge jobj(self.id) -->] { JacRuntimeInterface.detach(one.__jac__); }
} }
walker remove_below { has id: str; can go with Root entry {
    import from jaclang.jac0core.runtime { JacRuntimeInterface }
    at = jobj(self.id);
    for one in [edge at -->] { JacRuntimeInterface.remove_edge(at.__jac__, one.__jac__); }
} }
walker clear_list { has id: str; can go with Root entry {
    it = jobj(self.id).__jac__;
    it.edges.clear();
} }
walker replace_list { has id: str; can go with Root entry {
    it = jobj(self.id).__jac__;
    it.edges = [];
} }
walker tie_and_clear { has id: str; can go with Root entry {
    it = jobj(self.id).__jac__;
    it.edges.clear();
    it.archetype ++> Thing(name="his");
} }
walker tie_and_remove { has id: str; can go with Root entry {
    import from jaclang.jac0core.runtime { JacRuntimeInterface }
    at = jobj(self.id);
    for one in [edge at -->] { JacRuntimeInterface.remove_edge(at.__jac__, one.__jac__); }
    at ++> Thing(name="his");
} }
walker cut_as_new { has id: str; can go with Root entry {
    at = jobj(self.id);
    for one in [edge at -->] { one.__jac__.persistent = False; }
    at del--> [at -->];
} }
walker untie_by_grant { has id: str; can go with Root entry {
    at = jobj(self.id);
    for one in [edge at -->] { grant(one, WritePerm); }
    at del--> [at -->];
} }
walker drop_own_root { can go with Root entry {
    import from jaclang.jac0core.runtime { JacRuntimeInterface }
    JacRuntimeInterface.get_context().mem.delete(here.__jac__.id);
} }
walker ids_below { has id: str; can go with Root entry {
    report jid([jobj(self.id) -->][0]);
} }
walker put_below { has id: str, name: str; can go with Root entry {
    jobj(self.id) ++> Thing(name=self.name);
} }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> "Program":
    """Load the app into this process."""
    return loaded(tmp_path_factory.mktemp("rights") / "rights.jac", APP)


@pytest.fixture
def ann(program: "Program", tmp_path: Path) -> Iterator[User]:
    """Give the owner of everything."""
    with on_shelf(program, tmp_path) as somebody:
        yield somebody


@pytest.fixture
def bob(ann: User) -> User:
    """Give a stranger."""
    return ann.other()


def stored(user: User, id_: str) -> Document:
    """Return what is stored under an id as `jid` gives it."""
    return user.store.get([id_.replace("-", "")])[id_.replace("-", "")]  # type: ignore[no-any-return]


TAKERS = [
    "take_by_grant", "take_by_root", "take_by_owner", "take_as_new", "take_and_drop",
    "take_and_tie", "take_by_class", "rename",
]  # fmt: skip


@pytest.mark.parametrize("walker", TAKERS)
def test_stranger_takes_no_right_that_is_not_granted(ann: User, bob: User, walker: str) -> None:
    """What the walker makes of the rights of a node in memory does not count."""
    (id_,) = ann.call("put", name="hers")
    ann.call("share", id=id_, level="READ")
    before = stored(ann, id_)
    fields: dict[str, Any] = {"id": id_}
    if walker == "take_by_root":
        fields["root_id"] = ann.root.hex
    if walker == "rename":
        fields["name"] = "taken"
    bob.call(walker, **fields)
    assert [] != bob.warnings
    assert before == stored(ann, id_)
    assert ["hers"] == ann.call("names")[0]
    assert [] == bob.call("names")[0]


def test_stranger_cannot_take_the_right_to_read(ann: User, bob: User) -> None:
    """Nodes beside one that is shared stay unseen, whatever is granted in memory."""
    (hub,) = ann.call("put", name="hub")
    ann.call("put_below", id=hub, name="secret")
    ann.call("share", id=hub, level="READ")
    assert [["secret"]] == ann.call("reach", id=hub)
    assert [[]] == bob.call("reach", id=hub)
    assert [[]] == bob.call("look_by_root", id=hub, root_id=ann.root.hex)
    (secret,) = ann.call("ids_below", id=hub)
    assert [[]] == bob.call("look_as_owner", ids=[hub, secret])


def test_custom_rule_judges_what_is_stored(ann: User, bob: User) -> None:
    """And not what the walker has just written, which would open every door."""
    (door,) = ann.call("put_door", name="closed")
    bob.call("unlock", id=door)
    assert ["field_write"] == [warning["operation"] for warning in bob.warnings]
    assert ["closed"] == ann.call("read", id=door)
    ann.call("unlock", id=door)
    bob.call("rename", id=door, name="his")
    assert ["his"] == ann.call("read", id=door)


@pytest.mark.parametrize("by", ["node", "root", "one-root"])
def test_granted_right_to_write_counts(ann: User, bob: User, by: str) -> None:
    """For fields, for access, and to delete; not to become the owner."""
    (id_,) = ann.call("put", name="hers")
    if by == "node":
        ann.call("share", id=id_, level="WRITE")
    elif by == "root":
        ann.call("share_root", level="WRITE")
    else:
        ann.call("share_with", id=id_, root_id=str(bob.root), level="WRITE")
    bob.call("rename", id=id_, name="renamed")
    assert ["renamed"] == ann.call("read", id=id_)
    bob.call("take_by_owner", id=id_)
    assert ann.root.hex == stored(ann, id_).body["owner"]
    assert ["taken"] == ann.call("read", id=id_)
    bob.call("share", id=id_, level="CONNECT")
    assert 1 == stored(ann, id_).body["access"]["all"]


def test_owner_gives_a_node_away(ann: User, bob: User) -> None:
    """Then it is the other one who may write."""
    (id_,) = ann.call("put", name="hers")
    ann.call("give_away", id=id_, root_id=str(bob.root))
    assert bob.root.hex == stored(ann, id_).body["owner"]
    bob.call("rename", id=id_, name="his")
    assert ["his"] == bob.call("read", id=id_)
    ann.call("rename", id=id_, name="hers again")
    assert ["his"] == bob.call("read", id=id_)


def test_last_edge_takes_a_node_of_somebody_else_along_only_with_the_right_to_write(
    ann: User, bob: User
) -> None:
    """Who may connect may cut, and the node stays with its owner."""
    (id_,) = ann.call("put", name="hers")
    ann.call("share", id=id_, level="CONNECT")
    bob.call("tie", id=id_)
    ann.call("disown")
    assert [["hers"]] == bob.call("names")
    bob.call("untie", id=id_)
    assert [[]] == bob.call("names")
    assert ["hers"] == ann.call("read", id=id_)
    assert "edges" not in stored(ann, id_).body
    ann.call("tie", id=id_)
    ann.call("disown")
    assert not ann.store.get([id_.replace("-", "")])


def test_reading_asks_for_nothing_to_know_the_rights(ann: User) -> None:
    """The owner's own nodes are judged by what was read for them."""
    for n in range(10):
        ann.call("put", name=str(n))
    assert [[str(n) for n in range(10)]] == ann.call("names")
    assert (2, 11, 0) == (ann.store.trips, ann.store.documents, ann.store.written)
    ann.call("put", name="new")
    assert (1, 1, 3) == (ann.store.trips, ann.store.documents, ann.store.written)


DELETERS = [
    "drop_it", "drop_all", "drop_edges", "cut_below", "cut_from_root", "detach_below",
    "remove_below", "clear_list", "replace_list", "cut_as_new", "untie_by_grant", "forget",
    "forget_below", "reset",
]  # fmt: skip


@pytest.mark.parametrize("level", ["READ", "CONNECT"])
@pytest.mark.parametrize("walker", DELETERS)
def test_stranger_deletes_nothing_without_the_right_to_write(
    ann: User, bob: User, walker: str, level: str
) -> None:
    """By whatever way, and on whatever nodes it may connect: all of it is as it was."""
    (hub,) = ann.call("put", name="hub")
    ann.call("put_below", id=hub, name="below")
    (below,) = ann.call("ids_below", id=hub)
    ann.call("share_root", level=level)
    before = everything(ann)
    fields: dict[str, Any] = {"id": hub}
    if walker in ("reset", "cut_from_root"):
        fields["root_id"] = ann.root.hex
    for id_ in (hub, below) if walker in ("drop_it", "forget") else (hub,):
        bob.call(walker, **fields | {"id": id_})
        assert before == everything(ann)
    assert [["below"]] == ann.call("reach", id=hub)


@pytest.mark.parametrize("walker", ["tie_and_clear", "tie_and_remove"])
def test_stranger_ties_what_is_theirs_and_cuts_nothing_else(
    ann: User, bob: User, walker: str
) -> None:
    """With the right to connect, in one call: the one is stored, the other told."""
    (hub,) = ann.call("put", name="hub")
    ann.call("put_below", id=hub, name="below")
    ann.call("share_root", level="CONNECT")
    bob.call(walker, id=hub)
    assert {"edge_delete"} == {warning["operation"] for warning in bob.warnings}
    entries = stored(ann, hub).body["edges"]
    assert 3 == len(entries)
    assert all(len(ann.store.get([it[:32], it[33:]])) == 2 for it in entries)


def test_root_is_deleted_by_nobody(ann: User) -> None:
    """Its account would have nothing to stand on."""
    with pytest.raises(ValueError, match="a root cannot be deleted"):
        ann.call("drop_own_root")
    assert "root" == stored(ann, ann.root.hex).kind


@pytest.mark.parametrize("walker", ["drop_it", "forget"])
def test_owner_deletes(ann: User, walker: str) -> None:
    """A node of one's own, also past the checks of jaclang."""
    (id_,) = ann.call("put", name="hers")
    ann.call(walker, id=id_)
    assert not ann.store.get([id_.replace("-", "")])


def everything(user: User) -> dict[str, Document]:
    """Return all that is stored, but for the root of a stranger."""
    found = {it.id: it for it in user.store.scan("", 100)}
    return {id_: it for id_, it in found.items() if it.kind != "root" or it.id == user.root.hex}
