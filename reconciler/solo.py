"""The threads of a process that keeps one app: passes, a look at its files, the lease.

It changes when such a process comes to attend to something else. Many apps are a `fleet`'s.
"""

from functools import partial
from threading import Thread
from typing import Final

from jac_converge.reconciler.lease import RENEWAL
from jac_converge.reconciler.loop import Loop
from jac_converge.reconciler.naps import Naps
from jac_converge.reconciler.parts import Parts
from jac_converge.reconciler.steps import Verdict

__all__ = ["LAST_SECONDS", "POLL", "Solo"]

POLL: Final = 0.1
"""Seconds between two looks at whether the passes still run."""

LOOK: Final = 0.05
"""Seconds between two looks at the configuration files; a look is three stat calls."""

LAST_SECONDS: Final = 0.8
"""Seconds that the end may take: after Ctrl-C nobody waits for more than one."""


class Solo:
    """Runs the loop of one app.

    Args:
        loop: of the app.
        parts: what it is made of.
    """

    def __init__(self, loop: Loop, parts: Parts) -> None:
        self._loop = loop
        self._watches = parts.watches
        self._stop = parts.converger.stop
        self._clock = parts.clock
        self._naps = Naps(clock=parts.clock, wall=parts.wall)

    def run(self, *, until_healthy: bool = False, timeout: float | None = None) -> Verdict:
        """Run until stopped.

        The passes have a thread of their own: a request that hangs in a mute connection must not
        keep Ctrl-C waiting.

        Args:
            until_healthy: also end when the app is as desired, or cannot become so.
            timeout: seconds after which a run `until_healthy` has failed.
        """
        make = partial(self._loop.run_passes, until_healthy=until_healthy, timeout=timeout)
        passes = Thread(target=make, name="passes", daemon=True)
        helpers = (
            passes,
            Thread(target=self._attend, name="attend", daemon=True),
            Thread(target=self._hold_lease, name="lease", daemon=True),
        )
        self._loop.begin(hold_lease=not until_healthy)
        for watch in self._watches:
            watch.start()
        for helper in helpers:
            helper.start()
        try:
            # Not Event.wait: a signal handler that sets an event its own thread waits on can lock
            # itself out.
            while passes.is_alive() and not self._stop.is_set():
                passes.join(POLL)
        finally:
            self._end(helpers)
        return self._loop.verdict

    def _end(self, helpers: tuple[Thread, ...]) -> None:
        """Wait for every thread, `LAST_SECONDS` in all: they are daemons, and may hang."""
        self._loop.stop()
        for watch in self._watches:
            watch.stop()
        release = Thread(target=self._loop.let_go, name="release", daemon=True)
        deadline = self._clock() + LAST_SECONDS
        helpers[0].join(LAST_SECONDS)
        release.start()
        for thread in (release, *helpers):
            thread.join(max(0.0, deadline - self._clock()))
        for watch in self._watches:
            watch.join(max(0.0, deadline - self._clock()))

    def _attend(self) -> None:
        """Notice edits of the configuration, and sleep of the machine."""
        while not self._stop.wait(LOOK):
            self._loop.look()
            if minutes := self._naps.minutes():
                self._loop.wake(minutes)

    def _hold_lease(self) -> None:
        while not self._stop.is_set():
            self._loop.renew()
            self._stop.wait(RENEWAL)
