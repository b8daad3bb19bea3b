"""Calls that lost a race run again in turns: for one document, and no longer than fair."""

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jac_converge.app_runtime.stores import Conflict, WriteBatch
from jac_converge.app_runtime.stores.shelf import Shelf
from tests.contract.graph_user import loaded

if TYPE_CHECKING:
    from jac_converge.app_runtime.bridge.program import Program

APP = """
import asyncio;

node Sum { has n: int = 0; }
glob runs: dict = {}, met: list = [];

def begin() -> None { runs.clear(); met.clear(); }
def again(name: str) -> bool {
    runs[name] = runs.get(name, 0) + 1;
    if runs[name] == 2 { met.append(name); }
    return runs[name] == 2;
}
async walker meet_async { has name: str; async can go with Root entry {
    here ++> Sum();
    if again(self.name) {
        for _ in range(500) { if len(met) == 2 { break; } await asyncio.sleep(0.01); }
    }
    report len(met);
} }
"""


class Contested:
    """A shelf on which the first commits lose races for documents."""

    def __init__(self, shelf: Shelf, *lost: str) -> None:
        self._shelf = shelf
        self.lost = list(lost)

    def commit(self, batch: WriteBatch) -> None:
        """Lose, or write."""
        if self.lost:
            raise Conflict([self.lost.pop()])
        self._shelf.commit(batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shelf, name)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> "Program":
    """Load the app into this process."""
    return loaded(tmp_path_factory.mktemp("turns") / "turns.jac", APP)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """Give an empty store."""
    made = Shelf(tmp_path / "shelf.db")
    yield made
    made.close()


@pytest.mark.parametrize("lost", [("a", "b"), ("a", "a")], ids=["two-documents", "one-document"])
def test_asynchronous_walkers_that_run_again_meet(
    program: "Program", shelf: Shelf, lost: tuple[str, str]
) -> None:
    """At once where they lost different races; after a while where they lost the same one."""
    from jac_converge.app_runtime.bridge.program import new_root  # noqa: PLC0415
    from jac_converge.app_runtime.calls import Calls, Order  # noqa: PLC0415

    program.functions["begin"].function()
    calls = Calls(Contested(shelf, *lost), max_attempts=3, timeout=20)

    async def call(name: str) -> list[Any]:
        root = uuid.uuid4()
        shelf.commit(WriteBatch(creates=(new_root(root),)))
        spec = program.walkers["meet_async"]
        order = Order(spec=spec, fields=lambda: {"name": name}, root=lambda _: root)
        return (await calls.execute(order)).reports

    async def both() -> list[list[Any]]:
        return list(await asyncio.gather(call("one"), call("two")))

    assert [[2], [2]] == asyncio.run(both())
    assert 2 == calls.replays
    calls.close()
