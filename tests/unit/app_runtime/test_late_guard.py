"""What a tiered store says when the commit has happened, and the guard after it fails."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from jac_converge.app_runtime.stores import Document, Unavailable, UnknownOutcome, WriteBatch
from jac_converge.app_runtime.stores.cache import Settlement
from jac_converge.app_runtime.stores.epochs import TIMELY
from jac_converge.app_runtime.stores.shelf import Shelf
from jac_converge.app_runtime.stores.tiered import TieredStore
from tests.unit.app_runtime.memory_cache import MemoryCache


class Nothing:
    """A background in which nothing happens."""

    def settle(self, settlement: Settlement) -> None:
        """Forget it."""

    def soon(self, task: Callable[[], None]) -> None:
        """Forget it."""

    def close(self) -> None:
        """Have nothing to end."""


class SlowShelf:
    """A shelf whose commit takes long, and which is mute afterwards."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.now = 0.0
        self.mute = False

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Read, unless it is mute."""
        if self.mute:
            raise Unavailable("mute")
        return self.shelf.get(ids)

    def commit(self, batch: WriteBatch) -> None:
        """Write, and let time pass."""
        self.shelf.commit(batch)
        self.now += TIMELY + 1
        self.mute = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.shelf, name)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[SlowShelf]:
    """Give one, empty."""
    shelf = Shelf(tmp_path / "shelf.db")
    yield SlowShelf(shelf)
    shelf.close()


def test_commit_that_cannot_be_guarded_again_is_not_told_as_refused(slow: SlowShelf) -> None:
    """It is stored, and others may still read what was there before."""

    def clock() -> float:
        return slow.now

    tiers = TieredStore(MemoryCache(clock), slow, background=Nothing(), clock=clock)
    created = Document(id="a", kind="note", body={})
    with pytest.raises(UnknownOutcome):
        tiers.commit(WriteBatch(creates=(created,)))
    assert {"a": created._replace(version=1)} == slow.shelf.get(["a"])
