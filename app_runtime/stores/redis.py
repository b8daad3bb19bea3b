"""The cache in Redis: `redis_scripts` on connections of which each knows its server.

A connection asks who it talks to when it is made, and never reconnects by itself within an
operation: so no command can reach another server than the one it was meant for, not even one that
was restarted on the same port from an old snapshot. All keys of an epoch share one cluster slot.

Any failure is `CacheDown`, and trips the breaker. It changes with how a Redis is spoken to.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

import redis
import redis.exceptions

from jac_converge.app_runtime.stores.breaker import Breaker
from jac_converge.app_runtime.stores.cache import (
    COLD,
    HOLD,
    LEASE,
    CacheDown,
    Epoch,
    Fill,
    Found,
    Head,
    OtherServer,
    Settlement,
)
from jac_converge.app_runtime.stores.document import Document
from jac_converge.app_runtime.stores.redis_scripts import FILL, READ, RELEASE, SCRIPTS
from jac_converge.app_runtime.stores.redis_scripts import HOLD as HOLD_SCRIPT
from jac_converge.app_runtime.stores.redis_urls import Pools
from jac_converge.app_runtime.stores.tally import Tally
from jac_converge.app_runtime.stores.text import body_from, text_of

__all__ = ["Redis"]

AT_ONCE = 500  # ids for one run of a script: Lua's stack has its limits
PREFIX = "jac-converge"
SUBJECT = "the cache in Redis"
FAILURES = (redis.RedisError, redis.exceptions.RedisClusterException)
Command = tuple[Any, ...]
_SHA = {script: hashlib.sha1(script.encode()).hexdigest() for script in SCRIPTS}  # noqa: S324


class Redis:
    """A `Cache` in a Redis; nothing is asked of it before it is needed."""

    def __init__(self, url: str, *, ttl: int) -> None:
        """Describe it.

        Args:
            url: redis://, rediss://, unix://, or with +sentinel or +cluster; see `redis_urls`.
            ttl: s that a document stays.

        Raises:
            StoreError: the URL makes no sense.
        """
        self._ttl = ttl
        self.tally = Tally(tier="redis")
        self._pools = Pools(url, greet=_greet)
        self._breaker = Breaker(self._knock, subject=SUBJECT)
        self._recent = "probe"

    def server(self, name: str) -> str:
        """Return the run id, and the number of the database.

        With a command: a connection that waited may be to a server that is no more.
        """
        self._breaker.check()
        return self._tripping(lambda: self._talk(name, [("TIME",)], None)[0])

    def probe(self, name: str) -> str:
        """Write a key for a second."""
        self._breaker.check()
        return self._tripping(lambda: self._write_something(name))

    def ping(self) -> None:
        """Ask for a sign of life, unless it is known to give none.

        With a command that our scripts need too: a user of an ACL may lack the right to `PING`.
        """
        self._breaker.check()
        self._tripping(lambda: self._talk(self._recent, [("TIME",)], None))

    def read(self, epoch: Epoch, ids: Collection[str], token: str) -> Found:
        """Run `READ`."""
        wanted = list(ids)
        replies = self._each(READ, epoch, wanted, [token, _ms(LEASE), _ms(COLD)])
        documents = {
            id_: _document(id_, reply)
            for id_, reply in zip(wanted, replies, strict=True)
            if isinstance(reply, bytes)
        }
        leased = frozenset(id_ for id_, reply in zip(wanted, replies, strict=True) if reply == 1)
        return Found(documents=documents, leased=leased)

    def hold(self, epoch: Epoch, ids: Collection[str], token: str) -> dict[str, Head]:
        """Run `HOLD`."""
        held = list(ids)
        replies = self._each(HOLD_SCRIPT, epoch, held, [token, _ms(HOLD), _ms(COLD)])
        return {id_: _head(reply) for id_, reply in zip(held, replies, strict=True) if reply}

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Run `FILL` and `RELEASE`."""
        commands: dict[Epoch, list[Command]] = {}
        for settlement in settlements:
            of_epoch = commands.setdefault(settlement.epoch, [])
            of_epoch += self._settling(settlement)
        for epoch, of_epoch in commands.items():
            self._run(epoch, of_epoch)

    def close(self) -> None:
        """Close all connections."""
        self._breaker.close()
        self._pools.close()

    def _each(
        self, script: str, epoch: Epoch, ids: Sequence[str], first: Sequence[Any]
    ) -> list[Any]:
        """Run a script that replies for each id; returns the replies of all."""
        commands = [
            _call(script, epoch, some, [*first, *some])
            for some in (ids[at : at + AT_ONCE] for at in range(0, max(1, len(ids)), AT_ONCE))
        ]
        return [reply for replies in self._run(epoch, commands) for reply in replies]

    def _settling(self, settlement: Settlement) -> list[Command]:
        commands = []
        if isinstance(settlement, Fill):
            for at in range(0, len(settlement.documents), AT_ONCE):
                some = settlement.documents[at : at + AT_ONCE]
                texts = [_text(document) for document in some]
                ids = [document.id for document in some]
                first = [settlement.token, self._ttl]
                commands.append(_call(FILL, settlement.epoch, ids, [*first, *texts]))
            return commands
        items = list(settlement.documents.items())
        for at in range(0, len(items), AT_ONCE):
            arguments: list[Any] = [settlement.token, self._ttl, _ms(COLD)]
            for id_, document in items[at : at + AT_ONCE]:
                arguments += [id_, "" if document is None else _text(document)]
            ids = [id_ for id_, _ in items[at : at + AT_ONCE]]
            commands.append(_call(RELEASE, settlement.epoch, ids, arguments))
        return commands

    def _run(self, epoch: Epoch, commands: Sequence[Command]) -> list[Any]:
        self._breaker.check()
        self._recent = epoch.name
        return self._tripping(lambda: self._talk(epoch.name, commands, epoch.server)[1])

    def _knock(self) -> None:
        """Probe for the breaker, which trips nothing."""
        try:
            self._write_something(self._recent)
        except FAILURES as error:
            self._pools.forget()
            raise _down(error) from error

    def _write_something(self, name: str) -> str:
        command = ("SET", f"{PREFIX}:{{{name}}}:probe", "1", "PX", 1000)
        return self._talk(name, [command], None)[0]

    def _tripping[T](self, operation: Callable[[], T]) -> T:
        try:
            return operation()
        except FAILURES as error:
            self.tally.add(errors=1)
            down = _down(error)
            self._breaker.trip(down)
            self._pools.forget()
            raise down from error

    def _talk(
        self, name: str, commands: Sequence[Command], server: str | None
    ) -> tuple[str, list[Any]]:
        """Send commands to a server in one round trip, once more if the connection was dead.

        Whatever was sent may have been done: each of our commands may be done twice.
        """
        try:
            return self._talk_once(name, commands, server)
        except (redis.ConnectionError, redis.exceptions.NoScriptError):
            self._pools.forget()
            return self._talk_once(name, commands, server)

    def _talk_once(
        self, name: str, commands: Sequence[Command], server: str | None
    ) -> tuple[str, list[Any]]:
        with self._pools.connection(f"{PREFIX}:{{{name}}}") as connection:
            found: str = connection.jac_server
            if server is not None and found != server:
                raise OtherServer(f"{SUBJECT} is another server now")
            packed = connection.pack_commands(commands)
            connection.send_packed_command(packed)
            replies = _replies(connection, len(commands))
        sent = sum(len(part) for part in packed)
        self.tally.add(round_trips=1, bytes_out=sent, bytes_in=_size(replies))
        return found, replies


