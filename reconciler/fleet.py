"""Many apps in one process: which of them run, and what they share.

Each app has a loop, a lease and a mirror of its own, so that what befalls one is no matter of the
others. Shared are the watches, the thread that looks at files, and the one that renews leases. It
changes when apps come to share something else.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import batched
from pathlib import Path
from threading import Event, Lock, Thread
from time import thread_time
from typing import Final

from jac_converge.config.problems import ConfigError, Problem
from jac_converge.reconciler.errors import ClusterError
from jac_converge.reconciler.loop import Loop
from jac_converge.reconciler.naps import Naps
from jac_converge.reconciler.shared_watches import SharedWatches
from jac_converge.reconciler.solo import LAST_SECONDS, POLL

__all__ = ["Fleet", "Member"]

logger = logging.getLogger(__name__)

RESCAN: Final = 2.0
"""Least seconds between two looks for folders that came or went."""

RESTS: Final = 500
"""How many times as long as such a look works the next one waits: many folders are much work."""

GIVERS: Final = 8
"""Threads that give leases back in the end, when nobody waits for long."""

LOOK: Final = 0.004
"""Seconds of waiting per app: N apps are looked at every N x LOOK seconds, or every `POLL` where
that is longer. In one go, because most of what a look costs is to wake up for it."""

TOGETHER: Final = 10
"""Leases that are renewed one after the other, before a wait: for the same reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One app that runs."""

    place: str
    """Context, namespace and name: no two members have the same."""
    loop: Loop
    join: Callable[[], None]
    """Begin to be fed by the watches."""
    leave: Callable[[], None]
    """The end of that."""
    thread: Thread = field(init=False)

    def start(self) -> None:
        """Join the watches, and make passes in a thread of its own until stopped."""
        thread = Thread(target=self.loop.run_passes, name=f"passes-{self.place}", daemon=True)
        object.__setattr__(self, "thread", thread)
        self.join()
        self.loop.begin()
        thread.start()


class Fleet:
    """Runs every app of a workspace until stopped.

    Args:
        scan: the folders of all apps, as of now.
        enlist: makes a member of a folder; None: it has no settings for us; raises ConfigError.
        watches: every set of watches that is open, as of now.
        say: tells a person what concerns no app that runs.
        tick: called after each look at the files.
        renewal: seconds in which each lease is renewed once.
        clock: monotonic seconds.
        wall: seconds since the epoch.
    """

    def __init__(
        self,
        *,
        scan: Callable[[], Iterable[Path]],
        enlist: Callable[[Path], Member | None],
        watches: Callable[[], Iterable[SharedWatches]],
        say: Callable[[str], None],
        tick: Callable[[], None],
        renewal: float,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._scan = scan
        self._enlist = enlist
        self._watches = watches
        self._say = say
        self._tick = tick
        self._renewal = renewal
        self._clock = clock
        self._naps = Naps(clock=clock, wall=wall)
        self._stop = Event()
        self._lock = Lock()
        self._members: dict[Path, Member] = {}
        self._told: dict[Path, str] = {}
        self._missing: set[Path] = set()

    @property
    def members(self) -> tuple[Member, ...]:
        """Who runs now."""
        with self._lock:
            return tuple(self._members.values())

    def run(self) -> None:
        """Run until stopped."""
        self.rescan()
        helpers = (
            Thread(target=self._attend, name="attend", daemon=True),
            Thread(target=self._renew, name="leases", daemon=True),
        )
        for helper in helpers:
            helper.start()
        # Not Event.wait: a signal handler that sets an event its own thread waits on can lock
        # itself out.
        while not self._stop.is_set():
            helpers[0].join(POLL)
        self._end()

    def stop(self) -> None:
        """End after the writes in flight; callable from a signal handler and from any thread."""
        self._stop.set()
        for member in list(self._members.values()):
            member.loop.stop()

    def rescan(self) -> None:
        """Start what came, end what went; a folder that cannot be used stops no other."""
        found = set(self._scan())
        missing = self._members.keys() - found
        # Twice in a row: an editor may take the file away for a moment.
        gone, self._missing = missing & self._missing, missing
        for folder in gone:
            with self._lock:
                leaver = self._members.pop(folder)
            self._part(leaver)
            self._say(f"{folder}: jac.toml is gone, so it is no longer watched; nothing is deleted")
        for folder in sorted(found - self._members.keys()):
            if self._stop.is_set():
                return
            try:
                member = self._enlist(folder)
                self._check(folder, member)
            except (ConfigError, ClusterError) as problem:
                if self._told.get(folder) != str(problem):
                    self._told[folder] = str(problem)
                    self._say(f"{folder}: not watched: {problem}")
            else:
                self._told.pop(folder, None)
                self._admit(folder, member)

    def _check(self, folder: Path, member: Member | None) -> None:
        for other, taken in self._members.items():
            if member and taken.place == member.place:
                message = f"{member.place} is already the app of {other}; choose another app_name"
                file = str(folder / "jac.toml")
                raise ConfigError(Problem(file=file, line=None, key=None, message=message))

    def _admit(self, folder: Path, member: Member | None) -> None:
        if member is None:
            return
        with self._lock:
            self._members[folder] = member
        member.start()

    def _part(self, member: Member) -> None:
        member.loop.stop()
        member.leave()
        member.thread.join(LAST_SECONDS)
        member.loop.let_go()

    def _attend(self) -> None:
        """Look at files, for new folders, and for sleep of the machine."""
        next_scan = self._clock() + RESCAN
        while not self._stop.wait(max(POLL, len(self._members) * LOOK)):
            for member in self.members:
                member.loop.look()
            self._tick()
            if self._clock() >= next_scan:
                # Of our own work, not of what others keep the machine busy with.
                worked = thread_time()
                try:
                    self.rescan()
                except OSError:
                    logger.exception("workspace could not be read", extra={"action": "retry"})
                next_scan = self._clock() + max(RESCAN, (thread_time() - worked) * RESTS)
            if minutes := self._naps.minutes():
                self._say(f"resumed after {minutes:.0f} min of sleep")
                for watches in self._watches():
                    watches.wake()
            if self.members and not any(member.thread.is_alive() for member in self.members):
                # Each ended by itself: whoever read us is gone.
                self._stop.set()

    def _renew(self) -> None:
        while not self._stop.is_set():
            members = self.members
            for batch in batched(members, TOGETHER):
                for member in batch:
                    member.loop.renew()
                # Not all of them at once, which would be a storm.
                if self._stop.wait(self._renewal * len(batch) / len(members)):
                    return
            if not members:
                self._stop.wait(self._renewal)

    def _end(self) -> None:
        """Stop all, then wait for each and give back its lease, as far as the time allows."""
        members = self.members
        for member in members:
            member.loop.stop()
        for watches in self._watches():
            watches.stop()
        deadline = self._clock() + LAST_SECONDS + len(members) * 0.02
        for member in members:
            member.thread.join(max(0.0, deadline - self._clock()))
        shares = [members[n::GIVERS] for n in range(GIVERS)]
        givers = [Thread(target=_give_back, args=(share,), daemon=True) for share in shares]
        for giver in givers:
            giver.start()
        for giver in givers:
            giver.join(max(LAST_SECONDS, deadline - self._clock()))


def _give_back(members: Iterable[Member]) -> None:
    for member in members:
        member.loop.let_go()
