"""What 1,000 wrong logins from 32 clients cost somebody who is inside: `make bench-wrong-logins`.

Each guess is at another name, so that no throttle answers it for free: every one is hashed. The
user calls a private walker over one connection, and the attackers are a process of their own.
Paired: each round measures a quiet time and then a part of the attack, so that whatever the machine
does falls on both. The exit code is 1 when a limit is missed.
"""

import argparse
import http.client
import json
import multiprocessing
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

from benchmarks.clients import APP, ITEMS, Clients
from benchmarks.load import HOST, drive, request
from tests.servers.jac_server import JacServer

LIMIT = 2.0  # times the latency without an attack
CLIENTS, GUESSES = 32, 1000
ROUNDS = 5
QUIET = 3.0  # s of each round
STEP = 1.0  # s of calls, until the attack is over
SHOWN = ((50.0, "median"), (95.0, "95 %"), (99.0, "99 %"))


def main() -> int:
    """Measure and print; exit code 1 if a limit is missed."""
    parser = argparse.ArgumentParser(prog="make bench-wrong-logins", description=__doc__)
    parser.add_argument("--guesses", type=int, default=GUESSES, help="fewer for a quick look")
    guesses: int = parser.parse_args().guesses
    with (
        tempfile.TemporaryDirectory(prefix="wrong-logins-") as folder,
        JacServer(APP, Path(folder)) as server,
    ):
        (token,) = Clients(server).users(1, items=ITEMS)
        call = request("/walker/read", token)
        drive(server.port, [repeat(call)], 1.0)  # warm
        rounds = [_round(server.port, call, guesses // ROUNDS) for _ in range(ROUNDS)]
    calls = sum(len(attacked) for _, attacked in rounds)
    print(
        f"{guesses} wrong logins from {CLIENTS} clients; {calls} calls of another user meanwhile:"
    )
    print(f"{'':10}{'quiet ms':>10}{'attack ms':>11}{'paired ratio':>14}")
    ratios = {}
    for percent, name in SHOWN:
        pairs = [(_at(quiet, percent), _at(attacked, percent)) for quiet, attacked in rounds]
        usual, then = (statistics.median(one) * 1000 for one in zip(*pairs, strict=True))
        ratios[name] = statistics.median(attacked / quiet for quiet, attacked in pairs)
        print(f"{name:10}{usual:10.2f}{then:11.2f}{ratios[name]:14.2f}")
    print(f"the median is to be at most {LIMIT:g} times as long")
    return int(ratios["median"] > LIMIT)


def _round(port: int, call: bytes, guesses: int) -> tuple[list[float], list[float]]:
    """Return the latencies of a quiet time and of an attack, in s, ascending."""
    quiet = list(drive(port, [repeat(call)], QUIET).latencies)
    return quiet, _attacked(port, call, guesses)


def _attacked(port: int, call: bytes, guesses: int) -> list[float]:
    """Call while somebody guesses."""
    latencies: list[float] = []
    attack = multiprocessing.get_context("spawn").Process(target=_guess, args=(port, guesses))
    attack.start()
    try:
        while attack.is_alive():
            latencies += drive(port, [repeat(call)], STEP).latencies
    finally:
        attack.join()
    assert attack.exitcode == 0, "an attacker failed"
    return sorted(latencies)


def _guess(port: int, guesses: int) -> None:
    """Guess from all clients, each over a connection of its own."""

    def client(number: int) -> None:
        connection = http.client.HTTPConnection(HOST, port, timeout=120)
        for guess in range(number, guesses, CLIENTS):
            body = json.dumps({"username": f"nobody-{guess}", "password": "wrong password"})
            connection.request("POST", "/user/login", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 401, answer.status
        connection.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, range(CLIENTS)))


def _at(latencies: list[float], percent: float) -> float:
    return latencies[min(len(latencies) - 1, int(len(latencies) * percent / 100))]


if __name__ == "__main__":
    sys.exit(main())
