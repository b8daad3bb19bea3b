"""Record `jac scale --watch` on real nodes, for the README: an asciicast, and a picture of its end.

`python -m tests.node.record_watch FOLDER` writes `watch.cast` (asciinema plays it) and `watch.svg`.
Everything in them is what the command wrote: the to-do list is deployed, somebody with kubectl does
this and that to it, and jac.toml is edited. Needs what `make test-node` needs, and tmux, which
knows what a terminal shows after all that was written to it.
"""

import io
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.e2e.scale_command import environment
from tests.node.cluster import Cluster
from tests.node.deployed import Todo

__all__: list[str] = []

COLUMNS, LINES = 150, 44
PACE = 1.5
"""s between two deeds, for whoever looks on."""
PATIENCE = 90.0
JAC = str(Path(sys.executable).with_name("jac"))
KUBECTL = Path(sys.executable).with_name("kubectl")
COMMAND = ("jac", "scale", "todo.jac", "--watch")
SCALED = """
[converge.kubernetes.autoscaling]
min_replicas = {fewest}
max_replicas = {most}
"""


class Recording:
    """A command at a terminal, and when it wrote what."""

    def __init__(self, command: list[str], folder: Path, env: dict[str, str]) -> None:
        """Start it."""
        self._screen, terminal = os.openpty()
        termios.tcsetwinsize(terminal, (LINES, COLUMNS))
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env={**env, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        self._began = time.monotonic()
        self.events: list[tuple[float, str]] = []

    @property
    def text(self) -> str:
        """All that it wrote."""
        return "".join(text for _, text in self.events)

    def until(self, condition: Callable[[str], bool]) -> None:
        """Go on until a condition holds of what it wrote from now on."""
        seen, deadline = len(self.events), time.monotonic() + PATIENCE
        while not condition("".join(text for _, text in self.events[seen:])):
            assert time.monotonic() < deadline, self.text
            self._read(0.1)

    def pause(self, seconds: float = PACE) -> None:
        """Let time pass."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._read(0.05)

    def end(self) -> None:
        """End it as a person would."""
        self._process.send_signal(signal.SIGINT)
        try:
            while True:
                self._read(1.0)
        except OSError:  # it has left the terminal
            self._process.wait(30)
            os.close(self._screen)

    def _read(self, seconds: float) -> None:
        if select.select([self._screen], [], [], seconds)[0]:
            text = os.read(self._screen, 65536).decode(errors="replace")
            self.events.append((time.monotonic() - self._began, text))


def main() -> int:
    """Record, and write both files."""
    folder = Path(sys.argv[1])
    with Cluster(KUBECTL) as cluster, tempfile.TemporaryDirectory(prefix="recorded-") as made_in:
        todo = Todo(cluster, Path(made_in), namespace="todo")
        todo.configure(SCALED.format(fewest=2, most=5))
        print(todo.scale().out)
        todo.wait_for_pods(2)
        env = environment(cluster.kubeconfig, todo.env)
        recording = Recording([JAC, *COMMAND[1:]], todo.folder, env)
        recording.until(lambda text: "PodDisruptionBudget/todo" in text)
        recording.pause()
        for arguments in (
            ("set", "image", "deployment/todo", "app=localhost/other:1"),
            ("delete", "service", "todo"),
            ("scale", "statefulset", "todo-redis", "--replicas=2"),
        ):
            cluster.kubectl("--namespace", todo.namespace, *arguments)
            recording.until(lambda text: "healed" in text)
            recording.pause()
        todo.configure(SCALED.format(fewest=2, most=8))
        recording.until(lambda text: "configured" in text)
        recording.until(lambda _: set(todo.pods()) == todo.ready())
        recording.pause(3 * PACE)
        shown = recording.text
        recording.end()
        todo.destroy()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "watch.cast").write_text(_cast(recording.events))
    (folder / "watch.svg").write_text(_picture(shown))
    return 0


def _cast(events: list[tuple[float, str]]) -> str:
    """The recording as asciicast, version 2."""
    header = {"version": 2, "width": COLUMNS, "height": LINES, "title": " ".join(COMMAND)}
    header["idle_time_limit"] = 2
    typed = (0.0, "o", f"$ {' '.join(COMMAND)}\r\n")
    lines = [typed, *((round(at, 3), "o", text) for at, text in events)]
    return "\n".join(json.dumps(line) for line in (header, *lines)) + "\n"


def _picture(shown: str) -> str:
    """What the terminal shows after all of it, as SVG."""
    name = f"recorded-{os.getpid()}"
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as written:
        written.write(f"$ {' '.join(COMMAND)}\r\n{shown}")
        written.flush()
        size = ["-x", str(COLUMNS), "-y", str(LINES)]
        shows = f"stty -echo raw; cat {written.name}; sleep 30"
        _tmux("new-session", "-d", "-s", name, *size, shows)
        try:
            time.sleep(2)  # until it has drawn it
            screen = _tmux("capture-pane", "-e", "-p", "-t", name)
        finally:
            _tmux("kill-session", "-t", name)
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen.rstrip("\n")))
    return console.export_svg(title=" ".join(COMMAND))


def _tmux(*arguments: str) -> str:
    done = subprocess.run(["tmux", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
