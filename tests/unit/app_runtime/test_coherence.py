"""No read of the tiers is older than what had been acknowledged when it began, come what may."""

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.unit.app_runtime.simulated_process import Town
from tests.unit.app_runtime.simulation import IDS, Task

JUMPS = (
    0.01,
    0.3,
    1.1,
    2.1,
    2.6,
    3.2,
    4.5,
    5.5,
    11.0,
    16.0,
    31.0,
    40.0,
)  # s, around every limit there is
MOST_TASKS = 14


@contextmanager
def world(seed: int) -> Iterator[Town]:
    """Give three processes with an open epoch and a warm cache."""
    made = Town(seed)
    try:
        first = made.processes[0]
        made.begin(first, "write", lambda: first.write(IDS, how="blind"))
        warm(made)
        yield made
    finally:
        made.end()


def warm(made: Town) -> None:
    """Let all read until the cache has everything."""
    for _ in range(14):
        for process in made.processes:
            made.begin(process, "read", partial(process.read, IDS))
        made.settle_down()
        made.now += 0.9


def fault(made: Town, rng: random.Random) -> None:
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


def begin(made: Town, rng: random.Random) -> Task:
    """Have somebody do something."""
    process = rng.choice(made.processes)
    ids = rng.sample(IDS, rng.choice([1, 1, 2, 3]))
    if rng.random() < 0.55:
        return made.begin(process, f"read {ids}", lambda: process.read(ids))
    how = rng.choice(["read", "blind", "blind", "read", "remove"])
    return made.begin(process, f"write {ids} {how}", lambda: process.write(ids, how=how))


def stall(made: Town, rng: random.Random) -> None:
    """Have one task wait somewhere, perhaps for long, while everybody else goes on."""
    slow = begin(made, rng)
    for _ in range(rng.randrange(1, 12)):
        if slow.done or slow.not_before > made.now:
            break
        made.step(slow)
    if slow.done or rng.random() < 0.2:
        slow = rng.choice(made.ready() or [slow])
    if slow.done:
        return
    slow.not_before = max(slow.not_before, made.now + rng.choice(JUMPS))
    made.note(f"{slow.label} is slow, until {slow.not_before:.2f}")
    pieces = rng.choice([1, 3, 6, 12])
    piece = (slow.not_before - made.now) / pieces
    for _ in range(pieces):
        if rng.random() < 0.1:
            fault(made, rng)
        if rng.random() < 0.3:
            begin(made, rng)
        everybody_reads(made, rng, besides=slow)
        made.now += piece
    everybody_reads(made, rng, besides=slow)
    while not slow.done and slow in made.ready():
        made.step(slow)
    everybody_reads(made, rng, besides=slow)


def everybody_reads(made: Town, rng: random.Random, *, besides: Task) -> None:
    """Let all read, and whatever else they do, in any order, with one left out."""
    for process in made.processes:
        made.begin(process, "read", partial(process.read, IDS))
    while quick := [task for task in made.ready() if task is not besides]:
        made.step(rng.choice(quick))


def happen(made: Town, rng: random.Random) -> None:
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
    elif dice < 0.25:
        stall(made, rng)
    elif dice < 0.4 and ready:
        chosen = rng.choice(ready)  # a fast one among slow ones
        while not chosen.done and chosen.not_before <= made.now:
            made.step(chosen)
    elif ready:
        made.step(rng.choice(ready))


def live(seed: int, steps: int) -> tuple[int, int]:
    """Let many things happen; returns how many were read, and how many of them from the cache."""
    rng = random.Random(seed)  # noqa: S311 - no secrets
    with world(seed) as made:
        for _ in range(steps):
            happen(made, rng)
        made.settle_down()
        return made.asked, made.cached


def test_no_read_is_stale() -> None:
    """Three processes, any interleaving, any faults: and the cache is of use all the same."""
    asked = cached = 0
    for seed in range(25):
        of_these, found = live(seed, 150)
        asked, cached = asked + of_these, cached + found
    assert cached > asked / 10


# What follows stands for one line each of the argument in `tiered`, and fails without it.


def reads(made: Town, number: int, id_: str = "a") -> None:
    """Have a process read at once."""
    process = made.processes[number]
    made.run(made.begin(process, "read", lambda: process.read([id_])))


def writes(made: Town, number: int, *, how: str = "blind") -> Task:
    """Have a process begin to write."""
    process = made.processes[number]
    return made.begin(process, "write", lambda: process.write(["a"], how=how))


