"""Several processes behind one port, and fresh ones when the sources change.

The supervisor owns the listening socket and serves nothing. Its workers accept from that one
socket, so while one is restarted the others answer, and connections wait instead of failing. With
`--reload`, the workers of before go only when those of now are ready: an error in a file leaves
the app running as it was. It changes with the life of a group of processes.
"""

import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

from jac_converge.app_runtime.banner import announce
from jac_converge.app_runtime.sources_watch import Sources
from jac_converge.config.load import App

__all__ = ["Supervisor"]

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.1  # s between two looks at the sources
SAVING = 0.02  # s without a change, after which a save is over
PAUSE, LONGEST_PAUSE = 0.5, 10.0  # s before a dead worker is replaced, doubled while they die young
OLD = 30.0  # s after which a death says nothing about the next life
SLACK = 5.0  # s that a worker has on top of its drain
GO, READY, BROKEN = b"g", b"r", b"b"


@dataclass(slots=True, kw_only=True, eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    status: int
    """Read end of the pipe on which it says that it serves."""
    life: int
    """Write end of the pipe whose end tells it that we are gone."""
    generation: int
    waits: bool = False
    """Whether it has been started before it was needed, and waits until it is."""
    born: float = field(default_factory=time.monotonic)
    ready: bool = False
    broken: bool = False
    """Whether it answers with the error that keeps the app from starting."""
    dismissed: bool = False

    @property
    def awaited(self) -> bool:
        """Whether it has yet to say what became of it."""
        return not self.ready and not self.broken

    def dismiss(self, how: int = signal.SIGTERM) -> None:
        """Ask it to drain and end."""
        self.dismissed = True
        if self.process.poll() is None:
            self.process.send_signal(how)

    def begin(self, generation: int) -> None:
        """Load the app, after waiting for that."""
        self.generation, self.born = generation, time.monotonic()
        with suppress(BrokenPipeError):  # dead: it is buried like any other
            os.write(self.life, GO)

    def close(self) -> None:
        os.close(self.status)
        os.close(self.life)


class Supervisor:
    """The workers of one app on one socket."""

    def __init__(
        self, app: App, listener: socket.socket, *, profile: str | None, reload: bool
    ) -> None:
        """Describe the group; nothing runs before `run`.

        Args:
            app: as loaded; workers load it again, so that they see today's files.
            listener: bound and listening.
            profile: for the workers.
            reload: start anew when a source is saved.
        """
        self._app = app
        self._listener = listener
        self._profile = profile
        self._sources = Sources(app.file.parent, app.root, app.files) if reload else None
        self._workers: list[_Worker] = []
        self._spares: list[_Worker] = []
        self._generation = 0
        self._stocked = -1  # the generation for whose successor there are spares
        self._reloading_since: float | None = None
        self._served = False
        self._broken = False
        self._deaths = 0
        self._respawn_at: float | None = None
        self._signals: list[int] = []

    def run(self) -> int:
        """Keep the workers running until told to stop; returns the exit code."""
        with self._wake_on_signals() as wake:
            self._spawn_missing()
            while not self._signals:
                self._wait(wake)
                self._hear()
                code = self._bury()
                if code is not None:
                    return self._stop(wake, code)
                self._retire()
                self._reload()
                if self._respawn_at is not None and time.monotonic() >= self._respawn_at:
                    self._respawn_at = None
                    self._spawn_missing()
            return self._stop(wake, 0)

    def _spawn_missing(self) -> None:
        have = sum(1 for worker in self._workers if worker.generation == self._generation)
        for _ in range(self._app.settings.server.workers - have):
            worker = self._spares.pop(0) if self._spares else self._spawn()
            if worker.waits:
                worker.begin(self._generation)
            self._workers.append(worker)

    def _stock_up(self) -> None:
        """Have processes at hand for the next save: to import takes longer than all else."""
        if self._sources is None or self._stocked == self._generation:
            return
        self._stocked = self._generation
        missing = self._app.settings.server.workers - len(self._spares)
        self._spares += [self._spawn(waits=True) for _ in range(missing)]

    def _spawn(self, *, waits: bool = False) -> _Worker:
        status, says = os.pipe()
        hears, life = os.pipe()
        server = self._app.settings.server
        orders = {
            "file": str(self._app.file),
            "profile": self._profile,
            "flags": {
                "server.host": server.host,
                "server.port": server.port,
                "server.workers": server.workers,
            },
            "listener": self._listener.fileno(),
            "status": says,
            "life": hears,
            "reload": self._sources is not None,
            "waits": waits,
        }
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "jac_converge.app_runtime.worker", json.dumps(orders)],
            pass_fds=(self._listener.fileno(), says, hears),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C comes to us, and we pass it on once
        )
        os.close(says)
        os.close(hears)
        return _Worker(
            process=process, status=status, life=life, generation=self._generation, waits=waits
        )

    def _wait(self, wake: socket.socket) -> None:
        timeout = LOOK_EVERY if self._sources is not None else None
        if self._respawn_at is not None:
            due = max(0.0, self._respawn_at - time.monotonic())
            timeout = due if timeout is None else min(timeout, due)
        with selectors.DefaultSelector() as selector:
            selector.register(wake, selectors.EVENT_READ)
            for worker in self._workers:
                if worker.awaited and worker.process.poll() is None:
                    selector.register(worker.status, selectors.EVENT_READ)
            for key, _ in selector.select(timeout):
                if key.fileobj is wake:
                    wake.recv(4096)

    def _hear(self) -> None:
        """Note which workers have begun to serve."""
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                if worker.awaited:
                    selector.register(worker.status, selectors.EVENT_READ, worker)
            for key, _ in selector.select(0):
                worker = key.data
                said = os.read(worker.status, 1)
                worker.ready, worker.broken = said == READY, said == BROKEN
        for worker in [worker for worker in self._workers if worker.broken]:
            self._give_up_generation(worker.generation)
        current = [worker for worker in self._workers if worker.generation == self._generation]
        if self._all_ready(current) and not self._served:
            self._served = True
            announce(self._app, self._listener, reload=self._sources is not None)

    def _all_ready(self, workers: list[_Worker]) -> bool:
        return len(workers) == self._app.settings.server.workers and all(
            worker.ready for worker in workers
        )

    def _any_ready(self) -> bool:
        return self._served or any(worker.ready for worker in self._workers)

    def _bury(self) -> int | None:
        """Deal with workers that ended; returns an exit code where going on is pointless."""
        for worker in [worker for worker in self._workers if worker.process.poll() is not None]:
            self._workers.remove(worker)
            worker.close()
            if worker.dismissed:
                continue
            code = worker.process.returncode
            if not worker.ready and self._sources is not None:
                self._give_up_generation(worker.generation)
                continue
            if not worker.ready and code > 0 and not self._any_ready():
                return code  # it said why; the next one would say the same
            young = time.monotonic() - worker.born < OLD
            self._deaths = self._deaths + 1 if young else 0
            pause = min(LONGEST_PAUSE, PAUSE * 2 ** max(0, self._deaths - 1))
            self._respawn_at = time.monotonic() + pause
            logger.error(
                "worker %d ended (%s); a new one starts in %.1f s",
                worker.process.pid,
                f"signal {-code}" if code < 0 else f"exit code {code}",
                pause,
            )
        return None

    def _give_up_generation(self, generation: int) -> None:
        """The sources are broken: until the next save, the error is told, or who is left serves."""
        if generation != self._generation:
            return
        first, self._broken = not self._broken, True
        now = [worker for worker in self._workers if worker.generation == generation]
        before = [worker for worker in self._workers if worker.generation != generation]
        # One that came up before the sources broke under it is better than none.
        good = any(worker.ready and not worker.dismissed for worker in now)
        told = any(worker.broken for worker in now) and not good
        for worker in now:
            if not worker.ready and not (told and worker.broken):
                worker.dismiss()
        if told:
            for worker in before:
                worker.dismiss()  # what it answers would hide the error
        left = good or any(worker.ready and not worker.dismissed for worker in before)
        state = "what was served before is served on" if left else "nothing is served"
        state = "every request is answered with the error" if told else state
        if first:
            logger.error("the app does not start; %s; waiting for the next save", state)
        self._stock_up()

    def _retire(self) -> None:
        """Let the workers of before go once those of now are ready."""
        current = [worker for worker in self._workers if worker.generation == self._generation]
        if not self._all_ready(current):
            return
        for worker in self._workers:
            if worker.generation != self._generation and not worker.dismissed:
                worker.dismiss()
        if self._reloading_since is not None:
            logger.info("reloaded in %.2f s", time.monotonic() - self._reloading_since)
            self._reloading_since = None
        self._stock_up()

    def _reload(self) -> None:
        changed = set(self._sources.changed()) if self._sources is not None else set()
        if not changed or self._sources is None:
            return
        more = changed
        while more:  # half a file is no save, nor is one of several
            time.sleep(SAVING)
            more = set(self._sources.changed())
            changed |= more
        self._reloading_since = time.monotonic()
        logger.info("reloading: %s changed", ", ".join(sorted(path.name for path in changed)))
        for worker in self._workers:
            if worker.generation == self._generation and not worker.ready:
                worker.dismiss()  # half started, on what is no more
        self._generation += 1
        self._broken = False
        self._spawn_missing()

    def _stop(self, wake: socket.socket, code: int) -> int:
        """Let all workers drain; a further Ctrl-C, or their time being up, ends them."""
        for spare in self._spares:
            spare.dismiss(signal.SIGKILL)  # it holds nothing yet
        self._workers += self._spares
        for worker in self._workers:
            worker.dismiss()
        deadline = time.monotonic() + self._app.settings.server.drain_seconds + SLACK
        heard = len(self._signals)
        with selectors.DefaultSelector() as selector:
            selector.register(wake, selectors.EVENT_READ)
            while any(worker.process.poll() is None for worker in self._workers):
                left = deadline - time.monotonic()
                if left <= 0 or signal.SIGINT in self._signals[heard:]:
                    for worker in self._workers:
                        worker.process.kill()
                for _ in selector.select(max(0.05, left)):
                    wake.recv(4096)
        for worker in self._workers:
            worker.process.wait()
            worker.close()
        return code

    @contextmanager
    def _wake_on_signals(self) -> Iterator[socket.socket]:
        """Have signals, the death of a child among them, wake the selector."""
        wake, alarm = socket.socketpair()
        alarm.setblocking(False)
        before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
        before_fd = signal.set_wakeup_fd(alarm.fileno(), warn_on_full_buffer=False)
        for told in (signal.SIGINT, signal.SIGTERM):
            before[told] = signal.signal(told, self._note_signal)
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            yield wake
        finally:
            for number, old in before.items():
                signal.signal(number, old)
            signal.set_wakeup_fd(before_fd)
            wake.close()
            alarm.close()

    def _note_signal(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and not self._signals:
            sys.stderr.write("\n")  # after the ^C of the terminal
            logger.info("draining; press Ctrl-C again to stop at once")
        self._signals.append(number)
