"""A TCP proxy that fails on demand: the faults come from here, the answers from a real server."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from tests.servers.process import free_port

__all__ = ["TcpProxy"]

HOST = "127.0.0.1"
CHUNK = 65536
# Closing with a linger time of zero sends a reset instead of a regular end.
RESET = struct.pack("ii", 1, 0)


class TcpProxy:
    """A proxy on a port of its own, in front of a port of this machine.

    One event loop in one thread does it all, so a fault is in force when its method returns.
    """

    def __init__(self, target: int) -> None:
        """Describe it; nothing runs before `with`.

        Args:
            target: the server's port on 127.0.0.1; nothing need listen there yet.
        """
        self.target = target
        self.port = free_port()
        self.accepted = 0
        """Connections accepted so far."""
        self.bytes_up = 0
        """Bytes passed to the server."""
        self.bytes_down = 0
        """Bytes passed to clients."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy")
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._delay = 0.0
        self._connections: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        """Listen and pass."""
        self._thread.start()
        self.resume()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Reset every connection and end."""
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    @property
    def open(self) -> int:
        """Clients connected now."""
        return len(self._connections)

    def cut(self) -> None:
        """Reset every connection; new ones pass as before."""
        self._do(self._reset_all())

    def stall(self) -> None:
        """Go mute: connections stay, and new ones are accepted, but not a byte passes."""
        self._do(self._hold())

    def slow(self, seconds: float) -> None:
        """Let everything that passes from now on take so many s more, in either direction."""
        self._delay = seconds

    def refuse(self) -> None:
        """Reset every connection and refuse new ones."""
        self._do(self._close())

    def resume(self) -> None:
        """Pass again; what was sent into a stalled proxy arrives now."""
        self._do(self._pass())

    def _do(self, change: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(change, self._loop).result(timeout=10)

    async def _hold(self) -> None:
        self._flowing.clear()

    async def _pass(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, HOST, self.port)
        self._flowing.set()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset_all()

    async def _reset_all(self) -> None:
        ending = list(self._connections)
        for connection in ending:
            connection.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await asyncio.sleep(0)  # an aborted transport closes its socket in the next turn

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # asyncio logs a cancelled connection as a fault; here it is one, and meant.
        with contextlib.suppress(asyncio.CancelledError):
            await self._serve(reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self.accepted += 1
        ends = [writer]
        try:
            await self._flowing.wait()
            answers, server = await asyncio.open_connection(HOST, self.target)
            ends.append(server)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, server, "bytes_up"))
                both.create_task(self._pump(answers, writer, "bytes_down"))
            for end in ends:
                end.close()
                await end.wait_closed()
        except* OSError:
            pass  # one end broke: the other one learns it below
        finally:
            for end in ends:
                _reset(end)
            self._connections.discard(task)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, counter: str
    ) -> None:
        while data := await source.read(CHUNK):
            await self._flowing.wait()
            if self._delay:
                await asyncio.sleep(self._delay)
            sink.write(data)
            await sink.drain()
            setattr(self, counter, getattr(self, counter) + len(data))
        await self._flowing.wait()
        sink.write_eof()


def _reset(end: asyncio.StreamWriter) -> None:
    """Abort a connection with a reset; one that has ended regularly stays as it is."""
    if end.transport.is_closing():
        return
    with contextlib.suppress(OSError):  # the peer was faster
        end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    end.transport.abort()
