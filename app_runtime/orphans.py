"""What no root leads to any more: found and removed while servers go on.

Nodes and edges stay behind when the edge to them goes, or when a process dies in the middle of a
commit. Three things keep this from removing what somebody needs:

- What is younger than the grace is not looked at, and neither is what it leads to: a commit may be
  about to link it.
- Each document is removed at the version it had before the roots were followed. Whoever moves a
  node meanwhile, out of sight of the search, changes the edges of that node and so its version.
- Documents that lead to each other go in one commit, so one of them that has changed saves all.

It changes with the rules for what may go.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import batched

from jac_converge.app_runtime.bridge.citations import GRAPH, citations
from jac_converge.app_runtime.stores import Conflict, DocumentStore, Removal, WriteBatch
from jac_converge.app_runtime.transfer import PAGE, documents

__all__ = ["Island", "find", "remove"]

LARGEST = 5000  # documents in one commit; other writers of a shelf wait for about 0.1 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Island:
    """Orphans that lead to each other, and to nobody else."""

    removals: tuple[Removal, ...]
    kind_of: Mapping[str, str]
    """By id; without those that went meanwhile."""

    @property
    def kinds(self) -> Counter[str]:
        """How many there are of each kind."""
        return Counter(self.kind_of.values())


def find(store: DocumentStore, *, before: int) -> Iterator[Island]:
    """Give what no root leads to; roots themselves always stay.

    It holds one id and version for each document, and reads the bodies of a page at a time.

    Args:
        store: may be in use.
        before: µs since the epoch; what was created later counts as somebody's.
    """
    unreached: dict[str, int] = {}
    starts: list[str] = []
    for document in documents(store):
        if document.kind not in GRAPH:
            continue
        if document.kind != "root" and document.stamp < before:
            unreached[document.id] = document.version
        else:
            starts.append(document.id)
    _follow(store, starts, unreached)
    yield from _islands(store, unreached)


def remove(store: DocumentStore, island: Island) -> Counter[str]:
    """Remove an island, or nothing if it has changed meanwhile.

    More than `LARGEST` documents are looked at first and go in several commits; where one changes
    just then, those that went before it are gone.

    Returns:
        How many of each kind were removed.
    """
    gone: Counter[str] = Counter()
    if len(island.removals) > LARGEST and not _unchanged(store, island.removals):
        return gone
    for part in batched(island.removals, LARGEST):
        try:
            store.commit(WriteBatch(removals=part))
        except Conflict:
            break
        gone.update(island.kind_of[it.id] for it in part if it.id in island.kind_of)
    return gone


def _follow(store: DocumentStore, starts: list[str], unreached: dict[str, int]) -> None:
    """Take everything that the starts lead to out of `unreached`."""
    frontier = starts
    while frontier:
        page = frontier[-PAGE:]
        del frontier[-PAGE:]
        for document in store.get(page).values():
            for id_ in citations(document):
                if unreached.pop(id_, None) is not None:
                    frontier.append(id_)


def _islands(store: DocumentStore, orphans: dict[str, int]) -> Iterator[Island]:
    """Sort orphans by what they lead to, as they are now."""
    leader = {id_: id_ for id_ in orphans}  # of each, some other of its island; at last, itself
    kind_of: dict[str, str] = {}

    def lead(id_: str) -> str:
        while leader[id_] != id_:
            leader[id_] = id_ = leader[leader[id_]]
        return id_

    for page in batched(orphans, PAGE):
        for document in store.get(page).values():
            kind_of[document.id] = document.kind
            for cited in citations(document):
                if cited in leader:
                    leader[lead(cited)] = lead(document.id)
    members: dict[str, list[str]] = {}
    for id_ in orphans:
        members.setdefault(lead(id_), []).append(id_)
    for ids in members.values():
        yield Island(
            removals=tuple(Removal(id=id_, version=orphans[id_]) for id_ in ids),
            kind_of={id_: kind_of[id_] for id_ in ids if id_ in kind_of},
        )


def _unchanged(store: DocumentStore, removals: Iterable[Removal]) -> bool:
    for page in batched(removals, PAGE):
        found = store.get([removal.id for removal in page])
        if any(
            removal.id not in found or found[removal.id].version != removal.version
            for removal in page
        ):
            return False
    return True
