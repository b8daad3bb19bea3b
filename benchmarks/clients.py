"""One server under test, its users, and the requests they send.

It changes with the walkers of `apps/memory`.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count, repeat
from pathlib import Path

from benchmarks.load import request
from tests.servers.jac_server import JacServer

__all__ = ["APP", "ITEMS", "MANY", "Clients", "Streams", "bump", "create", "nothing", "read"]

APP = Path(__file__).parent / "apps" / "memory" / "memory.jac"
ITEMS, MANY = 10, 1000  # nodes below the root of a user
CREATES = 50  # of one user; then a fresh one, so that roots stay as small for both servers
SPARE = 3  # users beyond one per connection, for a round of creates
AT_ONCE = 4  # registrations
SEED_AT_ONCE = 5000  # nodes
SEED_WITHIN = 300.0  # s
READERS = 8  # users; further connections share them


@dataclass(slots=True, kw_only=True)
class _Grower:
    """A user who may still create so many nodes."""

    token: str
    left: int = CREATES


@dataclass(slots=True)
class Clients:
    """One server, and the users it has by the number of items on their roots."""

    server: JacServer
    _users: dict[int, list[str]] = field(default_factory=dict)
    _growers: list[_Grower] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def users(self, how_many: int, *, items: int) -> list[str]:
        """Return tokens of users with so many items on their roots."""
        known = self._users.setdefault(items, [])
        known += self._register(how_many - len(known), items)
        return known[:how_many]

    def growers(self, clients: int) -> list[_Grower]:
        """Return users who may create nodes, some more than there are connections."""
        # The users of the reads are given up for this; later reads get others.
        tokens = self._users.pop(ITEMS, [])
        self._growers += [_Grower(token=token) for token in tokens]
        self._growers = [grower for grower in self._growers if grower.left]
        missing = clients + SPARE - len(self._growers)
        self._growers += [_Grower(token=token) for token in self._register(missing, ITEMS)]
        return list(self._growers)

    def _register(self, how_many: int, items: int) -> list[str]:
        names = [f"user-{next(self._numbers)}" for _ in range(how_many)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda name: self._make(name, items), names))

    def _make(self, name: str, items: int) -> str:
        token = self.server.register(name)
        for begun in range(0, items, SEED_AT_ONCE):
            fields = {"n": min(SEED_AT_ONCE, items - begun)}
            answer = self.server.send(
                "POST", "/walker/seed", fields, token=token, timeout=SEED_WITHIN
            )
            assert answer.status == 200, answer.body
        return token


type Streams = Callable[[Clients, int], Sequence[Iterator[bytes]]]
"""Makes a stream of requests for each of so many connections."""


def nothing(_: Clients, connections: int) -> Sequence[Iterator[bytes]]:
    """Call the public walker that does nothing."""
    return [repeat(request("/walker/nothing"))] * connections


def read(items: int) -> Streams:
    """Report all items of a root that has so many."""

    def streams(clients: Clients, connections: int) -> Sequence[Iterator[bytes]]:
        tokens = clients.users(min(connections, READERS), items=items)
        prepared = [request("/walker/read", token) for token in tokens]
        return [repeat(prepared[number % len(prepared)]) for number in range(connections)]

    return streams


def idle(items: int) -> Streams:
    """Do nothing, on a root that has so many items."""
    return _of_users("/walker/idle", items)


def bump(clients: Clients, connections: int) -> Sequence[Iterator[bytes]]:
    """Count up on one node of a root that has some."""
    return _of_users("/walker/bump", ITEMS)(clients, connections)


def create(clients: Clients, connections: int) -> Sequence[Iterator[bytes]]:
    """Create one node on a small root."""
    waiting = clients.growers(connections)

    def stream() -> Iterator[bytes]:
        while waiting:
            grower = waiting.pop()
            prepared = request("/walker/create", grower.token)
            while grower.left:
                grower.left -= 1
                yield prepared

    return [stream() for _ in range(connections)]


def _of_users(path: str, items: int) -> Streams:
    def streams(clients: Clients, connections: int) -> Sequence[Iterator[bytes]]:
        tokens = clients.users(connections, items=items)
        return [repeat(request(path, token)) for token in tokens]

    return streams
