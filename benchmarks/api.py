"""Calls per second over HTTP, beside bare FastAPI and jac-scale in one run: `make bench-api`.

All servers run all the time and are asked in turn, so that whatever the machine does falls on each.
Bare FastAPI has the same body and the same answer, in a `def`, which runs in a thread as a walker
does, and in an `async def`. The exit code is 1 when a limit is missed.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path

from benchmarks.load import Load, drive, request
from benchmarks.peer import PeerServer, installed
from tests.servers.jac_server import JacServer
from tests.servers.process import Process, free_port

APP = Path(__file__).parent / "apps" / "api" / "api.jac"
ITEMS, USERS = 10, 8
MANY = 32  # connections
DEF, ASYNC = "FastAPI, def", "FastAPI, async def"
OURS, OURS_2, PEER = "jac serve", "jac serve, 2 workers", "jac-scale"
OF_DEF, OF_PEER, TAIL = 0.5, 8.0, 5.0
"""At least so many times the rate of a `def`, and of jac-scale; p99 at most so many times p50."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One server, and what to send it for each case."""

    name: str
    port: int
    requests: dict[str, list[bytes]]
    """Case -> requests of several users."""
    loads: list[Load] = field(default_factory=list)


def main() -> int:
    """Measure and print; exit code 1 if a limit is missed."""
    parser = argparse.ArgumentParser(prog="make bench-api", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter rounds")
    parser.add_argument("--no-peer", action="store_true", help="without jac-scale")
    flags = parser.parse_args()
    rounds, seconds = (3, 0.5) if flags.quick else (7, 1.5)
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="bench-api-") as folder, ExitStack() as stack:
        sides = list(_sides(stack, Path(folder), peer=not flags.no_peer))
        for case in ("public walker", "public function", f"private read of {ITEMS} nodes"):
            for connections in (1, MANY):
                there = [side for side in sides if case in side.requests]
                _measure(there, case, connections, rounds, seconds)
                missed += _told(there, case, connections)
    print()
    for line in missed or ["every limit is met"]:
        print(line)
    return int(bool(missed))


def _sides(stack: ExitStack, folder: Path, *, peer: bool) -> Iterator[Side]:
    port = free_port()
    where = ["--app-dir", str(Path(__file__).parents[1]), "--port", str(port)]
    command = [sys.executable, "-m", "uvicorn", "benchmarks.apps.bare:app", *where]
    command += ["--no-access-log", "--log-level", "warning"]
    same, same_async = request("/same", n=1), request("/same-async", n=1)

    def ready() -> bool:
        return drive(port, [iter([same])], 0).requests == 1

    bare = Process("bare FastAPI", command, log=folder / "bare.log", ready=ready)
    stack.enter_context(bare)
    for name, prepared in ((DEF, same), (ASYNC, same_async)):
        yield Side(
            name=name,
            port=port,
            requests={"public walker": [prepared], "public function": [prepared]},
        )
    servers: list[tuple[str, JacServer]] = [
        (OURS, JacServer(APP, folder / "ours")),
        (OURS_2, JacServer(APP, folder / "two", "--workers", "2")),
    ]
    if peer and (home := installed()) is not None:
        servers.append((PEER, PeerServer(home, APP, folder / "peer")))
    for name, server in servers:
        stack.enter_context(server)
        yield Side(name=name, port=server.port, requests=_requests(server))


def _requests(server: JacServer) -> dict[str, list[bytes]]:
    tokens = [server.register(f"user-{number}") for number in range(USERS)]
    for token in tokens:
        assert server.call("/walker/seed", token, n=ITEMS).status == 200
    return {
        "public walker": [request("/walker/echo", n=1)],
        "public function": [request("/function/twice", n=1)],
        f"private read of {ITEMS} nodes": [request("/walker/read", token) for token in tokens],
    }


def _measure(
    sides: Sequence[Side], case: str, connections: int, rounds: int, seconds: float
) -> None:
    for side in sides:
        side.loads.clear()
        drive(side.port, _streams(side, case, connections), seconds)  # warm
    for turn in range(rounds):
        for side in sides if turn % 2 else reversed(sides):
            side.loads.append(drive(side.port, _streams(side, case, connections), seconds))


def _streams(side: Side, case: str, connections: int) -> list[Iterator[bytes]]:
    prepared = side.requests[case]
    return [repeat(prepared[number % len(prepared)]) for number in range(connections)]


def _told(sides: Sequence[Side], case: str, connections: int) -> Iterator[str]:
    """Print the figures of a case, and yield the limits that are missed."""
    title = f"{case}, c={connections}"
    print(f"\n{title:<36}{'1/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'x def':>8}")
    floor = next((side for side in sides if side.name == DEF), None)
    for side in sides:
        p50, p99 = _latency(side, 50), _latency(side, 99)
        share = "" if floor is None else f"{_times(side, floor):.2f}"
        rate = statistics.median(load.rate for load in side.loads)
        print(f"  {side.name:<34}{rate:>10.0f}{p50:>9.2f}{p99:>9.2f}{share:>8}", flush=True)
    by_name = {side.name: side for side in sides}
    ours, peer = by_name[OURS], by_name.get(PEER)
    if floor is not None and (found := _times(ours, floor)) < OF_DEF:
        yield f"MISSED  {title}: {found:.2f} x a def of FastAPI, and not {OF_DEF:g}"
    if floor is None and peer is not None:
        found = _times(ours, peer)
        print(f"  {OURS} is {found:.1f} x {PEER}")
        if found < OF_PEER:
            yield f"MISSED  {title}: {found:.1f} x jac-scale, and not {OF_PEER:g}"
    tail = _latency(ours, 99) / _latency(ours, 50)
    if connections == MANY and tail > TAIL:
        yield f"MISSED  {title}: p99 is {tail:.1f} x p50, and not {TAIL:g}"


def _times(one: Side, other: Side) -> float:
    pairs = zip(one.loads, other.loads, strict=True)
    return statistics.median(mine.rate / theirs.rate for mine, theirs in pairs)


def _latency(side: Side, percent: float) -> float:
    return 1000 * statistics.median(load.latency(percent) for load in side.loads)


if __name__ == "__main__":
    sys.exit(main())
