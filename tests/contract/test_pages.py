"""`page(...)`: the nodes behind a node, some at a time, and what that costs."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.graph_user import User, loaded, on_shelf

if TYPE_CHECKING:
    from jac_converge.app_runtime.bridge.program import Program

APP = """
import from jac_converge.pages { page }

node Item { has n: int = 0; }
node Other { has n: int = 0; }
edge Link { has w: int = 0; }

walker seed { has count: int, odd: bool = False; can go with Root entry {
    for i in range(self.count) {
        here ++> (Other(n=i) if self.odd and i % 2 else Item(n=i));
    }
} }
walker add { has n: int; can go with Root entry { here ++> Item(n=self.n); } }
walker link { has n: int; can go with Root entry { here +>: Link() :+> Item(n=self.n); } }
walker drop { has n: int; can go with Root entry {
    for item in [-->][?:Item] { if item.n == self.n { del item; } }
} }
walker look {
    has limit: int = 50, cursor: str = "", newest: bool = False, kind: str = "", above: int = -1;
    can go with Root entry {
        found = page(
            here,
            *([Item] if self.kind == "items" else []),
            limit=self.limit,
            cursor=self.cursor,
            edge=(Link if self.kind == "links" else None),
            where=(lambda one: any : one.n > self.above) if self.above >= 0 else None,
            newest_first=self.newest
        );
        report [[item.n for item in found["items"]], found["next"]];
    }
}
walker add_and_look { can go with Root entry {
    here ++> Item(n=7);
    Item(n=8) ++> here;
    report [item.n for item in page(here)["items"]];
} }
walker make_foreign { can go with Root entry { report jid((here ++> Item(n=3))[0]); } }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> "Program":
    """Give the app."""
    return loaded(tmp_path_factory.mktemp("pages") / "pages_of_a_test.jac", APP)


@pytest.fixture
def user(program: "Program", tmp_path: Path) -> Iterator[User]:
    """Give a user with an empty root."""
    with on_shelf(program, tmp_path) as somebody:
        yield somebody


def look(user: User, cursor: str | None = "", **fields: Any) -> tuple[list[int], str | None]:
    """Ask for a page."""
    given_: dict[str, Any] = {
        "limit": 50, "newest": False, "kind": "", "above": -1, "cursor": cursor, **fields
    }  # fmt: skip
    ((items, following),) = user.call("look", **given_)
    return items, following


def all_of(user: User, **fields: Any) -> list[int]:
    """Ask for page after page."""
    found, cursor = look(user, **fields)
    while cursor is not None:
        items, cursor = look(user, cursor, **fields)
        found += items
    return found


def test_page_reads_its_nodes_and_no_others(user: User) -> None:
    """Whatever number there is: no page costs what all of them would."""
    user.call("seed", count=1000, odd=False)
    items, cursor = look(user, limit=10)
    assert list(range(10)) == items
    # The root, its list of edges in pages of 128, and ten nodes.
    assert user.store.documents <= 1 + 8 + 10
    assert user.store.trips <= 3
    items, cursor = look(user, cursor, limit=10)
    assert list(range(10, 20)) == items
    assert user.store.documents <= 1 + 8 + 10
    assert cursor is not None
    assert 0 == user.store.written


@pytest.mark.parametrize("limit", [1, 7, 10, 20, 21, 1000])
def test_pages_are_the_list(user: User, limit: int) -> None:
    """In its order, or the other way round; the last one says that it is the last."""
    user.call("seed", count=20, odd=False)
    assert list(range(20)) == all_of(user, limit=limit)
    assert list(reversed(range(20))) == all_of(user, limit=limit, newest=True)


def test_page_of_nothing_is_the_last(user: User) -> None:
    """And no error."""
    assert ([], None) == look(user)


def test_pages_of_one_class(user: User) -> None:
    """Others are read over, and cost no page of their own."""
    user.call("seed", count=40, odd=True)
    items, cursor = look(user, limit=10, kind="items")
    assert list(range(0, 20, 2)) == items
    assert cursor is not None
    assert list(range(0, 40, 2)) == all_of(user, limit=10, kind="items")


def test_pages_of_one_class_of_edges(user: User) -> None:
    """As `[->:Link:->]`."""
    user.call("seed", count=5, odd=False)
    user.call("link", n=100)
    user.call("add", n=6)
    user.call("link", n=101)
    assert [100, 101] == all_of(user, limit=1, kind="links")


def test_filter_that_keeps_little_reads_no_more_than_ten_pages(user: User) -> None:
    """The page is short then, and says where to go on."""
    user.call("seed", count=500, odd=False)
    items, cursor = look(user, limit=10, above=450)
    assert [] == items
    assert cursor is not None
    assert user.store.documents <= 1 + 4 + 100
    assert list(range(451, 500)) == all_of(user, limit=10, above=450)


def test_what_is_added_moves_nothing(user: User) -> None:
    """What comes at the end is seen at the end, or not at all where one looks from there."""
    user.call("seed", count=10, odd=False)
    items, cursor = look(user, limit=5)
    newest, from_end = look(user, limit=5, newest=True)
    user.call("add", n=10)
    assert (list(range(5)), [9, 8, 7, 6, 5]) == (items, newest)
    assert ([5, 6, 7, 8, 9, 10], None) == look(user, cursor)
    assert ([4, 3, 2, 1, 0], None) == look(user, from_end, newest=True)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(gone=st.sets(st.integers(0, 9), max_size=4))
def test_what_is_removed_moves_nothing(program: "Program", gone: set[int], tmp_path: Path) -> None:
    """Nothing that stays is told twice, or not at all."""
    folder = tmp_path / uuid.uuid4().hex
    folder.mkdir()
    with on_shelf(program, folder) as user:
        user.call("seed", count=10, odd=False)
        items, cursor = look(user, limit=5)
        if gone >= {1, 2, 3, 4}:
            return  # all that the cursor knows: then it is about there
        for n in gone:
            user.call("drop", n=n)
        items, _ = look(user, cursor)
        assert [n for n in range(5, 10) if n not in gone] == items


def test_cursor_whose_nodes_are_all_gone_goes_on_about_there(user: User) -> None:
    """Without an error."""
    user.call("seed", count=10, odd=False)
    _, cursor = look(user, limit=4)
    for n in range(4):
        user.call("drop", n=n)
    items, following = look(user, cursor)
    assert ([8, 9], None) == (items, following)


def test_page_has_what_the_call_itself_made(user: User) -> None:
    """And what leads here is not behind it."""
    user.call("seed", count=2, odd=False)
    assert [[0, 1, 7]] == user.call("add_and_look")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"limit": 0}, "limit is from 1 to 1000"),
        ({"limit": 1001}, "limit is from 1 to 1000"),
        ({"cursor": "x"}, "the cursor is none"),
        ({"cursor": "1"}, "the cursor is none"),
        ({"cursor": "99999999999" + "a" * 16}, "the cursor is none"),
        ({"cursor": "\u0661" + "a" * 16}, "the cursor is none"),
    ],
)
def test_page_that_there_is_not_is_refused(user: User, fields: Any, told: str) -> None:
    """With what is wrong."""
    with pytest.raises(ValueError, match=told):
        look(user, **fields)
