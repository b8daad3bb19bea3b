"""One kind, one thread: list, stream, feed the mirror, poke the trigger.

All decisions are in `position.py`; here is the I/O, and the one place that sleeps between tries.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from random import Random
from threading import Condition, Event, Lock, Thread
from typing import Final, Protocol, assert_never

from jac_converge.reconciler.cluster import Cluster, WatchStream
from jac_converge.reconciler.errors import ClusterError, Unreachable, Unserved
from jac_converge.reconciler.mirror import Noticed
from jac_converge.reconciler.objects import Kind, Object
from jac_converge.reconciler.position import (
    BLOCKED_RETRY,
    SHORTEST_STREAM,
    Blocked,
    Drop,
    Effect,
    Ended,
    Failed,
    Listing,
    Position,
    Put,
    Replace,
    Saw,
    Slept,
    Stop,
    Stopped,
    Streaming,
    Waiting,
    Woke,
    step,
)
from jac_converge.reconciler.retry import Backoff

__all__ = ["Bell", "Feed", "KindWatch", "Recovery"]

logger = logging.getLogger(__name__)

STREAM_SECONDS: Final = (240, 330)
"""A stream's length, chosen anew each time so that clients do not reconnect together."""


class Recovery:
    """Tells all who wait out an outage when the server has answered one of them.

    So backoffs can grow long, and all go on at once when it is over.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._times = 0

    def announce(self) -> None:
        """The server answers again."""
        with self._changed:
            self._times += 1
            self._changed.notify_all()

    def wait(self, seconds: float, stop: Event) -> None:
        """Wait until then, or until it answers, or until stopped and `announce`d."""
        with self._changed:
            before = self._times
            self._changed.wait_for(lambda: self._times != before or stop.is_set(), seconds)


class Feed(Protocol):
    """Where what a watch sees goes to: one app's `Mirror`, or those of many."""

    def replace(self, kind: str, items: Iterable[Object]) -> Noticed:
        """Take a complete list of a kind."""
        ...

    def put(self, obj: Object) -> Noticed:
        """Take an object that was added or changed."""
        ...

    def drop(self, obj: Object) -> Noticed:
        """Take a deletion."""
        ...

    def block(self, kind: str, error: ClusterError) -> None:
        """Note that a kind cannot be read."""
        ...


class Bell(Protocol):
    """Whom to tell: one app's `Trigger`, or those of many."""

    def poke(self, cause: str) -> None:
        """Ask for a pass now."""
        ...


