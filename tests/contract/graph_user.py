"""Somebody who calls walkers in this process, and a store that counts what it is asked."""

import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jac_converge.app_runtime.stores import Document, WriteBatch
from jac_converge.app_runtime.stores.shelf import Shelf

if TYPE_CHECKING:
    from jac_converge.app_runtime.bridge.program import Program

__all__ = ["Counting", "User", "loaded", "on_shelf"]


class Counting:
    """A shelf, and what it was asked since the last `begin`."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self.begin()

    def begin(self) -> None:
        """Forget what was counted."""
        self.trips, self.documents, self.written = 0, 0, 0

    def _count(self, found: Any) -> Any:
        self.trips += 1
        self.documents += len(found)
        return found

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Count and ask."""
        found: dict[str, Document] = self._count(self._shelf.get(ids))
        return found

    def find(self, kind: str) -> list[Document]:
        """Count and ask."""
        found: list[Document] = self._count(self._shelf.find(kind))
        return found

    def near(self, group: str, stamp: int, limit: int) -> list[Document]:
        """Count and ask."""
        found: list[Document] = self._count(self._shelf.near(group, stamp, limit))
        return found

    def commit(self, batch: WriteBatch) -> None:
        """Count and write."""
        self.written += len(batch.creates) + len(batch.updates) + len(batch.removals)
        self._shelf.commit(batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shelf, name)


class User:
    """Somebody with a root of their own."""

    def __init__(self, program: "Program", store: Any, root: uuid.UUID | None = None) -> None:
        from jac_converge.app_runtime.bridge.program import new_root  # noqa: PLC0415

        self._program, self.store, self.root = program, store, root or uuid.uuid4()
        self.warnings: list[dict[str, Any]] = []
        """Those of the last call."""
        if root is None:
            store.commit(WriteBatch(creates=(new_root(self.root),)))
        store.begin()

    def other(self) -> "User":
        """Give somebody else on the same store."""
        return User(self._program, self.store)

    def twin(self) -> "User":
        """Give another client of the same account."""
        return User(self._program, self.store, self.root)

    def call(self, walker: str, /, **fields: Any) -> list[Any]:
        """Run a walker at the root, and count what it costs."""
        return self.run(walker, fields)[0]

    def run(
        self,
        walker: str,
        fields: dict[str, Any],
        look: Callable[[Any], Any] | None = None,
        *,
        keep: bool = True,
    ) -> tuple[list[Any], Any]:
        """Do the same; `look` gets the root while the request runs, and may change what it likes.

        Without `keep` nothing is stored, and nothing reported.
        """
        from jac_converge.app_runtime.bridge.program import Call, Run  # noqa: PLC0415

        self.store.begin()
        spec = self._program.walkers[walker]
        call = Call(spec=spec, fields=fields, root=lambda _: self.root)
        run = Run(call, self.store, too_late=lambda: False)
        with run.active():
            result = run.begin()
            seen = look(run.user_root) if look else None
            if not keep:
                return [], seen
            outcome = run.finish(result)
        run.effects()
        self.warnings = outcome.warnings
        return outcome.reports, seen


def loaded(file: Path, source: str) -> "Program":
    """Write an app into a file, and load it into this process."""
    from jac_converge.app_runtime.bridge.program import Program  # noqa: PLC0415 - takes a second

    file.write_text(source)
    return Program(file)


@contextmanager
def on_shelf(program: "Program", folder: Path) -> Iterator[User]:
    """Give somebody with an empty graph on a shelf in a folder."""
    shelf = Shelf(folder / "shelf.db")
    yield User(program, Counting(shelf))
    shelf.close()
