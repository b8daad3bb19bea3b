"""Calls that commit a part of what they do, and then cannot go on.

The store is a real shelf; what stands in front of it fails at one commit, as a server may.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jac_converge.app_runtime.stores import Conflict, Unavailable, UnknownOutcome, WriteBatch
from jac_converge.app_runtime.stores.shelf import Shelf

if TYPE_CHECKING:
    from jac_converge.app_runtime.bridge.program import Program

APP = """
node Item { has n: int = 0; }

walker add { can go with Root entry { here ++> Item(); } }
walker read { can go with Root entry { report [-->][?:Item][0].n; } }
walker in_two_parts { can go with Root entry {
    one = [-->][?:Item][0];
    one.n += 1;
    commit();
    one.n += 10;
} }
walker swallows { can go with Root entry {
    one = [-->][?:Item][0];
    one.n += 1;
    try { commit(); } except Exception { }
} }
"""


class FailingAt:
    """A store whose commits are counted from `arm`, and of which one fails."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._number, self._at = 0, 0
        self._fail: Callable[[WriteBatch], None] = lambda _: None

    def arm(self, at: int, fail: Callable[[WriteBatch], None]) -> None:
        """Let a commit fail; the first is 1."""
        self._number, self._at, self._fail = 0, at, fail

    def commit(self, batch: WriteBatch) -> None:
        """Write, or fail."""
        self._number += 1
        if self._number == self._at:
            self._fail(batch)
        else:
            self._shelf.commit(batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shelf, name)


class Caller:
    """Somebody who calls walkers as the server runs them, replays included."""

    def __init__(self, program: "Program", store: FailingAt) -> None:
        from jac_converge.app_runtime.bridge.program import new_root  # noqa: PLC0415
        from jac_converge.app_runtime.calls import Calls  # noqa: PLC0415

        self._program, self.store, self._root = program, store, uuid.uuid4()
        self._calls = Calls(store, max_attempts=5, timeout=20)
        store.commit(WriteBatch(creates=(new_root(self._root),)))

    def call(self, walker: str) -> list[Any]:
        """Run a walker; returns its reports."""
        from jac_converge.app_runtime.calls import Order  # noqa: PLC0415

        spec = self._program.walkers[walker]
        order = Order(spec=spec, fields=dict, root=lambda _: self._root)
        return asyncio.run(self._calls.execute(order)).reports


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> "Program":
    """Load the app into this process."""
    from jac_converge.app_runtime.bridge.program import Program  # noqa: PLC0415 - takes a second

    file = tmp_path_factory.mktemp("partial") / "partial.jac"
    file.write_text(APP)
    return Program(file)


@pytest.fixture
def caller(program: "Program", tmp_path: Path) -> Iterator[Caller]:
    """Give somebody who has an item."""
    shelf = Shelf(tmp_path / "shelf.db")
    somebody = Caller(program, FailingAt(shelf))
    somebody.call("add")
    yield somebody
    shelf.close()


def lose(batch: WriteBatch) -> None:
    """Somebody was faster."""
    raise Conflict([document.id for document in batch.updates])


def be_down(_: WriteBatch) -> None:
    """Nobody answers."""
    raise Unavailable("down")


@pytest.mark.parametrize("fail", [lose, be_down])
def test_second_part_that_fails_does_not_deny_the_first(
    caller: Caller, fail: Callable[[WriteBatch], None]
) -> None:
    """The part that was committed is stored, so nobody may be told to try again."""
    caller.store.arm(2, fail)
    with pytest.raises(UnknownOutcome, match="a part was committed"):
        caller.call("in_two_parts")
    assert [1] == caller.call("read")


def test_first_part_that_fails_is_no_part(caller: Caller) -> None:
    """A lost race runs again; a store that is down is told as that."""
    caller.store.arm(1, lose)
    caller.call("in_two_parts")
    assert [11] == caller.call("read")
    caller.store.arm(1, be_down)
    with pytest.raises(Unavailable, match="down") as caught:
        caller.call("in_two_parts")
    assert not isinstance(caught.value, UnknownOutcome)
    assert [11] == caller.call("read")


def test_call_counts_once_whose_commit_was_stored_without_an_answer(caller: Caller) -> None:
    """Though the walker does not care, the call does not run again."""

    def store_mutely(batch: WriteBatch) -> None:
        caller.store._shelf.commit(batch)
        raise UnknownOutcome("no answer")

    caller.store.arm(1, store_mutely)
    with pytest.raises(UnknownOutcome):
        caller.call("swallows")
    assert [1] == caller.call("read")
