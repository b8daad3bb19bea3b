"""No read of the tiers is older than what had been acknowledged when it began, come what may."""

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.unit.app_runtime.simulation import IDS, World

JUMPS = (0.01, 0.3, 1.1, 2.1, 2.6, 3.2, 4.5, 5.5, 11.0, 31.0)  # s, around every limit there is
MOST_TASKS = 14


@contextmanager
def world(seed: int) -> Iterator[World]:
    """Give three processes with an open epoch and a warm cache."""
    made = World(seed)
    try:
        first = made.processes[0]
        made.begin(first, "write", lambda: first.write(IDS, how="blind"))
        warm(made)
        yield made
    finally:
        made.end()


def warm(made: World) -> None:
    """Let all read until the cache has everything."""
    for _ in range(14):
        for process in made.processes:
            made.begin(process, "read", lambda process=process: process.read(IDS))
        made.settle_down()
        made.now += 0.9


def fault(made: World, rng: random.Random) -> None:
    """Hurt something."""
    cache, process = made.cache, rng.choice(made.processes)
    what = rng.choice(
        ["reach", "reach", "reach", "flush", "evict", "forget", "snapshot", "restore", "crash"]
    )
    made.note(f"fault: {what} (p{process.number})")
    match what:
        case "reach":
            process.reaches = not process.reaches
        case "flush":
            cache.registers.clear()
            cache.values.clear()
        case "evict":
            cache.registers.clear()
        case "forget":
            cache.values.pop(rng.choice(list(cache.values) or [("", "")]), None)
        case "snapshot":
            made.snapshot = copy.deepcopy((cache.registers, cache.values))
        case "restore":
            cache.run += 1
            cache.registers, cache.values = copy.deepcopy(made.snapshot)
        case "crash":
            process.crash()


def begin(made: World, rng: random.Random) -> None:
    """Have somebody do something."""
    process = rng.choice(made.processes)
    ids = rng.sample(IDS, rng.choice([1, 1, 2, 3]))
    if rng.random() < 0.55:
        made.begin(process, f"read {ids}", lambda: process.read(ids))
    else:
        how = rng.choice(["read", "blind", "blind", "exclusive", "remove"])
        made.begin(process, f"write {ids} {how}", lambda: process.write(ids, how=how))


def stall(made: World, rng: random.Random) -> None:
    """Have one task wait, perhaps for long, while everybody else goes on."""
    slow = rng.choice(made.ready())
    slow.not_before = made.now + rng.choice(JUMPS)
    made.note(f"{slow.label} is slow, until {slow.not_before:.2f}")
    pieces = rng.choice([1, 3, 6])
    piece = (slow.not_before - made.now) / pieces
    for _ in range(pieces):
        begin(made, rng)
        for process in made.processes:
            made.begin(process, "read", lambda process=process: process.read(IDS))
        while quick := [task for task in made.ready() if task is not slow]:
            made.step(rng.choice(quick))
        made.now += piece


def happen(made: World, rng: random.Random) -> None:
    """Let one thing happen."""
    dice, ready = rng.random(), made.ready()
    if dice < 0.12 and len(made.tasks) < MOST_TASKS:
        begin(made, rng)
    elif dice < 0.17:
        made.now += rng.choice(JUMPS)
    elif dice < 0.185:
        fault(made, rng)
    elif dice < 0.195:
        made.settle_down()
    elif dice < 0.197:
        for process in made.processes:
            process.reaches = True
        warm(made)
    elif dice < 0.22 and ready:
        stall(made, rng)
    elif dice < 0.4 and ready:
        chosen = rng.choice(ready)  # a fast one among slow ones
        while not chosen.done and chosen.not_before <= made.now:
            made.step(chosen)
    elif ready:
        made.step(rng.choice(ready))


def live(seed: int, steps: int) -> tuple[int, int]:
    """Let many things happen; returns how many were read, and how many of them from the cache."""
    rng = random.Random(seed)
    with world(seed) as made:
        for _ in range(steps):
            happen(made, rng)
        made.settle_down()
        return made.asked, made.cached


def test_no_read_is_stale() -> None:
    """Three processes, any interleaving, any faults: and the cache is of use all the same."""
    reads = cached = 0
    for seed in range(40):
        asked, found = live(seed, 400)
        reads, cached = reads + asked, cached + found
    assert cached > reads / 10
