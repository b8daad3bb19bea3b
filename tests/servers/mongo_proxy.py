"""A proxy that reads MongoDB's wire protocol: it counts commands, and fails at the one it is told.

    with MongoProxy(server.port) as proxy:
        store = Mongo.open(proxy.url, database="test")
        proxy.reset()
        proxy.after(2, cut)  # the second write happens, but its answer gets lost
        store.commit(batch)
        assert {"insert": 1, "update": 2} == proxy.commands

One thread per connection, so that a command held up at will holds up no other.
"""

import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

import bson

from tests.servers.process import free_port

__all__ = ["WRITES", "Cut", "Late", "MongoProxy", "cut"]

HOST = "127.0.0.1"
WRITES = frozenset({"insert", "update", "delete", "findAndModify"})
OP_MSG = 2013
MORE_TO_COME = 2  # flag of an answer that another one follows
HEADER = struct.Struct("<iiii")  # length, request id, response to, operation
RESET = struct.pack("ii", 1, 0)  # a linger time of zero: closing sends a reset


class Cut(Exception):
    """Raised by an action: this connection is reset."""


class Late(Exception):
    """Raised by an action before a command: reset the connection, and deliver the command later."""

    def __init__(self, release: threading.Event) -> None:
        """Deliver it once this is set."""
        super().__init__()
        self.release = release


def cut() -> None:
    """Reset the connection; an action."""
    raise Cut


class MongoProxy:
    """A proxy on a port of its own, in front of a server of this machine."""

    def __init__(self, target: int) -> None:
        """Describe it; nothing runs before `with`.

        Args:
            target: the server's port on 127.0.0.1.
        """
        self.target = target
        self.port = free_port()
        self.url = f"mongodb://{HOST}:{self.port}/"
        self.commands: Counter[str] = Counter()
        """What clients have sent, by the name of the command; every hello counts as "hello"."""
        self.writes = 0
        """How many of these were `WRITES`."""
        self.done = 0
        """How many writes the server has answered."""
        self._before: dict[int, Callable[[], object]] = {}
        self._after: dict[int, Callable[[], object]] = {}
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server((HOST, self.port))
        self._threads: list[threading.Thread] = []

    def reset(self) -> None:
        """Count from zero again, and forget every action."""
        with self._lock:
            self.commands.clear()
            self.writes = self.done = 0
            self._before.clear()
            self._after.clear()

    def before(self, write: int, action: Callable[[], object]) -> None:
        """Do something before the n-th write since the last reset, from 1 on, is passed on."""
        self._before[write] = action

    def after(self, write: int, action: Callable[[], object]) -> None:
        """Do something between the server's answer to the n-th write and its passing on."""
        self._after[write] = action

    def cut(self) -> None:
        """Reset every connection, from any thread."""
        with self._lock:
            for end in self._open:
                _break(end)

    def __enter__(self) -> Self:
        """Listen and pass."""
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every connection. An action that is waiting must have been released."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self.cut()
        for thread in self._threads:
            thread.join(timeout=10)
        self._listener.close()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name="mongo-proxy", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the end
            while True:
                client, _ = self._listener.accept()
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with (
            client,
            contextlib.suppress(OSError, EOFError, Cut),
            socket.create_connection((HOST, self.target)) as server,
        ):
            ends = {client, server}
            with self._lock:
                self._open |= ends
            try:
                while True:
                    self._pass(client, server)
            finally:
                with self._lock:
                    self._open -= ends
                _break(client)

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        message = _read(client)
        write = self._count(_command(message))
        try:
            self._act(self._before, write)
        except Late as late:
            _break(client)
            late.release.wait()
            server.sendall(message)
            _read(server)
            self._answered(write)
            raise Cut from late
        server.sendall(message)
        more = True
        while more:
            answer = _read(server)
            self._answered(write)
            self._act(self._after, write)
            client.sendall(answer)
            more = _operation(answer) == OP_MSG and bool(_flags(answer) & MORE_TO_COME)

    def _count(self, command: str) -> int:
        """Return which write this is; 0: none."""
        with self._lock:
            self.commands[command] += 1
            if command not in WRITES:
                return 0
            self.writes += 1
            return self.writes

    def _answered(self, write: int) -> None:
        with self._lock:
            self.done += bool(write)

    @staticmethod
    def _act(actions: dict[int, Callable[[], object]], write: int) -> None:
        if write and (action := actions.pop(write, None)):
            action()


def _break(end: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed, or its peer was faster
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        end.shutdown(socket.SHUT_RDWR)


def _read(end: socket.socket) -> bytes:
    header = _exactly(end, HEADER.size)
    return header + _exactly(end, HEADER.unpack(header)[0] - HEADER.size)


def _exactly(end: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = end.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def _operation(message: bytes) -> int:
    operation: int = HEADER.unpack_from(message)[3]
    return operation


def _flags(message: bytes) -> int:
    return int.from_bytes(message[HEADER.size : HEADER.size + 4], "little")


def _command(message: bytes) -> str:
    """Return the first key of the body; what is no OP_MSG is a hello of the old kind."""
    if _operation(message) != OP_MSG:
        return "hello"
    rest = message[HEADER.size + 4 :]
    while rest[0] != 0:  # a sequence of documents before the body
        rest = rest[1 + int.from_bytes(rest[1:5], "little") :]
    size = int.from_bytes(rest[1:5], "little")
    name = next(iter(bson.decode(rest[1 : 1 + size])))
    return "hello" if name.lower() == "ismaster" else name
