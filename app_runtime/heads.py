"""The largest head of a request, and the slowest one, enforced while it arrives.

uvicorn's parser keeps all of it, and waits for ever for what is missing.

It changes with what a request may cost before it is one.
"""

import asyncio
from typing import Any, ClassVar

from jac_converge.app_runtime.half_closed import HalfClosed

__all__ = ["MOST_BYTES", "MOST_HEADERS", "BoundedHeads"]

MOST_BYTES = 32 * 1024  # request line and headers
MOST_HEADERS = 100
TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHeads(HalfClosed):
    """uvicorn's protocol, but a head that is too large is cut off, whether it ends or not.

    One that does not end at all holds its connection for a while only, and so does none.
    """

    head_within: ClassVar[float] = 60.0
    """Seconds for a head, from its first byte on; for the first one, from the connection on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arrived = 0  # bytes of a head that is not complete, about
        self._begun = self._complete = self._refused = False
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a head, and not for ever."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hand on what arrives, as long as there is a head worth waiting for."""
        if self._refused:
            return
        self._arrived += len(data)
        super().data_received(data)
        if self._refused or (not self._complete and self._arrived > MOST_BYTES):
            self._refused = True
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._arrived, self._begun, self._complete = 0, True, False
        self._wait()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Look at what there is before anybody else does."""
        self._complete = True
        self._stop_waiting()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        self._refused |= size > MOST_BYTES or len(self.headers) > MOST_HEADERS
        if not self._refused:
            super().on_headers_complete()

    def _wait(self) -> None:
        self._stop_waiting()
        self._patience = self.loop.call_later(self.head_within, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._wait()  # somebody sends the next request before the answer to this one
            return
        self._refused = True
        if self._begun:  # else nobody has asked for anything
            self.transport.write(TOO_SLOW)
        self.transport.close()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, unless its head was too large."""
        if not self._refused:
            super().handle_websocket_upgrade()

    def on_body(self, body: bytes) -> None:
        """Hand on a body of a head that was."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Hand on the end."""
        if not self._refused:
            super().on_message_complete()
