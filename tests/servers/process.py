"""One process of a test: started, waited for, hurt on purpose, and surely gone at the end."""

import contextlib
import fcntl
import functools
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Process", "ServerFailed", "free_port", "wait_until"]

POLL = 0.02  # s
# The kernel's default range for the near end of outgoing connections starts at 32768. A server's
# port inside it can be taken by any client while the server is down, even by a client that dials
# that very port and so ends up talking to itself.
PORTS = range(15000, 32000)
# Each process of tests has some of them for itself: what one chose is not yet listened on, or for a
# while no more, when another one looks.
SHARE = 500

# PR_SET_PDEATHSIG fires when the *thread* that started the child ends. A test may restart a server
# from a thread of its own, so every child is started by this one, which lives as long as we do.
_spawner = ThreadPoolExecutor(1, thread_name_prefix="spawner")


class ServerFailed(Exception):
    """A server ended or did not answer in time; the text has the end of its log."""


@functools.cache
def _own_ports() -> Iterator[int]:
    """The ports that no other process of tests chooses while this one lives, again and again."""
    folder = Path(tempfile.gettempdir(), f"jac-converge-ports-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    shares = [PORTS[start : start + SHARE] for start in range(0, len(PORTS), SHARE)]
    secrets.SystemRandom().shuffle(shares)
    for share in shares:
        lock = os.open(folder / str(share.start), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return itertools.cycle(share)  # and the lock stays until we end
    raise RuntimeError(f"{len(shares)} processes of tests have all the ports; end some")


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, nor any other test is about to."""
    while True:
        port = next(_own_ports())
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(
    condition: Callable[[], bool],
    *,
    within: float,
    what: str,
    unless: Callable[[], None] | None = None,
) -> None:
    """Wait for a condition.

    Args:
        condition: asked again and again; a refused or broken connection counts as no.
        within: s.
        what: the subject of the error message.
        unless: called before each question; raises where waiting on is pointless.

    Raises:
        TimeoutError: it did not come true.
    """
    deadline = time.monotonic() + within
    while True:
        if unless is not None:
            unless()
        with contextlib.suppress(OSError):
            if condition():
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within:g} s")
        time.sleep(POLL)


class Process:
    """A server process with its own process group and log, as a context manager.

    Once ready it dies with us, even where nothing of ours runs any more (`kill -9` of pytest). On
    Linux, that is; elsewhere only the end of the block ends it.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        ready: Callable[[], bool],
        ready_within: float = 30.0,
        grace: float = 5.0,
        env: Mapping[str, str] | None = None,
        folder: "tempfile.TemporaryDirectory[str] | None" = None,
    ) -> None:
        """Describe it; nothing runs before `start`.

        Args:
            name: for messages.
            command: program and arguments.
            log: where its output is appended.
            ready: says whether it serves; an OSError means no.
            ready_within: s.
            grace: s between TERM and KILL at the end; 0 kills at once.
            env: instead of our environment.
            folder: goes when the block ends.
        """
        self.name = name
        self.command = list(command)
        self.log = log
        self._ready = ready
        self._ready_within = ready_within
        self._grace = grace
        self._env = env
        self._folder = folder
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it, again where it has ended, and wait until it is ready.

        Raises:
            ServerFailed: it ended, or was not ready in time, and runs no more; or it runs already.
        """
        if self.alive:
            raise ServerFailed(f"{self.name} start failed: it runs already")
        self.kill9()
        self._popen = _spawner.submit(self._spawn).result()
        try:
            wait_until(
                self._ready, within=self._ready_within, what=self.name, unless=self.check_alive
            )
            self.check_alive()
        except TimeoutError as late:
            self.kill9()
            raise ServerFailed(f"{late}\n{self.log_tail()}") from late
        except BaseException:
            self.kill9()
            raise
        return self

    def _spawn(self) -> subprocess.Popen[bytes]:
        mortal = shutil.which("setpriv")
        prefix = [mortal, "--pdeathsig", "KILL", "--"] if mortal else []
        with self.log.open("ab") as log:
            return subprocess.Popen(
                prefix + self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id, which is also that of its group."""
        return self._running().pid

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._popen is not None and self._exit() is None

    def check_alive(self) -> None:
        """Raise ServerFailed with the end of the log if it has ended."""
        if (how := self._exit()) is not None:
            raise ServerFailed(f"{self.name} {how}\n{self.log_tail()}")

    def _exit(self) -> str | None:
        """Say how it ended, without reaping: so its number, and its group's, stays ours."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        ended = os.waitid(os.P_PID, self.pid, options)
        if ended is None:
            return None
        word = "ended with" if ended.si_code == os.CLD_EXITED else "was ended by signal"
        return f"{word} {ended.si_status}"

    def listens_on(self, port: int) -> bool:
        """Say whether it is this process, and not a stranger, that listens on a port (Linux)."""
        listening = "0A"
        wanted = f":{port:04X}"
        inodes = set()
        for table in ("tcp", "tcp6"):
            with contextlib.suppress(FileNotFoundError):  # tcp6: a kernel without IPv6
                for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                    field = line.split()
                    if field[3] == listening and field[1].endswith(wanted):
                        inodes.add(f"socket:[{field[9]}]")
        for descriptor in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                if str(descriptor.readlink()) in inodes:
                    return True
        return False

    def log_tail(self, lines: int = 15) -> str:
        """Return the end of the log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])

    def rss_bytes(self) -> int:
        """Return the resident memory, in bytes (Linux)."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def freeze(self) -> None:
        """Stop it with SIGSTOP: its connections stay open and go mute."""
        os.killpg(self.pid, signal.SIGSTOP)
        # Its threads stop one after the other; on a busy machine one may still answer.
        wait_until(self._stopped, within=10, what=f"{self.name} to stop")

    def _stopped(self) -> bool:
        states = []
        for file in Path(f"/proc/{self.pid}/task").glob("*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                states.append(file.read_text().rpartition(")")[2].split()[0])
        return set(states) == {"T"}

    def thaw(self) -> None:
        """Let a frozen process go on."""
        os.killpg(self.pid, signal.SIGCONT)

    def terminate(self) -> None:
        """End it with TERM and, after the grace, with KILL; nothing if it does not run."""
        if self.alive and self._grace > 0:
            self.thaw()  # a frozen process takes no TERM
            os.killpg(self.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                wait_until(lambda: not self.alive, within=self._grace, what=self.name)
        self.kill9()

    def kill9(self) -> None:
        """End it and its whole group with KILL; nothing if it does not run."""
        if self._popen is None:
            return
        # Also after the leader has ended, for its children may not have. Nobody has reaped it, so
        # the kernel cannot have given its number to a stranger.
        os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        self._popen = None

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it, and remove its folder if it has one of its own."""
        self.terminate()
        if self._folder is not None:
            self._folder.cleanup()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._popen is None:
            raise ServerFailed(f"{self.name} does not run")
        return self._popen
