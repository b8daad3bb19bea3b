"""`jac scale --logs`: what all pods of the app write, in order of time or as it comes."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from itertools import cycle
from threading import Event, Lock, Thread
from typing import IO, Any, Final

from jac_converge.config.load import App
from jac_converge.reconciler.app_pods import app_pods, none_ready
from jac_converge.reconciler.commands.running import stop_on_signal
from jac_converge.reconciler.console import CONVERGED
from jac_converge.reconciler.errors import ClusterError, Invalid, Missing, Transient
from jac_converge.reconciler.kube_cluster import KubeCluster
from jac_converge.reconciler.objects import Object
from jac_converge.reconciler.pod_log import LogLine, PodLog
from jac_converge.reconciler.terminal import colourful, harmless

__all__ = ["Follower", "Printer", "print_logs"]

PAST: Final = 100
"""Lines of each pod that a following begins with."""

LOOK: Final = 2.0
"""s between two looks for pods that are new."""

AGAIN: Final = 1.0
"""s until a log that ended is asked for once more: its container may have started anew."""

COLOURS: Final = (36, 33, 32, 35, 34, 96)
"""SGR codes; none is red, which means an error."""

type Say = Callable[[str], None]


def print_logs(app: App, cluster: KubeCluster, flags: dict[str, Any]) -> int:
    """Print them; returns the exit code.

    Raises:
        ClusterError: there are none, or they cannot be read.
    """
    pods = app_pods(cluster)
    colours = not flags["json"] and colourful(sys.stdout, os.environ)
    printer = Printer(sys.stdout, as_json=flags["json"], colours=colours)
    if flags["follow"]:
        stop = Event()
        stop_on_signal(stop.set)
        Follower(cluster, printer, stop, say=_say).follow()
        return CONVERGED
    if not pods:
        raise none_ready(app, pods)
    logs = [PodLog(cluster, pod["metadata"]["name"]) for pod in pods]
    readings = (_as_far_as_there_is(log) for log in logs)
    for line in merge(*readings, key=lambda line: line.at):
        if not printer.print(line):
            break
    return CONVERGED


class Printer:
    """Writes lines of many pods, each in a colour of its own where there are colours.

    Args:
        out: where to.
        as_json: an object for each line, for programs.
        colours: for people at a terminal; then nothing in a line commands it.
    """

    def __init__(self, out: IO[str], *, as_json: bool = False, colours: bool = False) -> None:
        self._out = out
        self._as_json = as_json
        self._colours = colours
        self._next = cycle(COLOURS)
        self._of: dict[str, int] = {}
        self._lock = Lock()

    def print(self, line: LogLine) -> bool:
        """Write one; False: nobody reads on."""
        with self._lock:
            try:
                self._out.write(f"{self._told(line)}\n")
                self._out.flush()
            except BrokenPipeError:
                # What could not be written must not be tried again at exit.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())
                return False
        return True

    def _told(self, line: LogLine) -> str:
        if self._as_json:
            return json.dumps(
                {"event": "log", "pod": line.pod, "at": line.at, "line": line.text},
            )
        text = harmless(line.text) if self._out.isatty() else line.text
        if not self._colours:
            return f"{line.pod} | {text}"
        colour = self._of.get(line.pod)
        if colour is None:
            colour = self._of[line.pod] = next(self._next)
        return f"\x1b[{colour}m{line.pod} |\x1b[0m {text}"


class Follower:
    """Follows the logs of the pods that there are, and of those that come.

    Args:
        cluster: the app's.
        printer: takes each line.
        stop: ends it.
        say: tells what is wrong, once until it is well again.
    """

    def __init__(self, cluster: KubeCluster, printer: Printer, stop: Event, *, say: Say) -> None:
        self._cluster = cluster
        self._printer = printer
        self._stop = stop
        self._say = say
        self._trouble = ""
        self._logs: dict[str, PodLog] = {}
        """By UID."""

    def follow(self) -> None:
        """Follow until `stop`.

        Raises:
            ClusterError: pods may not be listed.
        """
        try:
            while not self._stop.is_set():
                try:
                    pods = app_pods(self._cluster)
                except Transient as error:
                    self._tell(f"{error}; trying again")
                else:
                    self._tell("" if pods else "there are no pods yet; waiting for one")
                    self._take(pods)
                self._stop.wait(LOOK)
        finally:
            self._stop.set()
            for log in self._logs.values():
                log.close()

    def _take(self, pods: Sequence[Object]) -> None:
        """Begin to follow those that are new."""
        for pod in pods:
            metadata = pod["metadata"]
            if metadata["uid"] not in self._logs:
                log = self._logs[metadata["uid"]] = PodLog(
                    self._cluster, metadata["name"], tail=PAST
                )
                # A daemon: one that waits for an answer must not hold up the end.
                Thread(target=self._follow, args=(log,), name=f"log {log.pod}", daemon=True).start()

    def _follow(self, log: PodLog) -> None:
        while not self._stop.is_set():
            try:
                for line in log.read(follow=True):
                    if not self._printer.print(line):
                        self._stop.set()
                        return
            except Missing:
                return  # the pod is gone
            except (Transient, Invalid):
                pass  # broken, or not started yet; the listing tells what is wrong
            except ClusterError as error:
                self._say(str(error))
                return
            self._stop.wait(AGAIN)

    def _tell(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            self._say(trouble)
        self._trouble = trouble


def _as_far_as_there_is(log: PodLog) -> Iterator[LogLine]:
    """Read a log, which a pod that has not started does not have."""
    try:
        yield from log.read()
    except (Missing, Invalid) as error:
        _say(f"{log.pod}: {error.cause}")


def _say(message: str) -> None:
    sys.stderr.write(f"jac scale: {message}\n")
    sys.stderr.flush()
