"""A call that runs again in a turn of its own, and loses the cache before it commits."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from jac_converge.app_runtime.stores import Document, WriteBatch
from jac_converge.app_runtime.stores.cache import CacheDown, Epoch, Head, Settlement
from jac_converge.app_runtime.stores.shelf import Shelf
from jac_converge.app_runtime.stores.tiered import TieredStore
from tests.unit.app_runtime.memory_cache import MemoryCache


class AtOnce:
    """A background that nobody has to wait for."""

    def settle(self, settlement: Settlement) -> None:
        """Forget it."""

    def soon(self, task: Callable[[], None]) -> None:
        """Run it."""
        task()

    def close(self) -> None:
        """Have nothing to end."""


class LostCache(MemoryCache):
    """A cache that can be out of reach."""

    lost = False

    def server(self, name: str) -> str:
        """Answer, unless it is lost."""
        if self.lost:
            raise CacheDown("lost")
        return super().server(name)

    def hold(self, epoch: Epoch, ids: Collection[str], token: str) -> dict[str, Head]:
        """Hold, unless it is lost."""
        self.server(epoch.name)
        return super().hold(epoch, ids, token)


class Clock:
    """A clock that goes on when somebody sleeps."""

    now = 0.0

    def __call__(self) -> float:
        """Return s."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """Give one, empty."""
    shelf = Shelf(tmp_path / "shelf.db")
    yield shelf
    shelf.close()


def test_a_cache_that_is_lost_within_a_turn_costs_no_run(shelf: Shelf) -> None:
    """The commit closes the epoch and goes on without a cache, as any other does."""
    clock = Clock()
    cache = LostCache(clock)
    tiers = TieredStore(cache, shelf, background=AtOnce(), clock=clock, sleep=clock.sleep)
    note = Document(id="a", kind="note", body={})
    tiers.commit(WriteBatch(creates=(note,)))
    with tiers.exclusive() as view:
        (read,) = view.get(["a"]).values()
        cache.lost = True
        view.commit(WriteBatch(updates=(read,)))
    assert {"a": note._replace(version=2)} == shelf.get(["a"])
