"""A load client that costs little: prepared bytes over keep-alive sockets, in one thread.

It changes with HTTP/1.1.
"""

import json
import re
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Load", "drive", "request"]

HOST = "127.0.0.1"
CHUNK = 262_144
PATIENCE = 60.0  # s without any answer
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
END, LAST_CHUNK = b"\r\n\r\n", b"\r\n0\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a server did under load."""

    requests: int
    seconds: float
    latencies: tuple[float, ...]
    """s, ascending."""
    own_seconds: float
    """s of processor time that this client used."""

    @property
    def rate(self) -> float:
        """Answers per s."""
        return self.requests / self.seconds

    def latency(self, percent: float) -> float:
        """Return a percentile, in s."""
        last = len(self.latencies) - 1
        return self.latencies[min(last, int(len(self.latencies) * percent / 100))]


def request(path: str, token: str | None = None, /, **fields: object) -> bytes:
    """Prepare a POST of fields as JSON."""
    body = json.dumps(fields).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {HOST}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join(lines).encode() + END + body


def drive(port: int, streams: Sequence[Iterator[bytes]], seconds: float) -> Load:
    """Send each stream of requests over a connection of its own, one after the answer to another.

    Args:
        port: of the server.
        streams: prepared requests; a stream that ends leaves its connection idle.
        seconds: after which no more are sent.

    Raises:
        AssertionError: an answer was not 200.
        TimeoutError: the server went mute.
    """
    latencies: list[float] = []
    with selectors.DefaultSelector() as selector:
        lines = [_Line(port, stream) for stream in streams]
        own, began = time.process_time(), time.perf_counter()
        waiting = 0
        for line in lines:
            selector.register(line.socket, selectors.EVENT_READ, line)
            waiting += line.send()
        while waiting:
            ready = selector.select(PATIENCE)
            if not ready:
                raise TimeoutError(f"no answer on port {port} for {PATIENCE:g} s")
            for key, _ in ready:
                line = key.data
                if line.receive():
                    now = time.perf_counter()
                    latencies.append(now - line.sent)
                    waiting -= 1
                    waiting += now - began < seconds and line.send()
        took, own = time.perf_counter() - began, time.process_time() - own
        for line in lines:
            line.socket.close()
    return Load(
        requests=len(latencies),
        seconds=took,
        latencies=tuple(sorted(latencies)),
        own_seconds=own,
    )


class _Line:
    """One connection, with at most one request under way."""

    def __init__(self, port: int, stream: Iterator[bytes]) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = stream
        self._answer = bytearray()
        self._length: int | None = None
        self.sent = 0.0

    def send(self) -> bool:
        """Send the next request; says whether there was one."""
        following = next(self._stream, None)
        if following is None:
            return False
        self._answer.clear()
        self._length = None
        self.sent = time.perf_counter()
        self.socket.sendall(following)
        return True

    def receive(self) -> bool:
        """Take what has come; says whether the answer is complete."""
        data = self.socket.recv(CHUNK)
        assert data, f"the server closed the connection after {bytes(self._answer)!r}"
        self._answer += data
        if self._length is None:
            head = self._answer.find(END)
            if head < 0:
                return False
            length = LENGTH.search(self._answer, 0, head)
            self._length = head + len(END) + int(length[1]) if length else 0
        done = (
            len(self._answer) >= self._length if self._length else self._answer.endswith(LAST_CHUNK)
        )
        if done:
            assert self._answer.startswith(b"HTTP/1.1 200"), bytes(self._answer[:2000]).decode()
        return done
