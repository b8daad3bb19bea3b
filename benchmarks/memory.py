"""What memory costs: `make bench-memory`, with jac-scale beside us in the same run.

`FLAGS=--quick` takes less than two minutes, `FLAGS=--profile` shows where a read spends its time.
The exit code is 1 when a limit is missed.
"""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import codec_cost, databases, growth, speed
from benchmarks.clients import APP, Clients
from benchmarks.peer import PeerServer, installed
from benchmarks.read_profile import print_profile
from benchmarks.table import Table
from tests.servers.build import ServerMissing
from tests.servers.jac_server import JacServer

QUICK = speed.Plan(rounds=3, seconds=0.4, warm_up=0.2)
FULL = speed.Plan(rounds=5, seconds=1.0, warm_up=0.5)
QUICK_ROUNDS, FULL_ROUNDS = 20, 100  # of the codec
QUICK_DOCUMENTS, FULL_DOCUMENTS = (100, 10_000), (100, 10_000, 1_000_000)
QUICK_EDGES, FULL_EDGES = (0, 100, 10_000), (0, 100, 10_000, 100_000)
PROFILED = 5.0  # s


def main() -> int:
    """Measure and print; exit code 1 if a limit is missed."""
    parser = argparse.ArgumentParser(prog="make bench-memory", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter rounds and fewer rows")
    parser.add_argument("--profile", action="store_true", help="profile our read, and end")
    parser.add_argument("--codec", action="store_true", help="the codec alone")
    parser.add_argument("--no-peer", action="store_true", help="our own figures only")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as name:
        folder = Path(name)
        if flags.profile:
            print_profile(folder, PROFILED)
            return 0
        table = Table()
        if flags.codec:
            _codec(table, folder, quick=flags.quick)
            return _verdict(table)
        peer = None if flags.no_peer else installed()
        _measure(table, folder, peer, quick=flags.quick)
    return _verdict(table)


def _measure(table: Table, folder: Path, peer: Path | None, *, quick: bool) -> None:
    plan = QUICK if quick else FULL
    speed.measure_floor(table, folder / "floor", plan)
    _on_the_shelf(table, folder / "shelf", plan, peer, quick=quick)
    _codec(table, folder, quick=quick)
    documents = QUICK_DOCUMENTS if quick else FULL_DOCUMENTS
    growth.by_documents(table, folder / "documents", documents, plan)
    growth.by_edges(table, folder / "edges", QUICK_EDGES if quick else FULL_EDGES, plan)
    try:
        databases.measure(table, folder / "databases", plan, peer, quick=quick)
    except ServerMissing as missing:
        table.note(f"no figures for Redis and MongoDB: {missing}")


def _codec(table: Table, folder: Path, *, quick: bool) -> None:
    copied = JacServer(APP, folder / "codec").file  # it is not started
    codec_cost.measure(table, copied, QUICK_ROUNDS if quick else FULL_ROUNDS)


def _on_the_shelf(
    table: Table, folder: Path, plan: speed.Plan, peer: Path | None, *, quick: bool
) -> None:
    servers: list[JacServer] = [JacServer(APP, folder / "ours")]
    if peer is not None:
        servers.append(PeerServer(peer, APP, folder / "peer"))
    with ExitStack() as stack:
        clients = [Clients(stack.enter_context(server)) for server in servers]
        table.part("Shelf, one worker", "ours 1/s", "peer 1/s", "ratio")
        rows = [row for row in speed.SHELF_ROWS if not (quick and row.long)]
        speed.measure(table, rows, clients, plan)


def _verdict(table: Table) -> int:
    print()
    for name in table.missed:
        print(f"MISSED  {name}")
    if not table.missed:
        print("every limit is met")
    return int(bool(table.missed))


if __name__ == "__main__":
    sys.exit(main())