def _greet(connection: Any) -> None:
    """Make a new connection know its server, and the server our scripts."""
    connection.on_connect()
    commands: list[Command] = [("INFO", "server")]
    commands += [("SCRIPT", "LOAD", script) for script in SCRIPTS]
    connection.send_packed_command(connection.pack_commands(commands))
    about = _replies(connection, len(commands))[0]
    lines = dict(line.partition(b":")[::2] for line in about.splitlines())
    if b"run_id" not in lines:
        raise redis.RedisError("INFO names no run_id, so a restart would go unseen")
    connection.jac_server = f"{lines[b'run_id'].decode()}/{connection.db}"


def _replies(connection: Any, count: int) -> list[Any]:
    """Read all replies, so that none is taken for one of the next commands; then raise."""
    replies: list[Any] = []
    refusal: redis.exceptions.ResponseError | None = None
    for _ in range(count):
        try:
            replies.append(connection.read_response())
        except redis.exceptions.ResponseError as error:
            refusal = refusal or error
    if refusal is not None:
        raise refusal
    return replies


def _call(script: str, epoch: Epoch, ids: Sequence[str], arguments: Sequence[Any]) -> Command:
    register = f"{PREFIX}:{{{epoch.name}}}"
    keys = [register, *(f"{register}:{id_}" for id_ in ids)]
    return ("EVALSHA", _SHA[script], len(keys), *keys, *arguments)


def _down(error: Exception) -> CacheDown:
    return CacheDown(
        f"{SUBJECT} failed ({type(error).__name__}): {error}; "
        "check that it runs and that [converge.database] redis_url is right"
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _text(document: Document) -> str:
    head = json.dumps([document.kind, document.version, document.group, document.stamp])
    return f"={head}\n{text_of(document.body)}"


def _document(id_: str, text: bytes) -> Document:
    head, _, body = text[1:].partition(b"\n")
    kind, version, group, stamp = body_from(head)
    return Document(
        id=id_, kind=kind, version=version, group=group, stamp=stamp, body=body_from(body)
    )


def _head(text: bytes) -> Head:
    _, _, group, stamp = body_from(text)
    return Head(group=group, stamp=stamp)


def _size(replies: Sequence[Any]) -> int:
    return sum(
        len(reply) if isinstance(reply, bytes) else _size(reply) if isinstance(reply, list) else 8
        for reply in replies
    )
