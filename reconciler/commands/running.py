"""The loop of one app as a command: its threads, its signals, how it ends."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from jac_converge.config.load import App
from jac_converge.reconciler.commands.writing import lease_of
from jac_converge.reconciler.console import CONVERGED, print_result
from jac_converge.reconciler.converge import WATCHED, Converger
from jac_converge.reconciler.kube_cluster import KubeCluster
from jac_converge.reconciler.loop import Loop
from jac_converge.reconciler.parts import Parts
from jac_converge.reconciler.solo import Solo
from jac_converge.reconciler.source import Source
from jac_converge.reconciler.trigger import Trigger
from jac_converge.reconciler.views import JsonView, PlainView, TableView
from jac_converge.reconciler.watch import KindWatch, Recovery

__all__ = ["run_loop", "stop_on_signal", "tell_end", "time_of_day"]


def run_loop(
    source: Source,
    cluster: KubeCluster,
    converger: Converger,
    flags: dict[str, Any],
    *,
    told: Iterable[str] = (),
) -> int:
    """Run the loop to its end, or until a signal, with the notes already told; the exit code."""
    app = source.app
    trigger = Trigger(time.monotonic)
    view = _view(app, cluster, flags)
    recovery = Recovery()
    rng = Random()  # noqa: S311 - jitter
    watches = tuple(
        KindWatch(
            kind=kind,
            cluster=cluster,
            mirror=converger.mirror,
            trigger=trigger,
            recovery=recovery,
            clock=time.monotonic,
            rng=rng,
        )
        for kind in WATCHED
    )
    parts = Parts(
        converger=converger,
        source=source,
        trigger=trigger,
        lease=lease_of(app, cluster),
        watches=watches,
        view=view,
        clock=time.monotonic,
        wall=time.time,
        rng=rng,
    )
    loop = Loop(parts, adopt=flags["adopt"], told=told)
    signals = stop_on_signal(loop.stop)
    try:
        if flags["watch"]:
            Solo(loop, parts).run()
            tell_end(view.say, f"watch ended; {app.name} stays on the cluster as it is", signals)
            return CONVERGED
        verdict = Solo(loop, parts).run(until_healthy=True, timeout=flags["timeout"])
    finally:
        view.close()
    live = converger.mirror.snapshot()
    return print_result(source.app, verdict, loop.reason, live, flags)


def stop_on_signal(stop: Callable[[], None]) -> list[int]:
    """First signal: end after the write in flight. Second one: end.

    Returns:
        The signals that came, to be filled later.
    """
    came: list[int] = []

    def handle(signum: int, _frame: object) -> None:
        signal.signal(signum, signal.SIG_DFL)
        came.append(signum)
        stop()

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        # SIGHUP, the closed terminal, is not known on Windows.
        if signum := getattr(signal, name, None):
            signal.signal(signum, handle)
    return came


def tell_end(say: Callable[[str], None], message: str, signals: Iterable[int]) -> None:
    """Say that a watch ended, where somebody asked for it and may still read that."""
    if not {signal.SIGINT, signal.SIGTERM}.intersection(signals):
        return
    try:
        say(message)
    except BrokenPipeError:
        # Ctrl-C ends a whole pipeline. What could not be written must not be tried again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _view(
    app: App, cluster: KubeCluster, flags: dict[str, Any]
) -> JsonView | PlainView | TableView:
    if flags["json"]:
        return JsonView()
    if flags["watch"] and sys.stdout.isatty():
        where = f"{cluster.target.context} / {app.namespace}"
        return TableView(f"{app.name} on {where}  (Ctrl-C ends the watch)", stamp=time_of_day)
    return PlainView(stamp=time_of_day) if flags["watch"] else PlainView()


def time_of_day() -> str:
    """What a line of a long run begins with."""
    return time.strftime("%H:%M:%S ")
