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
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from jac_converge.app_runtime.sources_watch import Sources
from jac_converge.config.load import App

__all__ = ["Supervisor"]

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.3  # s between two looks at the sources
PAUSE, LONGEST_PAUSE = 0.5, 10.0  # s before a dead worker is replaced, doubled while they die young
OLD = 30.0  # s after which a death says nothing about the next life
SLACK = 5.0  # s that a worker has on top of its drain
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(slots=True, kw_only=True, eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    status: int
    """Read end of the pipe on which it says that it serves."""
    life: int
    """Write end of the pipe whose end tells it that we are gone."""
    generation: int
    born: float = field(default_factory=time.monotonic)
    ready: bool = False
    dismissed: bool = False

    def dismiss(self, how: int = signal.SIGTERM) -> None:
        """Ask it to drain and end."""
        self.dismissed = True
        if self.process.poll() is None:
            self.process.send_signal(how)

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
        self._sources = Sources(app.file.parent, app.files) if reload else None
        server = app.settings.server
        self._flags: dict[str, object] = {
            "server.host": server.host,
            "server.port": server.port,
            "server.workers": server.workers,
        }
        if reload and server.host in LOOPBACK and server.graph_page is None:
            self._flags["server.graph_page"] = "everybody"
        self._workers: list[_Worker] = []
        self._generation = 0
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
            self._workers.append(self._spawn())

    def _spawn(self) -> _Worker:
        status, says = os.pipe()
        hears, life = os.pipe()
        orders = {
            "file": str(self._app.file),
            "profile": self._profile,
            "flags": self._flags,
            "listener": self._listener.fileno(),
            "status": says,
            "life": hears,
        }
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "jac_converge.app_runtime.worker", json.dumps(orders)],
            pass_fds=(self._listener.fileno(), says, hears),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C comes to us, and we pass it on once
        )
        os.close(says)
        os.close(hears)
        return _Worker(process=process, status=status, life=life, generation=self._generation)

    def _wait(self, wake: socket.socket) -> None:
        timeout = LOOK_EVERY if self._sources is not None else None
        if self._respawn_at is not None:
            due = max(0.0, self._respawn_at - time.monotonic())
            timeout = due if timeout is None else min(timeout, due)
        with selectors.DefaultSelector() as selector:
            selector.register(wake, selectors.EVENT_READ)
            for worker in self._workers:
                if not worker.ready and worker.process.poll() is None:
                    selector.register(worker.status, selectors.EVENT_READ)
            for key, _ in selector.select(timeout):
                if key.fileobj is wake:
                    wake.recv(4096)

    def _hear(self) -> None:
        """Note which workers have begun to serve."""
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                if not worker.ready:
                    selector.register(worker.status, selectors.EVENT_READ, worker)
            for key, _ in selector.select(0):
                worker = key.data
                if os.read(worker.status, 1):
                    worker.ready = True
        current = [worker for worker in self._workers if worker.generation == self._generation]
        if self._all_ready(current) and not self._served:
            self._served = True
            host, port = self._listener.getsockname()[:2]
            docs = ", docs at /docs" if self._app.settings.server.docs_enabled else ""
            logger.info(
                "serving %s on http://%s:%d with %d workers%s",
                self._app.file.name,
                f"[{host}]" if ":" in host else host,
                port,
                len(current),
                docs,
            )

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
        """The sources are broken: whoever is left serves on, until the next save."""
        if generation != self._generation or self._broken:
            return
        self._broken = True
        others_serve = any(
            worker.ready and not worker.dismissed and worker.generation != generation
            for worker in self._workers
        )
        for worker in self._workers:
            # One that came up before the sources broke under it is better than none.
            if worker.generation == generation and (others_serve or not worker.ready):
                worker.dismiss()
        left = any(worker.ready and not worker.dismissed for worker in self._workers)
        now = "what was served before is served on" if left else "nothing is served"
        logger.error("the app does not start; %s; waiting for the next save", now)

    def _retire(self) -> None:
        """Let the workers of before go once those of now are ready."""
        current = [worker for worker in self._workers if worker.generation == self._generation]
        if self._all_ready(current):
            for worker in self._workers:
                if worker.generation != self._generation and not worker.dismissed:
                    worker.dismiss()

    def _reload(self) -> None:
        changed = self._sources.changed() if self._sources is not None else []
        if not changed:
            return
        logger.info("reloading: %s changed", ", ".join(path.name for path in changed))
        for worker in self._workers:
            if worker.generation == self._generation and not worker.ready:
                worker.dismiss()  # half started, on what is no more
        self._generation += 1
        self._broken = False
        self._spawn_missing()

    def _stop(self, wake: socket.socket, code: int) -> int:
        """Let all workers drain; a further Ctrl-C, or their time being up, ends them."""
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
