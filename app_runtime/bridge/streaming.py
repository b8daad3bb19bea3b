"""What a call gives piece by piece: its generator, driven in the context of the call.

The call itself is committed before its first item. What the generator changes is committed when it
has come to its end; if nobody waits for that, nothing of it is stored. It changes with what a
generator may do.
"""

import asyncio
import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager
from typing import Any

from jac_converge.app_runtime.bridge.wire import CannotSend, to_text, to_wire

__all__ = ["Stream", "generator_in"]

type Items = Generator[Any, None, Any] | AsyncGenerator[Any, None]


def generator_in(result: Any, reports: list[Any]) -> Items | None:
    """Return the generator that a call returned or reported; None if it gave none.

    Raises:
        CannotSend: there is more beside it, which no stream has a place for.
    """
    found = [item for item in (result, *reports) if _is_generator(item)]
    if not found:
        return None
    if len(found) > 1 or len(reports) > 1:
        raise CannotSend("a generator is sent alone: return it, or report it and nothing else")
    items: Items = found[0]
    return items


def _is_generator(value: Any) -> bool:
    return inspect.isgenerator(value) or inspect.isasyncgen(value)


class Stream:
    """The items of one call. One thread or task at a time asks for the next."""

    def __init__(
        self,
        items: Items,
        *,
        within: Callable[[], AbstractContextManager[Any]],
        end: Callable[[], None],
    ) -> None:
        """Describe it; nothing of the generator runs yet.

        Args:
            items: fresh.
            within: makes the call the one that Jac code belongs to.
            end: commits what the generator did.
        """
        self._items = items
        self._within = within
        self._end = end
        self._lock = threading.Lock()
        self._turn = asyncio.Lock()
        self._left = False
        self.give_up: Callable[[], object] = bool
        """Has the call end when it next touches its graph."""
        self.asynchronous = inspect.isasyncgen(items)
        """Whether it wants `anext`, on the loop of its walkers, and not `next`, in a thread."""

    def next(self) -> bytes | None:
        """Return the text of the next item; None after the last, when all is committed.

        Raises:
            CannotSend: the item has no form as JSON.
            StoreError: what the generator changed is not stored.
            TooLate: it was abandoned.
        """
        try:
            with self._lock, self._within():
                try:
                    item = next(self._items)  # type: ignore[arg-type] # not asynchronous
                except StopIteration:
                    self._end()
                    return None
                return to_text(to_wire(item))
        finally:
            if self._left:
                self._close()

    async def anext(self) -> bytes | None:
        """Do as `next` does."""
        async with self._turn:
            with self._within():
                try:
                    item = await anext(self._items)  # type: ignore[arg-type] # it is
                except StopAsyncIteration:
                    self._end()
                    return None
                return to_text(to_wire(item))

    def abandon(self) -> None:
        """End it for good; a generator that is at work ends when it next yields."""
        self._left = True
        self.give_up()
        self._close()

    async def aabandon(self) -> None:
        """Do as `abandon` does."""
        self.give_up()
        async with self._turn:
            with self._within():
                await self._items.aclose()  # type: ignore[union-attr] # it is asynchronous

    def _close(self) -> None:
        if self._lock.acquire(blocking=False):  # else whoever has it closes
            try:
                with self._within():
                    self._items.close()  # type: ignore[union-attr] # it is not asynchronous
            finally:
                self._lock.release()
