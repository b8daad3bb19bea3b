"""What clients ask for: endless streams of requests to the app of `workload.jac`.

It changes with what the walkers offer.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.history.checker import Anomaly, check_lists
from tests.history.cycles import check_cycles
from tests.history.history import History
from tests.history.sums import check_bank, check_counter

__all__ = ["WORKLOADS", "Request", "Workload", "World", "check", "last_looks", "mixed"]

BALANCE = 1000  # of each account at the beginning
MOST = 1_000_000  # values of one client; its number times this is where they begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call, and what it means for the history."""

    kind: str
    node: str = ""
    """Where the walker starts; the root if empty."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    appends: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    adds: Mapping[str, int] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Of HTTP."""
        return f"/walker/{self.kind}/{self.node}" if self.node else f"/walker/{self.kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Ids of the nodes that a run is about."""

    registers: tuple[str, ...]
    accounts: tuple[str, ...]
    counter: str
    async_counter: str
    hub: str
    bank: str

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> "World":
        """Read what the walker `plant` reports."""
        return cls(
            registers=tuple(report["registers"]),
            accounts=tuple(report["accounts"]),
            counter=report["counter"],
            async_counter=report["async_counter"],
            hub=report["hub"],
            bank=report["bank"],
        )

    @staticmethod
    def seeds(*, registers: int, accounts: int) -> Request:
        """Return the request that makes one."""
        fields = {"registers": registers, "accounts": accounts, "balance": BALANCE}
        return Request(kind="plant", fields=fields)


Workload = Callable[[World, int, random.Random], Iterator[Request]]
"""World, number of the client, its dice -> what it asks for."""


def increments(world: World, _: int, __: random.Random) -> Iterator[Request]:
    """Count, all on one node."""
    while True:
        yield Request(kind="increment", node=world.counter, adds={world.counter: 1})


def async_increments(world: World, _: int, __: random.Random) -> Iterator[Request]:
    """Count in walkers that wait between reading and writing."""
    node = world.async_counter
    while True:
        yield Request(kind="async_increment", node=node, adds={node: 1})


def appends(world: World, client: int, dice: random.Random) -> Iterator[Request]:
    """Append to one list or two, look at others on the way, or look only."""
    values = count(client * MOST)
    while True:
        keys = dice.sample(world.registers, 3)
        if dice.random() < 0.3:
            yield Request(kind="read", fields={"keys": keys})
            continue
        written = keys[: dice.choice((1, 2, 2))]
        wanted = {
            key: tuple(next(values) for _ in range(dice.choice((1, 1, 2)))) for key in written
        }
        reads = [keys[2]] if dice.random() < 0.5 else []
        yield Request(kind="append", fields={"writes": wanted, "reads": reads}, appends=wanted)


def transfers(world: World, client: int, dice: random.Random) -> Iterator[Request]:
    """Pass amounts on from account to account, and look at all of them now and then."""
    numbers = count(client * MOST)
    while True:
        if dice.random() < 0.1:
            yield Request(kind="sum", node=world.bank)
            continue
        source, target = dice.sample(world.accounts, 2)
        amount, number = dice.randint(1, 50), next(numbers)
        yield Request(
            kind="transfer",
            fields={"source": source, "target": target, "amount": amount, "number": number},
            appends={source: (number,), target: (number,)},
            adds={source: -amount, target: amount},
        )


def edges(world: World, client: int, dice: random.Random) -> Iterator[Request]:
    """Append edges to one node, and look at them now and then."""
    values = count(client * MOST)
    while True:
        if dice.random() < 0.1:
            yield Request(kind="read", fields={"keys": [world.hub]})
            continue
        value = next(values)
        appended = {world.hub: (value,)}
        yield Request(kind="append_edge", node=world.hub, fields={"value": value}, appends=appended)


WORKLOADS: dict[str, Workload] = {
    "increments": increments,
    "async increments": async_increments,
    "appends": appends,
    "transfers": transfers,
    "edges": edges,
}


def mixed(world: World, client: int, dice: random.Random) -> Iterator[Request]:
    """Do a bit of everything, in an order of one's own."""
    streams = [workload(world, client, dice) for workload in WORKLOADS.values()]
    while True:
        yield next(dice.choice(streams))


def last_looks(world: World) -> list[Request]:
    """Return requests that look at everything there is."""
    keys = [*world.registers, world.counter, world.async_counter, world.hub]
    return [
        Request(kind="read", fields={"keys": keys}),
        Request(kind="sum", node=world.bank),
    ]


def check(history: History, world: World) -> list[Anomaly]:
    """Judge a history of any of these workloads."""
    return [
        *check_lists(history),
        *check_cycles(history),
        *check_counter(history, world.counter),
        *check_counter(history, world.async_counter),
        *check_bank(history, world.accounts, opening=BALANCE),
    ]
