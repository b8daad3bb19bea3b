"""Requests per second, ours and the peer's in turn, so that what the machine does falls on both."""

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from benchmarks.clients import ITEMS, MANY, Clients, Streams, bump, create, nothing, read
from benchmarks.load import drive, request
from benchmarks.table import Table, at_least
from tests.servers.process import Process, free_port

__all__ = ["DATABASE_ROWS", "SHELF_ROWS", "Plan", "Row", "measure", "measure_floor", "rates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long to measure."""

    rounds: int
    seconds: float
    """Of one round."""
    warm_up: float
    """s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    streams: Streams
    connections: int
    limit: float | None = None
    """Times the peer's rate."""
    long: bool = False
    """Whether it needs many users, and so time, before it starts; left out of a quick run."""


MANY_CONNECTIONS = 32
SHELF_ROWS = (
    Row(name="public walker that does nothing", streams=nothing, connections=1),
    Row(name="public walker that does nothing", streams=nothing, connections=MANY_CONNECTIONS),
    Row(name=f"read of {ITEMS} nodes", streams=read(ITEMS), connections=1, limit=8),
    Row(name=f"read of {ITEMS} nodes", streams=read(ITEMS), connections=MANY_CONNECTIONS, limit=8),
    Row(name=f"read of {MANY} nodes", streams=read(MANY), connections=1, limit=10),
    Row(name="increment of one node", streams=bump, connections=1),
    Row(name="increment of one node", streams=bump, connections=MANY_CONNECTIONS, long=True),
    Row(name="create of one node", streams=create, connections=1, limit=5),
    Row(
        name="create of one node", streams=create, connections=MANY_CONNECTIONS, limit=5, long=True
    ),
)

DATABASE_ROWS = (
    Row(name="public walker that does nothing", streams=nothing, connections=1),
    Row(name=f"read of {ITEMS} nodes", streams=read(ITEMS), connections=1, limit=8),
    Row(name=f"read of {ITEMS} nodes", streams=read(ITEMS), connections=MANY_CONNECTIONS, limit=8),
)


def measure_floor(table: Table, folder: Path, plan: Plan) -> None:
    """Print what a bare FastAPI application gives, and what our client costs beside it."""
    port = free_port()
    prepared = request("/bare", n=1)
    where = ["--app-dir", str(Path(__file__).parents[1]), "--port", str(port)]
    command = [sys.executable, "-m", "uvicorn", "benchmarks.apps.bare:app", *where]
    command += ["--no-access-log", "--log-level", "warning"]
    table.part("Bare FastAPI, one process", "1/s", "p99 ms", "client µs")
    folder.mkdir(parents=True)
    log = folder / "bare.log"

    def ready() -> bool:
        return drive(port, [iter([prepared])], 0).requests == 1

    with Process("bare FastAPI", command, log=log, ready=ready):
        for connections in (1, MANY_CONNECTIONS):
            streams = [repeat(prepared)] * connections
            drive(port, streams, plan.warm_up)
            loads = [drive(port, streams, plan.seconds) for _ in range(plan.rounds)]
            load = sorted(loads, key=lambda load: load.rate)[len(loads) // 2]
            cells = [f"{load.rate:.0f}", f"{load.latency(99) * 1000:.1f}"]
            own = load.own_seconds / load.requests * 1e6
            table.row(f"POST with a typed body, c={connections}", *cells, f"{own:.0f}")


def measure(table: Table, rows: Sequence[Row], clients: Sequence[Clients], plan: Plan) -> None:
    """Print a line for each row.

    Args:
        table: where to.
        rows: what to measure.
        clients: of ours, and of the peer's server if there is one.
        plan: how long.
    """
    for row in rows:
        ours, *peers = rates([(row, those) for those in clients], plan)
        name = f"{row.name}, c={row.connections}"
        if not peers:
            table.row(name, f"{statistics.median(ours):.0f}")
            continue
        (peer,) = peers
        ratio = statistics.median(one / other for one, other in zip(ours, peer, strict=True))
        cells = [f"{statistics.median(each):.1f}" for each in (ours, peer)]
        limits = () if row.limit is None else (at_least(ratio, row.limit),)
        table.row(name, *cells, f"{ratio:.1f}", limits=limits)


def rates(cases: Sequence[tuple[Row, Clients]], plan: Plan) -> list[list[float]]:
    """Return how fast each case is in each round, in 1/s; the cases take turns."""
    found: list[list[float]] = [[] for _ in cases]
    for row, clients in cases:
        drive(clients.server.port, row.streams(clients, row.connections), plan.warm_up)
    for turn in range(plan.rounds):
        pairs = list(zip(cases, found, strict=True))
        # Each goes first in half of the rounds.
        for (row, clients), their in reversed(pairs) if turn % 2 else pairs:
            streams = row.streams(clients, row.connections)
            their.append(drive(clients.server.port, streams, plan.seconds).rate)
    return found
