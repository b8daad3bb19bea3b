"""What is written to a connection in one turn of the event loop, sent at once.

The head of an answer and its body are two writes. Each of them sent for itself is a system call
that wakes the client, who can do nothing with the first alone. It changes with how event loops
write.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["GatheredWrites", "Gathering"]

MOST = 64 * 1024  # bytes that wait; beyond them the transport may ask for a pause


class GatheredWrites(HttpToolsProtocol):
    """uvicorn's protocol over a transport that gathers."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the gathering in between."""
        super().connection_made(Gathering(transport, self.loop))  # type: ignore[arg-type]


class Gathering:
    """A transport, as far as uvicorn and its websockets use one."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Gather for a transport of a loop."""
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Send it at the end of this turn."""
        if not data:
            return
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(data)
        self._size += len(data)
        if self._size > MOST:
            self._send()

    def close(self) -> None:
        """Send what is left, and close."""
        self._send()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _send(self) -> None:
        parts, self._parts, self._size = self._parts, [], 0
        # To write to one that has ended would be an error; before, it went nowhere.
        if parts and not self._transport.is_closing():
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))