class KindWatch:
    """Keeps the mirror's part of one kind up to date until stopped."""

    def __init__(
        self,
        *,
        kind: Kind,
        cluster: Cluster,
        mirror: Feed,
        trigger: Bell,
        recovery: Recovery,
        clock: Callable[[], float],
        rng: Random,
    ) -> None:
        self._kind = kind
        self._cluster = cluster
        self._mirror = mirror
        self._trigger = trigger
        self._recovery = recovery
        self._clock = clock
        self._rng = rng
        self._backoff = Backoff()
        self._unanswered = False
        self._stop = Event()
        self._woke = Event()
        self._needed = Event()
        self._stream: WatchStream | None = None
        self._lock = Lock()
        self._thread = Thread(target=self._run, name=f"watch-{kind.plural}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def kind(self) -> Kind:
        """What is watched."""
        return self._kind

    def need(self) -> None:
        """The app has an object of this kind: a server that does not know it is asked again."""
        self._needed.set()

    def wake(self) -> None:
        """The machine was asleep: every connection is suspect."""
        self._woke.set()
        self._close()

    def stop(self) -> None:
        """Begin to end; `join` waits for it."""
        self._stop.set()
        self._needed.set()
        self._recovery.announce()
        self._close()

    def join(self, seconds: float) -> None:
        """Wait for the end; the thread is a daemon."""
        self._thread.join(seconds)

    def _close(self) -> None:
        with self._lock:
            stream = self._stream
        if stream is not None:
            stream.close()

    def _run(self) -> None:
        position: Position = Listing()
        while not isinstance(position, Stopped):
            try:
                position = self._advance(position)
            except Exception:
                # A mistake of ours must not blind the loop: begin again from a full list.
                logger.exception("watch restarted", extra={"subject": self._kind.plural})
                self._stop.wait(self._backoff.fail())
                position = Listing()

    def _advance(self, position: Position) -> Position:
        """Look from one position until it leads to another kind of position."""
        for saw in self._look(position):
            noticed = self._interruption() or saw
            position, effect = step(position, noticed)
            self._do(effect)
            if noticed is not saw or not isinstance(position, Streaming):
                break
        if isinstance(position, Blocked):
            self._mirror.block(self._kind.name, position.error)
            self._trigger.poke("blocked")
        return position

    def _interruption(self) -> Stop | Woke | None:
        if self._stop.is_set():
            return Stop()
        if self._woke.is_set():
            self._woke.clear()
            return Woke()
        return None

    def _look(self, position: Position) -> Iterator[Saw]:
        match position:
            case Listing(version):
                yield self._list(version)
            case Streaming(version):
                yield from self._receive(version)
            case Waiting(_, None):
                self._recovery.wait(self._backoff.fail(), self._stop)
                yield Slept()
            case Waiting(_, seconds):
                self._stop.wait(self._backoff.fail(seconds))
                yield Slept()
            case Blocked(Unserved()) if not self._needed.is_set():
                # Nobody installs an API for an app that has no use for it.
                self._needed.wait()
                yield Slept()
            case Blocked():
                self._stop.wait(BLOCKED_RETRY)
                yield Slept()
            case Stopped():
                return
            case _:
                assert_never(position)

    def _list(self, version: str) -> Saw:
        try:
            listed = self._cluster.list_kind(self._kind, version)
        except ClusterError as error:
            self._note(error)
            self._unanswered = isinstance(error, Unreachable)
            return Failed(error)
        self._note_answer()
        return listed

    def _receive(self, version: str) -> Iterator[Saw]:
        started, events = self._clock(), 0
        try:
            stream = self._open(version)
            with self._lock:
                self._stream = stream
            if self._stop.is_set() or self._woke.is_set():
                stream.close()
            for saw in stream:
                events += 1
                self._backoff.succeed()
                yield saw
            seconds = self._clock() - started
            if seconds >= SHORTEST_STREAM:
                self._backoff.succeed()
            yield Ended(seconds, events)
        except ClusterError as error:
            self._note(error)
            yield Failed(error)
        finally:
            with self._lock:
                self._stream = None

    def _open(self, version: str) -> WatchStream:
        seconds = self._rng.randint(*STREAM_SECONDS)
        try:
            stream = self._cluster.watch(self._kind, version, seconds)
        except Unreachable:
            self._unanswered = True
            raise
        self._note_answer()
        return stream

    def _note_answer(self) -> None:
        # Only after a request that got no answer at all. A server that answers, and then breaks
        # each stream, would else make the watches wake one another without end.
        if self._unanswered:
            self._unanswered = False
            self._recovery.announce()
            self._trigger.poke("reachable")

    def _note(self, error: ClusterError) -> None:
        if not self._stop.is_set():
            logger.debug("watch interrupted", extra={"subject": self._kind.plural, "cause": error})

    def _do(self, effect: Effect) -> None:
        match effect:
            case Replace(items):
                self._poke(self._mirror.replace(self._kind.name, items))
            case Put(obj):
                self._poke(self._mirror.put(obj))
            case Drop(obj):
                self._poke(self._mirror.drop(obj))
            case None:
                pass
            case _:
                assert_never(effect)

    def _poke(self, noticed: Noticed) -> None:
        if noticed != "nothing":
            self._trigger.poke(noticed)