def test_others_see_what_one_wrote_that_does_not_reach_the_cache() -> None:
    """It closes the epoch, and waits until nobody trusts it."""
    with world(0) as made:
        made.processes[0].reaches = False
        made.run(writes(made, 0))
        reads(made, 1)
        assert made.cache.values  # the old value is there, and nobody looks


def test_a_late_commit_drops_what_was_filled_meanwhile() -> None:
    """Its hold had ended, so others filled what was true then."""
    with world(0) as made:
        late = writes(made, 0)
        made.run(late, to="asks store to commit")
        made.now += 31.0
        for _ in range(4):
            reads(made, 1)
            for task in [task for task in made.tasks if task is not late]:
                made.run(task)
        before = made.cached
        reads(made, 1)
        assert before < made.cached  # the old value is there, and right
        made.run(late)
        reads(made, 1)


def test_a_hold_outlasts_a_commit_in_time() -> None:
    """Nobody fills while a commit is on its way that need not guard again."""
    with world(0) as made:
        reads(made, 0)
        made.settle_down()
        write = writes(made, 0)
        made.run(write, to="asks store to commit")
        made.now += 1.8
        for _ in range(3):
            reads(made, 1)
            made.settle_down_but(write)
        made.run(write)
        reads(made, 1)


def test_a_server_that_comes_back_with_old_values_is_another_one() -> None:
    """However well its keys fit."""
    with world(0) as made:
        old = copy.deepcopy((made.cache.registers, made.cache.values))
        made.run(writes(made, 0))
        made.cache.run += 1
        made.cache.registers, made.cache.values = old
        reads(made, 1)


def test_a_conflict_does_not_end_the_hold_of_another() -> None:
    """Who loses a race lets go of its own hold alone."""
    with world(0) as made:
        loser = writes(made, 0)
        made.run(loser, to="asks cache to hold")
        made.run(writes(made, 1))
        made.settle_down_but(loser)
        winner = writes(made, 2)
        made.run(winner, to="asks store to commit")
        made.run(loser)
        made.settle_down_but(winner)
        for _ in range(2):
            reads(made, 1)
            made.settle_down_but(winner)
        made.run(winner)
        reads(made, 1)


def test_an_epoch_is_cold_from_its_first_use() -> None:
    """Not from when somebody got ready to open it, who may be slow."""
    with world(0) as made:
        closing, slow, writing = made.processes
        closing.reaches = False
        made.run(writes(made, 0))
        closing.reaches = True
        made.settle_down()
        looking: list[Task] = []
        for _ in range(8):
            made.now += 1.1
            reads(made, 1)
            looking = [task for task in made.tasks if "look" in task.label]
            if looking and _stands_at_probe(made, looking[0]):
                break
        made.now += 10.0
        write = writes(made, 2)
        made.run(write, to="asks store to commit")
        made.run(looking[0])
        for _ in range(3):
            reads(made, 0)
            made.settle_down_but(write)
        made.run(write)
        reads(made, 0)
        assert slow.reaches
        assert writing.reaches


def _stands_at_probe(made: Town, looking: Task) -> bool:
    while not looking.done:
        if looking.at == "has answer to probe":
            return True
        made.step(looking)
    return False


def test_an_epoch_opens_when_nobody_trusts_the_one_before() -> None:
    """Else its writers would be done while others read what is older."""
    with world(0) as made:
        reads(made, 2)
        made.settle_down()
        made.processes[0].reaches = False
        closing = writes(made, 0)
        made.run(closing, to="sleeping")
        made.now += 1.01
        reads(made, 1)
        made.settle_down_but(closing)
        made.run(writes(made, 1))
        reads(made, 2)


def test_a_sight_counts_from_before_the_question() -> None:
    """An answer that took long tells of long ago."""
    with world(0) as made:
        made.now += 5.0
        reads(made, 2)
        (looking,) = [task for task in made.tasks if "p2 look" in task.label]
        made.run(looking, to="has documents")
        made.processes[0].reaches = False
        made.run(writes(made, 0))
        made.run(looking)
        reads(made, 2)


def test_the_cache_comes_back() -> None:
    """After an outage, a flush or a restart it fills again, by itself."""
    with world(0) as made:
        for process in made.processes:
            process.reaches = False
        made.run(writes(made, 0))
        for process in made.processes:
            process.reaches = True
        for _ in range(2):
            warm(made)
            before = made.cached
            reads(made, 1)
            assert before + 1 == made.cached
            made.cache.run += 1
            made.cache.registers.clear()
            made.cache.values.clear()
        warm(made)
        made.cache.registers.clear()
        made.cache.values.clear()
        warm(made)
        before = made.cached
        reads(made, 2)
        assert before + 1 == made.cached
