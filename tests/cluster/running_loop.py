"""A loop in a thread of the test, and everything it told."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from random import Random
from threading import Event, Thread

from jac_converge.config.load import App, load_app
from jac_converge.reconciler.apply import Outcome
from jac_converge.reconciler.converge import WATCHED, Converger
from jac_converge.reconciler.kube_cluster import Limits, connect
from jac_converge.reconciler.lease import Lease
from jac_converge.reconciler.loop import Loop
from jac_converge.reconciler.mirror import Mirror
from jac_converge.reconciler.ownership import selector_of
from jac_converge.reconciler.pace import Pace
from jac_converge.reconciler.parts import Parts
from jac_converge.reconciler.render import Heal, Row
from jac_converge.reconciler.solo import Solo
from jac_converge.reconciler.source import Source
from jac_converge.reconciler.trigger import Trigger
from jac_converge.reconciler.views import PlainView
from jac_converge.reconciler.watch import KindWatch, Recovery

__all__ = ["APP", "RunningLoop", "running_loop", "wait_until", "write_app"]

APP = """
walker hi { can go with entry { report "hi"; } }
"""


@dataclass
class Recorder:
    """A view that remembers."""

    rows: tuple[Row, ...] = ()
    heals: list[Heal] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    screen: StringIO = field(default_factory=StringIO)
    """What a user of the plain view has read."""

    def __post_init__(self) -> None:
        self._plain = PlainView(self.screen)

    def show(self, rows: tuple[Row, ...]) -> None:
        """Keep the latest table."""
        self.rows = rows
        self._plain.show(rows)

    def applied(self, outcome: Outcome, heals: tuple[Heal, ...]) -> None:
        """Keep every pass that wrote."""
        self.outcomes.append(outcome)
        self.heals += heals
        self._plain.applied(outcome, heals)

    def say(self, message: str) -> None:
        """Keep every message."""
        self.messages.append(message)
        self._plain.say(message)

    @property
    def ready(self) -> bool:
        """Whether every object is there and healthy."""
        return bool(self.rows) and all(row.health.state == "current" for row in self.rows)


@dataclass
class RunningLoop:
    """One loop and its app."""

    loop: Loop
    view: Recorder
    source: Source
    trigger: Trigger
    lease: Lease
    thread: Thread


def write_app(folder: Path, toml: str, *, name: str = "shop") -> Path:
    """Write an app and its jac.toml; the configuration is replaced as an editor does."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.jac"
    file.write_text(APP)
    new = folder / "jac.toml.new"
    new.write_text(toml)
    new.replace(folder / "jac.toml")
    return file


@contextmanager
def running_loop(
    file: Path,
    kubeconfig: Path,
    *,
    holder: str = "test@here:1",
    adopt: bool = False,
    until_healthy: bool = False,
    load: Callable[[], App] | None = None,
    wall: Callable[[], float] = time.time,
    limits: Limits | None = None,
    file_clock: Callable[[], float] = time.monotonic,
) -> Iterator[RunningLoop]:
    """Run the loop until the block ends, or until the app is healthy."""
    source = Source(load or (lambda: load_app(file, environ=os.environ)), clock=file_clock)
    app = source.app
    stop = Event()
    cluster = connect(
        context=None,
        namespace=app.namespace,
        selector=selector_of(app.name),
        config_file=str(kubeconfig),
        limits=limits or Limits(pace=Pace(clock=time.monotonic, wait=stop.wait)),
    )
    clock = time.monotonic
    mirror = Mirror([kind.name for kind in WATCHED], clock)
    trigger = Trigger(clock)
    lease = Lease(app_name=app.name, cluster=cluster, holder=holder, clock=clock, wall=wall)
    view = Recorder()
    rng = Random(4)  # noqa: S311 - jitter
    recovery = Recovery()
    watches = tuple(
        KindWatch(
            kind=kind,
            cluster=cluster,
            mirror=mirror,
            trigger=trigger,
            recovery=recovery,
            clock=clock,
            rng=rng,
        )
        for kind in WATCHED
    )
    converger = Converger(cluster=cluster, mirror=mirror, clock=clock, stop=stop, patience=5.0)
    parts = Parts(
        converger=converger,
        source=source,
        trigger=trigger,
        lease=lease,
        watches=watches,
        view=view,
        clock=clock,
        wall=wall,
        rng=rng,
    )
    loop = Loop(parts, adopt=adopt)
    thread = Thread(
        target=Solo(loop, parts).run, kwargs={"until_healthy": until_healthy}, name="loop"
    )
    thread.start()
    try:
        yield RunningLoop(loop, view, source, trigger, lease, thread)
    finally:
        loop.stop()
        thread.join(10)
        assert not thread.is_alive()


def wait_until(condition: Callable[[], bool], seconds: float = 20.0, what: str = "") -> None:
    """Wait on a condition, with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what or "the condition did not come true in time"
        time.sleep(0.01)
