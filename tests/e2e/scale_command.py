"""`jac-converge scale` as a process, the way a user runs it."""

import os
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

__all__ = [
    "COMMAND",
    "JAC",
    "Done",
    "Running",
    "environment",
    "run_scale",
    "running_scale",
    "scale_at_terminal",
    "write_app",
]

COMMAND = (str(Path(sys.executable).with_name("jac-converge")), "scale")
JAC = (str(Path(sys.executable).with_name("jac")), "scale")
SOURCE = 'walker hi { can go with entry { report "hi"; } }\n'

# What a test machine may have set, and what would then reach the command.
_AMBIENT = re.compile("KUBECONFIG|MONGODB_URI|REDIS_URL|JWT_SECRET|JAC_.*|COLUMNS|PYTHONPATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def one_message(self) -> str:
        """The error, which has to be one, readable, and no traceback."""
        assert "Traceback" not in self.out + self.err, self.err
        assert self.err.startswith("jac scale: "), (self.out, self.err)
        assert self.err.count("jac scale: ") == 1, self.err
        return self.err


def write_app(folder: Path, toml: str | None, *, name: str = "shop") -> Path:
    """Write an app and its jac.toml, which is replaced as an editor does; None: without one."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.jac"
    file.write_text(SOURCE)
    if toml is not None:
        new = folder / "jac.toml.new"
        new.write_text(toml)
        new.replace(folder / "jac.toml")
    return file


def environment(kubeconfig: Path | None, more: Mapping[str, str]) -> dict[str, str]:
    """What the command finds, without what this machine may have set."""
    kept = {name: value for name, value in os.environ.items() if not _AMBIENT.fullmatch(name)}
    if kubeconfig is not None:
        kept["KUBECONFIG"] = str(kubeconfig)
    return {**kept, **more}


@contextmanager
def _keyboard(typed: bytes | None) -> Iterator[int]:
    if typed is None:
        yield subprocess.DEVNULL
        return
    keys, terminal = os.openpty()
    try:
        os.write(keys, typed)
        yield terminal
    finally:
        os.close(keys)
        os.close(terminal)


def run_scale(
    *arguments: str | Path,
    kubeconfig: Path | None = None,
    env: Mapping[str, str] | None = None,
    command: tuple[str, ...] = COMMAND,
    timeout: float = 60.0,
    typed: bytes | None = None,
) -> Done:
    """Run it to its end.

    Args:
        arguments: after `scale`.
        kubeconfig: what KUBECONFIG names.
        env: further variables.
        command: another front door.
        timeout: s.
        typed: what somebody types at a terminal; None: there is none.
    """
    with _keyboard(typed) as stdin:
        done = subprocess.run(
            [*command, *map(str, arguments)],
            env=environment(kubeconfig, env or {}),
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


def scale_at_terminal(
    *arguments: str | Path,
    kubeconfig: Path,
    answers: Mapping[str, str],
    size: tuple[int, int] = (30, 100),
    seconds: float = 60.0,
) -> str:
    """Run it at a terminal to its end, and return all that stood there.

    Args:
        arguments: after `scale`.
        kubeconfig: what KUBECONFIG names.
        answers: what is typed, by the words that have to stand there before, in this order.
        size: lines and columns of the terminal.
        seconds: deadline.
    """
    screen, terminal = os.openpty()
    termios.tcsetwinsize(terminal, size)
    deadline, shown, waiting = time.monotonic() + seconds, "", list(answers.items())
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env=environment(kubeconfig, {"TERM": "xterm"}),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    ) as process:
        os.close(terminal)
        try:
            while time.monotonic() < deadline:
                if select.select([screen], [], [], 0.1)[0]:
                    shown += os.read(screen, 4096).decode(errors="replace")
                if waiting and waiting[0][0] in shown:
                    os.write(screen, waiting.pop(0)[1].encode())
        except OSError:  # nobody has the terminal open any more: it ended
            return shown
        finally:
            process.kill()
            os.close(screen)
    raise AssertionError(f"it did not end: {shown}")


class Running:
    """A command that goes on: what it has told so far, and its signals."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = Thread(target=self._read, name="reader")
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def text(self) -> str:
        """Everything it told."""
        return "\n".join(self.lines)

    def wait_for(self, words: str, *, after: int = 0, seconds: float = 40.0) -> str:
        """Wait until a line has these words.

        Args:
            words: a regular expression.
            after: lines to skip, as counted before.
            seconds: deadline.
        """
        deadline = time.monotonic() + seconds
        while True:
            for line in self.lines[after:]:
                if re.search(words, line):
                    return line
            assert self.process.poll() is None, f"it ended: {self.text}"
            assert time.monotonic() < deadline, f"not told: {words}\n{self.text}"
            time.sleep(0.01)

    def end(self, how: signal.Signals = signal.SIGINT, *, seconds: float = 20.0) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(how)
        return self.wait(seconds)

    def wait(self, seconds: float = 20.0) -> int:
        """Wait for its own end."""
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code


@contextmanager
def running_scale(
    *arguments: str | Path, kubeconfig: Path, env: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Run it until the block ends; arguments as of `run_scale`."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env=environment(kubeconfig, env or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    running = Running(process)
    try:
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        running.wait()
        assert process.stdout is not None
        process.stdout.close()
