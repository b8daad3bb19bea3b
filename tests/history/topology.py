"""Servers of the workload app that share one store, and one judged run on them.

It changes with how servers are put together.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.history.checker import Anomaly
from tests.history.clients import Crowd, look, plant
from tests.history.faults import start
from tests.history.history import History, Outcome
from tests.history.workloads import Workload, check
from tests.servers.jac_server import JacServer

__all__ = ["Topology", "run", "serving"]

APP = Path(__file__).with_name("workload.jac")
SHOWN = 3  # anomalies of each name that a failure shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """Running servers."""

    servers: tuple[JacServer, ...]
    runs: Path
    """One byte for each run of a walker, on whatever server."""

    @property
    def ports(self) -> tuple[int, ...]:
        """Where they listen."""
        return tuple(server.port for server in self.servers)


@contextmanager
def serving(
    folder: Path, *, servers: int, workers: int, env: Mapping[str, str] | None = None
) -> Iterator[Topology]:
    """Start servers with one store: a shelf in the folder, unless the environment says otherwise.

    Args:
        folder: of the test.
        servers: how many.
        workers: of each.
        env: over our environment.
    """
    runs = folder / "runs"
    runs.touch()
    shared = {"WORKLOAD_RUNS": str(runs), "WORKLOAD_SHELF": str(folder / "shared" / "shelf.db")}
    settings = {**os.environ, **shared, **(env or {})}
    with ExitStack() as stack:
        started = []
        for number in range(servers):
            own = folder / f"server-{number}"
            server = JacServer(APP, own, "--workers", str(workers), env=settings)
            stack.callback(server.terminate)
            start(server)
            started.append(server)
        yield Topology(servers=tuple(started), runs=runs)


def run(
    topology: Topology,
    workload: Workload,
    *,
    clients: int,
    each: int | None = None,
    registers: int = 6,
    accounts: int = 8,
    during: Callable[[Crowd], object] = Crowd.join,
    seed: int = 1,
    name: str = "",
) -> History:
    """Let clients work, do something to the servers meanwhile, and judge what everybody saw.

    Args:
        topology: the servers.
        workload: what the clients ask for.
        clients: how many at once.
        each: calls of each; None: until `during` returns.
        registers: lists to append to.
        accounts: that pass amounts on.
        during: called while the clients work.
        seed: of their dice.
        name: for the line that is printed.
    """
    world = plant(topology.ports[0], registers=registers, accounts=accounts)
    before = topology.runs.stat().st_size
    with Crowd(topology.ports, world, workload, clients=clients, each=each, seed=seed) as crowd:
        during(crowd)
    runs = topology.runs.stat().st_size - before
    history = crowd.history(look(topology.ports, world))
    _tell(name, crowd, runs)
    anomalies = check(history, world)
    if anomalies:
        pytest.fail(_verdict(anomalies), pytrace=False)
    return history


def _verdict(anomalies: Sequence[Anomaly]) -> str:
    """Count all anomalies by name, and show the first of each."""
    firsts: dict[str, list[str]] = {}
    for anomaly in anomalies:
        firsts.setdefault(anomaly.name, []).append(anomaly.text)
    return "\n".join(
        f"{len(texts)} x {name}, such as: {'; '.join(texts[:SHOWN])}"
        for name, texts in firsts.items()
    )


def _tell(name: str, crowd: Crowd, runs: int) -> None:
    """Print what a run took; replays are exact where no call was cut off before its walker ran."""
    done = crowd.operations
    outcomes = [sum(1 for o in done if o.outcome is outcome) for outcome in Outcome]
    answered = {status: times for status, times in sorted(crowd.statuses.items()) if status != 200}
    print(
        f"\n{name}: {len(done)} calls in {crowd.seconds:.1f} s "
        f"({outcomes[0] / crowd.seconds:.0f} acknowledged/s), {runs - len(done)} replays; "
        f"ok, fail, unknown: {outcomes}; other answers: {answered}"
    )
