"""Proxies that count what a server of Jac apps asks of Redis and of MongoDB, command by command.

What a driver says on its own account (greetings, signs of life, the end of a session) counts for
nothing. It changes with the two wire protocols.
"""

import contextlib
import select
import socket
import socketserver
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

__all__ = ["CountingProxy", "Tally", "mongo_messages", "redis_pipelines"]

HOST = "127.0.0.1"
CHUNK = 1 << 20
OP_MSG = 2013
FIRST_NAME = 16 + 4 + 1 + 4 + 1  # header, flags, kind of the section, length of the body, type
TALK = frozenset({"hello", "ismaster", "ping", "endsessions", "client", "select", "auth"})
PART = 4096  # bytes; the driver sends a longer pipeline in parts
NEXT_PART = 0.01  # s until the next one is there
type Piece = tuple[list[str], bytes]
"""The names of the commands that begin in some bytes, and the bytes."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What was asked."""

    commands: Counter[str] = field(default_factory=Counter)
    trips: int = 0
    """Times that a client spoke after it had been answered: a pipeline is one."""


class CountingProxy(socketserver.ThreadingTCPServer):
    """A proxy on a port of its own, in front of a port of this machine; a context manager."""

    daemon_threads = True
    block_on_close = False  # connections end with their clients or with us

    def __init__(
        self,
        target: int,
        pieces: Callable[[socket.socket], Iterator[Piece]],
        *,
        rewrite: Callable[[bytes], bytes] = bytes,
    ) -> None:
        """Listen and pass.

        Args:
            target: the server's port on 127.0.0.1.
            pieces: reads what a client sends.
            rewrite: changes a piece before it is passed on.
        """
        super().__init__((HOST, 0), _Connection)
        self.port: int = self.server_address[1]
        self.target = target
        self.pieces = pieces
        self.rewrite = rewrite
        self._tally = Tally()
        self._lock = threading.Lock()
        threading.Thread(target=self.serve_forever, name="counting-proxy", daemon=True).start()

    def __exit__(self, *_: object) -> None:
        """Take no more connections."""
        self.shutdown()
        self.server_close()

    def take(self) -> Tally:
        """Return what was asked since the last call."""
        with self._lock:
            taken, self._tally = self._tally, Tally()
        return taken

    def count(self, names: list[str], *, trip: bool) -> None:
        """Count some commands."""
        counted = [name for name in names if name.lower() not in TALK]
        if counted:
            with self._lock:
                commands = self._tally.commands + Counter(counted)
                self._tally = Tally(commands, self._tally.trips + trip)


class _Connection(socketserver.BaseRequestHandler):
    """One client, one connection to the server, a thread for each direction."""

    server: CountingProxy
    request: socket.socket

    def handle(self) -> None:
        self.answered = True
        proxy = self.server
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Whoever goes away, the other end learns it from a closed connection.
        with (
            contextlib.suppress(OSError),
            socket.create_connection((HOST, proxy.target)) as upstream,
        ):
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._answer, args=(upstream,), daemon=True).start()
            for names, data in proxy.pieces(self.request):
                trip, self.answered = self.answered, False
                proxy.count(names, trip=trip)
                upstream.sendall(proxy.rewrite(data))
            upstream.shutdown(socket.SHUT_RDWR)

    def _answer(self, upstream: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := upstream.recv(CHUNK):
                self.answered = True
                self.request.sendall(data)
            self.request.shutdown(socket.SHUT_RDWR)


def mongo_messages(client: socket.socket) -> Iterator[Piece]:
    """Read messages; the name of a command is the first key of its body."""
    with client.makefile("rb") as stream:
        while len(header := stream.read(16)) == 16:
            length, _, _, opcode = struct.unpack("<iiii", header)
            message = header + stream.read(length - 16)
            names = []
            if opcode == OP_MSG:
                names.append(message[FIRST_NAME : message.index(b"\0", FIRST_NAME)].decode())
            yield names, message


def redis_pipelines(client: socket.socket) -> Iterator[Piece]:
    """Read what a client sends without waiting for an answer, up to the end of a command."""
    names: list[str] = []
    sent, rest = bytearray(), bytearray()
    while data := client.recv(CHUNK):
        sent += data
        rest += data
        names += _redis_names(rest)
        part = len(sent) >= PART and select.select([client], [], [], NEXT_PART)[0]
        if rest or part:
            continue
        yield names, bytes(sent)
        names = []
        sent.clear()


def _redis_names(buffer: bytearray) -> Iterator[str]:
    """Take complete commands from a buffer: `*N`, then N times `$length` and the bytes."""
    while (words := _redis_command(buffer)) is not None:
        name, *_ = words
        yield name.decode().upper()


def _redis_command(buffer: bytearray) -> list[bytes] | None:
    end = buffer.find(b"\r\n")
    if end < 0:
        return None
    assert buffer.startswith(b"*"), bytes(buffer[:80])
    words, at = [], end + 2
    for _ in range(int(buffer[1:end])):
        end = buffer.find(b"\r\n", at)
        if end < 0:
            return None
        start = end + 2
        at = start + int(buffer[at + 1 : end]) + 2
        if len(buffer) < at:
            return None
        words.append(bytes(buffer[start : at - 2]))
    del buffer[:at]
    return words
