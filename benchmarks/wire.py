"""Commands per request at Redis and at MongoDB, exact, ours and the peer's.

Each request is sent several times, one after the other; a figure that is not whole means that they
differed. What our server asks MongoDB once a second, however many requests there are (which epoch
it is), is let pass before. Our server has both proxies before its stores, and the peer has two of
its own.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.clients import ITEMS, MANY, Clients
from benchmarks.counting_proxy import CountingProxy
from benchmarks.table import Limit, Table, at_most

__all__ = ["Counted", "measure"]

TIMES = 3
HOPS = 50
CREATED = 11
PATIENCE = 300.0  # s
BEAT, QUIET = 1.1, 0.1  # s: a look at the epoch is due again; one that was begun is over
WARM = 10.0  # s; our cache takes nothing in the first five after it was emptied


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A server whose stores are behind counters."""

    clients: Clients
    redis: CountingProxy
    mongo: CountingProxy
    forget: Callable[[], object]
    """Empties its Redis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Per request."""

    redis: float
    trips: float
    """To Redis."""
    mongo: float
    names: str


def measure(table: Table, counted: Sequence[Counted], *, quick: bool) -> None:
    """Print a line for each kind of request.

    Args:
        table: where to.
        counted: ours, and the peer's if there is one.
        quick: ours alone where the peer takes long, and nothing without a limit that takes long.
    """
    table.part("Redis commands (round trips) + MongoDB commands, per request", "ours", "peer")
    for name, ask, limits in _ROWS:
        slow = quick and (str(MANY) in name or str(HOPS) in name)
        if slow and limits is _no_limit:
            continue
        shown = counted[:1] if slow else counted
        found = [ask(each) for each in shown]
        table.row(name, *(_text(asked) for asked in found), limits=limits(found[0]))
        for who, asked in zip(("ours", "peer"), found, strict=False):
            table.note(f"  {who}: {asked.names}")


type _Ask = Callable[[Counted], _Asked]


def _warm(path: str, *, items: int | None = ITEMS, prepare: str | None = None) -> _Ask:
    """Count a request that the server has answered before."""

    def ask(counted: Counted) -> _Asked:
        send = _sender(counted, path, items, prepare)
        send()
        _settle(counted, send)
        return _per_request(counted, send)

    return ask


def _settle(counted: Counted, send: Callable[[], object]) -> None:
    """Send until a request asks MongoDB nothing, or for so long that it will not change."""
    deadline = time.monotonic() + WARM
    while time.monotonic() < deadline:
        counted.mongo.take()
        send()
        if not counted.mongo.take().commands:
            return
        time.sleep(WARM / 50)


def _cold(path: str, *, items: int = ITEMS, prepare: str | None = None) -> _Ask:
    """Count a request after which Redis has forgotten everything, again and again."""

    def ask(counted: Counted) -> _Asked:
        send = _sender(counted, path, items, prepare)
        send()

        def send_cold() -> None:
            counted.forget()
            send()

        return _per_request(counted, send_cold)

    return ask


def _sender(
    counted: Counted, path: str, items: int | None, prepare: str | None
) -> Callable[[], None]:
    server = counted.clients.server
    token = None if items is None else counted.clients.users(1, items=items)[0]

    def send(to: str = path) -> None:
        answer = server.send("POST", to, {}, token=token, timeout=PATIENCE)
        assert answer.status == 200, answer.body
        assert answer.reports, answer.body

    if prepare is not None:
        send(prepare)
    return send


def _per_request(counted: Counted, send: Callable[[], None]) -> _Asked:
    time.sleep(BEAT)
    send()
    time.sleep(QUIET)
    for proxy in (counted.redis, counted.mongo):
        proxy.take()
    for _ in range(TIMES):
        send()
    redis, mongo = counted.redis.take(), counted.mongo.take()
    both = Counter(
        {name: count / TIMES for name, count in (redis.commands + mongo.commands).items()}
    )
    return _Asked(
        redis=redis.commands.total() / TIMES,
        trips=redis.trips / TIMES,
        mongo=mongo.commands.total() / TIMES,
        names=", ".join(f"{count:g} {name}" for name, count in both.most_common()) or "nothing",
    )


def _text(asked: _Asked) -> str:
    return f"{asked.redis:g} ({asked.trips:g}) + {asked.mongo:g}"


def _no_limit(_: _Asked) -> tuple[Limit, ...]:
    return ()


def _read(asked: _Asked) -> tuple[Limit, ...]:
    return at_most(asked.redis, 2, " Redis"), at_most(asked.mongo, 0, " MongoDB")


def _wide(asked: _Asked) -> tuple[Limit, ...]:
    return (at_most(max(asked.trips, asked.mongo), 3, " trips to one tier"),)


def _written(asked: _Asked) -> tuple[Limit, ...]:
    return at_most(asked.mongo, 3, " MongoDB"), at_most(asked.trips, 1, " trip to Redis")


_ROWS: tuple[tuple[str, _Ask, Callable[[_Asked], tuple[Limit, ...]]], ...] = (
    ("public walker that does nothing", _warm("/walker/nothing", items=None), _no_limit),
    (f"read of {ITEMS} nodes, cached", _warm("/walker/read"), _read),
    (f"read of {ITEMS} nodes, cold Redis", _cold("/walker/read"), _no_limit),
    ("increment of one node", _warm("/walker/bump"), _no_limit),
    (f"create of {CREATED} nodes", _warm("/walker/create_many"), _written),
    (
        f"chain of {HOPS} hops, cached",
        _warm("/walker/hops", items=0, prepare="/walker/chain"),
        _no_limit,
    ),
    (f"chain of {HOPS} hops, cold Redis", _cold("/walker/hops", items=0), _no_limit),
    # Last: the server of the tests reads a whole collection to find some documents by id.
    (f"read of {MANY} nodes, cached", _warm("/walker/read", items=MANY), _wide),
    (f"read of {MANY} nodes, cold Redis", _cold("/walker/read", items=MANY), _no_limit),
)
