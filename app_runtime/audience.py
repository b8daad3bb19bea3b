"""Who listens to the websockets of this process, and how all others hear what is said here.

What is said goes to the listeners of this process at once, and over a bus to those of others. It
is a broadcast: who is not there does not hear it later. It changes with who hears what.
"""

import asyncio
import contextlib
import logging
import secrets
from collections import defaultdict
from typing import Protocol

from jac_converge.app_runtime.stores.bus import Bus, BusDown

__all__ = ["Audience", "Listener"]

logger = logging.getLogger(__name__)

LOOKS = 20  # at whether the bus is there
FEW = 4  # one place in so many is for those of whom nobody knows who they are
PATIENCE = 1.0  # s that a connection waits for the bus, and then does without


class Listener(Protocol):
    """A connection, as the audience sees it."""

    def hear(self, text: str) -> None:
        """Take what somebody else said; never waits."""
        ...

    def leave(self) -> None:
        """End when what is at work is done."""
        ...


class Audience:
    """The websockets of this process. All but `_hear_others` is for its event loop."""

    def __init__(self, bus: Bus | None, *, most: int) -> None:
        """Begin without anybody.

        Args:
            bus: to other processes, opened when the first one listens; None: there is none.
            most: connections at most.
        """
        self._bus = bus
        self._most = most
        self._origin = secrets.token_hex(8)
        self._topics: defaultdict[str, set[Listener]] = defaultdict(set)
        self._present: set[Listener] = set()
        self._strangers: set[Listener] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def full(self) -> bool:
        """Whether there is no place for one more."""
        return len(self._present) >= self._most

    @property
    def crowded(self) -> bool:
        """Whether there is no place for one more of whom nobody knows who it is."""
        return len(self._strangers) >= max(1, self._most // FEW)

    def enter(self, listener: Listener, *, stranger: bool) -> None:
        """Take a place.

        Args:
            listener: who comes.
            stranger: who will say only later who that is (see `know`).
        """
        self._present.add(listener)
        if stranger:
            self._strangers.add(listener)
        self._empty.clear()

    def know(self, listener: Listener) -> None:
        """Note that a stranger has said who it is."""
        self._strangers.discard(listener)

    async def join(self, listener: Listener, topic: str) -> None:
        """Hear what is said on a topic from now on."""
        self._topics[topic].add(listener)
        if self._bus is None:
            return
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._bus.listen(self._hear_others)
        # Without a thread: with Redis away, those who join would hold all of them.
        for _ in range(LOOKS):
            if self._bus.wait(0):
                break
            await asyncio.sleep(PATIENCE / LOOKS)

    def exit(self, listener: Listener, topic: str) -> None:
        """Hear nothing any more, and give the place back."""
        self._present.discard(listener)
        self._strangers.discard(listener)
        if not self._present:
            self._empty.set()
        others = self._topics[topic]
        others.discard(listener)
        if not others:
            del self._topics[topic]

    async def tell(self, topic: str, text: str, *, but: Listener) -> None:
        """Tell everybody but one on a topic, here and in other processes."""
        self._tell_here(topic, text, but=but)
        if self._bus is None:
            return
        try:
            # Topics hold no blanks: they are made of the parts of a path.
            await self._bus.publish(f"{self._origin} {topic} {text}".encode())
        except BusDown as error:
            logger.warning("a broadcast reached only the connections of this process: %s", error)

    async def finish(self, within: float) -> None:
        """Have everybody leave, and wait for that.

        Args:
            within: s at most.
        """
        for listener in list(self._present):
            listener.leave()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._empty.wait()

    def hang_up(self) -> None:
        """Close the bus."""
        if self._bus is not None:
            self._bus.close()

    def _tell_here(self, topic: str, text: str, *, but: Listener | None = None) -> None:
        for listener in list(self._topics.get(topic, ())):
            if listener is not but:
                listener.hear(text)

    def _hear_others(self, message: bytes) -> None:
        """Pass on what comes over the bus, from its thread."""
        origin, _, rest = message.decode(errors="replace").partition(" ")
        topic, _, text = rest.partition(" ")
        loop = self._loop
        if origin == self._origin or loop is None or loop.is_closed():
            return
        loop.call_soon_threadsafe(self._tell_here, topic, text)
