"""Finding and removing what no root leads to, on real stores, while others write."""

from collections import Counter
from collections.abc import Collection
from typing import Any

import pytest

from jac_converge.app_runtime import orphans
from jac_converge.app_runtime.stores import Document, DocumentStore, WriteBatch

BEFORE = 1000


def root(*edges: str) -> Document:
    """Make a root that lists edges."""
    return Document(id="root", kind="root", body={"edges": list(edges)})


def node(id_: str, *edges: str, stamp: int = 0, version: int = 0, pages: int = 0) -> Document:
    """Make a node that lists edges, and says that it has pages of further ones."""
    body = {"edges": list(edges)} | ({"pages": pages} if pages else {})
    return Document(id=id_, kind="node", body=body, stamp=stamp, version=version)


def edge(id_: str, source: str, target: str, *, stamp: int = 0) -> Document:
    """Make an edge."""
    body = {"source": source, "target": target}
    return Document(id=id_, kind="edge", body=body, stamp=stamp)


def put(store: DocumentStore, *documents: Document) -> None:
    """Create documents."""
    store.commit(WriteBatch(creates=documents))


def left(store: DocumentStore) -> set[str]:
    """Return what is there."""
    return {document.id for document in store.scan("", 100)}


def collect(store: DocumentStore) -> tuple[Counter[str], int]:
    """Remove what can be removed; returns its kinds, and how many islands stay."""
    found = list(orphans.find(store, before=BEFORE))
    kinds: Counter[str] = Counter()
    stay = 0
    for island in found:
        gone = orphans.remove(store, island)
        kinds += gone
        stay += not gone
    return kinds, stay


def test_what_a_root_leads_to_stays(store: DocumentStore) -> None:
    """Through edges in both directions, also of nodes that others own."""
    put(store, root("e1"), edge("e1", "root", "a"), node("a", "e1", "e2"))
    put(store, edge("e2", "b", "a"), node("b", "e2"))
    put(store, Document(id="account:1", kind="account", body={"name": "ann"}))
    before = left(store)
    assert (Counter(), 0) == collect(store)
    assert before == left(store)


def test_what_no_root_leads_to_goes(store: DocumentStore) -> None:
    """A part that was cut off, an edge that nobody lists, and a node that lists nothing real."""
    put(store, root("e1"), edge("e1", "root", "a"), node("a", "e1"))
    put(store, node("cut", "e2"), edge("e2", "cut", "below"), node("below", "e2"))
    put(store, edge("unlisted", "root", "a"), node("alone", "gone"))
    assert (Counter(edge=2, node=3), 0) == collect(store)
    assert {"root", "e1", "a"} == left(store)


def test_pages_of_a_node_lead_on_and_go_with_it(store: DocumentStore) -> None:
    """What stands behind the id of an edge in an entry leads nowhere by itself."""

    def page(node_id: str, *entries: str) -> Document:
        return Document(id=f"{node_id}.1", kind="page", body={"edges": list(entries)})

    put(store, root("e1"), edge("e1", "root", "a"), node("a", "e1", pages=1))
    put(store, page("a", "e2"), edge("e2", "a", "b"), node("b", "e2"))
    put(store, node("cut", pages=1), page("cut", "e3"), node("c", "e3"))
    put(store, edge("e3", "cut", "c"), page("nobody"))
    assert (Counter(edge=1, node=2, page=2), 0) == collect(store)
    assert {"root", "e1", "a", "a.1", "e2", "b"} == left(store)


def test_what_is_young_stays_with_what_it_leads_to(store: DocumentStore) -> None:
    """A commit may be about to link it."""
    put(store, root(), node("new", "e1", stamp=BEFORE), edge("e1", "new", "old"))
    put(store, node("old", "e1"))
    before = left(store)
    assert (Counter(), 0) == collect(store)
    assert before == left(store)


class Meanwhile:
    """A store where others write while the collector is at work."""

    def __init__(self, store: DocumentStore, *batches: WriteBatch, after: str) -> None:
        self._store, self._batches, self._after = store, batches, after
        self.scan = store.scan
        self.commit = store.commit

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Read, and write right after one document was read for the first time."""
        found = self._store.get(ids)
        if self._after in found:
            batches, self._batches = self._batches, ()
            for batch in batches:
                self._store.commit(batch)
        return found


@pytest.mark.parametrize("after", ["b", "z"], ids=["while-it-follows", "after-it-followed"])
def test_part_that_moves_behind_the_search_stays(store: DocumentStore, after: str) -> None:
    """It is linked once its new parent has been read; y below it never changes.

    Or, later still, once it has been found to be an orphan.
    """
    put(store, root("ra", "rb"), edge("ra", "root", "a"), edge("rb", "root", "b"))
    put(store, node("b", "rb"), node("a", "ra"), node("z", "zy"), edge("zy", "z", "y"))
    put(store, node("y", "zy"))
    link = WriteBatch(
        creates=(edge("bz", "b", "z", stamp=BEFORE),),
        updates=(node("b", "rb", "bz", version=1), node("z", "zy", "bz", version=1)),
    )
    meanwhile = Meanwhile(store, link, after=after)
    kinds, stay = collect(meanwhile)  # type: ignore[arg-type]
    assert (Counter(), 1) == (kinds, stay)
    assert {"z", "zy", "y"} <= left(store)
    assert (Counter(), 0) == collect(store)


def test_large_part_goes_in_several_commits(
    store: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And stays whole if one of it has changed."""
    monkeypatch.setattr(orphans, "LARGEST", 2)
    put(store, root(), *(node(str(number), "e") for number in range(6)), edge("e", "0", "1"))
    (island,) = orphans.find(store, before=BEFORE)
    store.commit(WriteBatch(updates=(node("3", "e", version=1),)))
    assert not orphans.remove(store, island)
    assert 8 == len(left(store))
    (again,) = orphans.find(store, before=BEFORE)
    assert orphans.remove(store, again)
    assert {"root"} == left(store)


def test_large_part_that_changes_while_it_goes_is_told_as_far_as_it_went(
    store: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was removed before the change counts as removed."""
    monkeypatch.setattr(orphans, "LARGEST", 2)
    put(store, root(), *(node(str(number), "e") for number in range(4)), edge("e", "0", "1"))
    (island,) = orphans.find(store, before=BEFORE)
    last = island.removals[-1].id
    commits = 0

    class Busy:
        """A store of which somebody changes the last document after the first removal."""

        def commit(self, batch: WriteBatch) -> None:
            nonlocal commits
            store.commit(batch)
            commits += 1
            if commits == 1:
                store.commit(WriteBatch(updates=(node(last, "e", "x", version=1),)))

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    gone = orphans.remove(Busy(), island)
    assert (commits * 2, commits * 2 + len(left(store))) == (gone.total(), 6)
    assert {"root", last} <= left(store)
