"""What jaclang asks of a memory, in terms of what a unit of work of ours does.

jaclang's interface has several names for most things, and some of them have no meaning here. It
changes with that interface.

Source: jaclang 0.16, runtimelib/memory.jac.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any
from uuid import UUID

from jaclang.jac0core.archetype import Anchor

__all__ = ["MemoryInterface"]


class MemoryInterface(ABC):
    """The names that follow from a few."""

    l2 = None
    l3 = None

    @abstractmethod
    def get(self, id_: UUID) -> Anchor | None:
        """Return an anchor; None if there is none."""

    @abstractmethod
    def batch_get(self, ids: Collection[UUID]) -> dict[UUID, Anchor]:
        """Return those anchors that there are."""

    @abstractmethod
    def put(self, anchor: Anchor) -> None:
        """Take an anchor in."""

    @abstractmethod
    def delete(self, id_: UUID) -> None:
        """Remove an anchor."""

    @abstractmethod
    def commit(self, *anchor: Anchor | None) -> None:
        """Commit, when asked from outside the kernel."""

    @abstractmethod
    def get_mem(self) -> dict[UUID, Anchor]:
        """Return what is in memory."""

    @abstractmethod
    def close(self) -> None:
        """Forget everything, written or not."""

    def has(self, id_: UUID) -> bool:
        """Say whether an anchor exists."""
        return self.get(id_) is not None

    def find(
        self,
        ids: UUID | Iterable[UUID],
        filter: Callable[[Anchor], bool] | None = None,  # noqa: A002
    ) -> Iterator[Anchor]:
        """Yield the anchors that exist and pass the filter."""
        found = self.batch_get([ids] if isinstance(ids, UUID) else list(ids))
        return (anchor for anchor in found.values() if filter is None or filter(anchor))

    def find_one(
        self,
        ids: UUID | Iterable[UUID],
        filter: Callable[[Anchor], bool] | None = None,  # noqa: A002
    ) -> Anchor | None:
        """Return the first that `find` yields."""
        return next(self.find(ids, filter), None)

    def query(self, filter: Callable[[Anchor], bool] | None = None) -> Iterator[Anchor]:  # noqa: A002
        """Yield what this request has in memory."""
        anchors = list(self.get_mem().values())
        return (anchor for anchor in anchors if filter is None or filter(anchor))

    def is_available(self) -> bool:
        """Say yes: a store that does not answer raises instead."""
        return True

    def is_recoverable_quarantine(self, id_: UUID) -> bool:  # noqa: ARG002
        """Say yes, so that jaclang skips what it cannot load instead of deleting its edges."""
        return True

    def quarantine_ref(self, referrer: Anchor | None, stub: Anchor) -> None:  # noqa: B027
        """Leave a dangling reference alone: reading does not write."""

    def capabilities(self) -> set[str]:
        """Offer no query pushdown."""
        return set()

    def execute_plan(self, plan: Any) -> Iterator[Anchor]:  # noqa: ARG002
        """Yield nothing: no plan is ever pushed down to us."""
        return iter(())

    def abort(self) -> None:
        """Forget what was changed."""
        self.close()

    async def aget(self, id_: UUID) -> Anchor | None:
        """Return an anchor."""
        return self.get(id_)

    async def aput(self, anchor: Anchor) -> None:
        """Take an anchor into the unit of work."""
        self.put(anchor)

    async def adelete(self, id_: UUID) -> None:
        """Forget an anchor and remove its document at the commit."""
        self.delete(id_)

    async def ahas(self, id_: UUID) -> bool:
        """Say whether an anchor exists."""
        return self.has(id_)

    async def acommit(self, *anchor: Anchor | None) -> None:
        """Commit, when asked."""
        self.commit(*anchor)
