"""The list of a node's edges against a plain list: the same to look at, less to read."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jac_converge.app_runtime.bridge.edges import EdgeList, entry_of, page_id

NODE = f"{1:032x}"


@dataclass(eq=False)
class End:
    """Where an edge leads to."""

    id: UUID


@dataclass(eq=False)
class Edge:
    """An edge, as far as a list of edges looks at one."""

    id: UUID
    source: End
    target: End
    is_undirected: bool = False


def edge(number: int) -> Any:
    """Make the edge of a number, away from the node."""
    return Edge(UUID(int=number), End(UUID(hex=NODE)), End(UUID(int=number + 10_000)))


class Stored:
    """A list of edges in pages, and how often they were read."""

    def __init__(self, pages: int, size: int, inline: int) -> None:
        numbers = iter(range(100, 100 + pages * size + inline))
        self.anchors: dict[str, Any] = {}
        self.reads = 0
        self.pages = {page: self._entries(numbers, size) for page in range(1, pages + 1)}
        self.inline = self._entries(numbers, inline)
        read = self._read if pages else None
        self.list = EdgeList(list(self.inline), read, self.anchors.__getitem__)
        self.plain = list(self.anchors.values())

    def _entries(self, numbers: Any, count: int) -> list[str]:
        made = [edge(next(numbers)) for _ in range(count)]
        self.anchors |= {it.id.hex: it for it in made}
        return [entry_of(it, NODE) for it in made]

    def _read(self) -> dict[int, list[str]]:
        self.reads += 1
        return {page: list(entries) for page, entries in self.pages.items()}

    def after(self) -> list[str]:
        """Every entry as it will be stored, oldest first."""
        now = self.list.now(NODE)
        inline, changed = now if now is not None else (self.inline, {})
        pages = self.pages | changed
        return [*(entry for page in sorted(pages) for entry in pages[page]), *inline]


def test_entry_names_edge_direction_and_the_other_end() -> None:
    """Away, towards, either way, and to itself, which is either way too."""
    one, two = End(UUID(int=1)), End(UUID(int=2))
    out = Edge(UUID(int=9), one, two)
    assert f"{9:032x}>{2:032x}" == entry_of(out, one.id.hex)
    assert f"{9:032x}<{1:032x}" == entry_of(out, two.id.hex)
    either = Edge(UUID(int=9), one, two, is_undirected=True)
    assert f"{9:032x}-{1:032x}" == entry_of(either, two.id.hex)
    assert f"{9:032x}-{1:032x}" == entry_of(Edge(UUID(int=9), one, one), one.id.hex)
    assert "7.3" == page_id("7", 3)


def test_adding_reads_nothing() -> None:
    """However many there are: what is new stands behind what is stored."""
    stored = Stored(pages=3, size=4, inline=2)
    stored.list.append(edge(1))
    stored.list.extend([edge(2)])
    assert (stored.inline + [entry_of(edge(n), NODE) for n in (1, 2)], {}) == stored.list.now(NODE)
    assert (0, False) == (stored.reads, stored.list.looked)


def test_removing_one_of_the_newest_reads_nothing() -> None:
    """One that is not among them is looked for in the pages."""
    stored = Stored(pages=2, size=4, inline=2)
    stored.list.discard(stored.plain[-1])
    assert (stored.inline[:-1], {}) == stored.list.now(NODE)
    assert 0 == stored.reads
    stored.list.discard(stored.plain[0])
    assert (stored.inline[:-1], {1: stored.pages[1][1:]}) == stored.list.now(NODE)
    assert 1 == stored.reads


@pytest.mark.parametrize("place", [0, 1, 2])
def test_edge_to_itself_hides_no_edge_of_a_page(place: int) -> None:
    """It stands twice in the list, wherever the list was cut in two when it was stored."""
    loop = Edge(UUID(int=7), End(UUID(hex=NODE)), End(UUID(hex=NODE)))
    old = [entry_of(edge(n), NODE) for n in (100, 101)]
    stored = [old[0], *[entry_of(loop, NODE)] * 2, old[1]]
    page, inline = stored[: place + 1], stored[place + 1 :]
    for gone in ([loop, loop], [loop, loop, edge(100)]):
        edges = EdgeList(inline, lambda: {1: page}, lambda _: None)
        for one in gone:
            edges.discard(one)
        now = edges.now(NODE)
        assert now is not None
        assert old[len(gone) - 2 :] == now[1].get(1, page) + now[0]


def test_nothing_changed_is_nothing_to_store() -> None:
    """Neither when nobody looked nor when somebody did."""
    stored = Stored(pages=1, size=4, inline=2)
    assert None is stored.list.now(NODE)
    assert stored.plain == list(stored.list)
    assert None is stored.list.now(NODE)


@pytest.mark.parametrize(
    "look",
    [
        pytest.param(lambda it: [*it], id="unpack"),
        pytest.param(list, id="list"),
        pytest.param(lambda it: it[:], id="slice"),
        pytest.param(lambda it: [] + it, id="right-of-a-plus"),  # noqa: RUF005
        pytest.param(lambda it: it + [], id="left-of-a-plus"),  # noqa: RUF005
        pytest.param(lambda it: list(reversed(it))[::-1], id="reversed"),
        pytest.param(lambda it: [it[n] for n in range(len(it))], id="index"),
        pytest.param(lambda it: [e for e in it if e in it], id="contains"),
        pytest.param(lambda it: it.copy(), id="copy"),
        pytest.param(lambda it: [*tuple(it)], id="tuple"),
        pytest.param(lambda it: [*it] if it else [], id="truth"),
    ],
)
def test_every_way_to_look_shows_all_edges(look: Any) -> None:
    """What was stored, then what was added."""
    stored = Stored(pages=2, size=3, inline=2)
    new = edge(1)
    stored.list.append(new)
    stored.list.discard(stored.plain[1])
    expected = [*(it for it in stored.plain if it is not stored.plain[1]), new]
    assert expected == look(stored.list)


STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 50)),
    st.tuples(st.just("discard"), st.integers(0, 20)),
    st.tuples(st.just("pop"), st.integers(0, 20)),
    st.tuples(st.just("look"), st.just(0)),
)


@given(st.integers(0, 2), st.integers(0, 4), st.lists(STEPS, max_size=12))
def test_list_stores_what_a_plain_list_would_hold(
    pages: int, inline: int, steps: list[tuple[str, int]]
) -> None:
    """After any steps, whether or not something was read."""
    stored = Stored(pages=pages, size=3, inline=inline)
    plain = list(stored.plain)
    for number, (step, place) in enumerate(steps):
        if step == "append":
            new = edge(place + 1000 * (number + 1))
            stored.anchors[new.id.hex] = new
            stored.list.append(new)
            plain.append(new)
        elif step == "look":
            assert plain == list(stored.list)
        elif plain:
            gone = plain.pop(place % len(plain))
            if step == "pop":
                stored.list.pop(stored.list.index(gone))
            else:
                stored.list.discard(gone)
    # New edges stand inline, so a page keeps its order and the whole list does too.
    assert [entry_of(it, NODE) for it in plain] == stored.after()
