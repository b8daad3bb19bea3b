"""What memory costs: `make bench-memory`, with jac-scale beside us in the same run.

`FLAGS=--quick` takes less than two minutes, `FLAGS=--profile` shows where a read spends its time.
The exit code is 1 when a limit is missed.
"""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import speed
from benchmarks.clients import APP
from benchmarks.peer import PeerServer, installed
from benchmarks.read_profile import print_profile
from benchmarks.table import Table
from tests.servers.jac_server import JacServer

QUICK = speed.Plan(rounds=3, seconds=0.5, warm_up=0.2)
FULL = speed.Plan(rounds=5, seconds=1.0, warm_up=0.5)
PROFILED = 5.0  # s


def main() -> int:
    """Measure and print; exit code 1 if a limit is missed."""
    parser = argparse.ArgumentParser(prog="make bench-memory", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter rounds and fewer rows")
    parser.add_argument("--profile", action="store_true", help="profile our read, and end")
    parser.add_argument("--no-peer", action="store_true", help="our own figures only")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as folder:
        if flags.profile:
            print_profile(Path(folder), PROFILED)
            return 0
        peer = None if flags.no_peer else installed()
        table = Table()
        plan = QUICK if flags.quick else FULL
        speed.measure_floor(table, Path(folder, "floor"), plan)
        with ExitStack() as stack:
            servers: list[JacServer] = [JacServer(APP, Path(folder, "shelf", "ours"))]
            if peer is not None:
                servers.append(PeerServer(peer, APP, Path(folder, "shelf", "peer")))
            for server in servers:
                stack.enter_context(server)
            table.part("Shelf, one worker", "ours 1/s", "peer 1/s", "ratio")
            speed.measure(table, speed.SHELF_ROWS, servers, plan)
    return _verdict(table)


def _verdict(table: Table) -> int:
    print()
    for name in table.missed:
        print(f"MISSED  {name}")
    if not table.missed:
        print("every limit is met")
    return int(bool(table.missed))


if __name__ == "__main__":
    sys.exit(main())
