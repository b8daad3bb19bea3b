"""A bus between processes: Redis' publish and subscribe.

What is published while a process is not connected is lost to it, which the log says. It changes
with how a Redis is spoken to.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import redis
import redis.exceptions

from jac_converge.app_runtime.pool import Pool
from jac_converge.app_runtime.stores.bus import BusDown
from jac_converge.app_runtime.stores.redis_urls import Pools

__all__ = ["RedisBus"]

logger = logging.getLogger(__name__)

FAILURES = (redis.RedisError, redis.exceptions.RedisClusterException, OSError)
QUIET = 5.0  # s without a message after which a sign of life is asked for
PAUSE, LONGEST_PAUSE = 0.2, 5.0  # s between two tries to connect
SENDERS = 16  # threads that publish
LOOK = 0.5  # s between two looks whether it has been closed


class RedisBus:
    """One channel of one app."""

    def __init__(self, url: str, *, name: str) -> None:
        """Describe it; nothing is connected.

        Args:
            url: see `redis_urls`.
            name: of the app.

        Raises:
            StoreError: the URL makes no sense.
        """
        self._pools = Pools(url, greet=lambda connection: connection.on_connect())
        self._channel = f"jac-converge:{{{name}}}:broadcast"
        self._stop, self._hears = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        # While Redis is mute, those who wait for it hold up nobody else.
        self._senders = Pool(SENDERS, "bus")

    async def publish(self, message: bytes) -> None:
        """Send a message to whoever listens now.

        Raises:
            BusDown: that failed.
        """
        await self._senders.run(self._publish, message)

    def listen(self, hear: Callable[[bytes], None]) -> None:
        """Begin to listen, in a thread that connects again for as long as it takes."""
        self._thread = threading.Thread(
            target=self._keep_listening, args=(hear,), name="broadcasts", daemon=True
        )
        self._thread.start()

    def wait(self, within: float) -> bool:
        """Wait until what is published is heard."""
        return self._hears.wait(within)

    def close(self) -> None:
        """Stop listening; idempotent."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(4 * LOOK)
        self._senders.close()
        self._pools.close()

    def _publish(self, message: bytes) -> None:
        try:
            try:
                self._send(message)
            except redis.ConnectionError:  # it was idle, and is gone
                self._pools.forget()
                self._send(message)
        except FAILURES as error:
            self._pools.forget()
            raise BusDown(f"Redis failed ({type(error).__name__}): {error}") from error

    def _send(self, message: bytes) -> None:
        with self._pools.connection(self._channel) as connection:
            connection.send_command("PUBLISH", self._channel, message)
            connection.read_response()

    def _keep_listening(self, hear: Callable[[bytes], None]) -> None:
        pause = PAUSE
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._listen(hear)
            except FAILURES as error:
                self._pools.forget()
                if time.monotonic() - began > LONGEST_PAUSE:
                    pause = PAUSE
                if pause == PAUSE:
                    logger.warning(
                        "broadcasts of other processes are not heard (%s: %s); trying again",
                        type(error).__name__,
                        error,
                    )
                self._stop.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _listen(self, hear: Callable[[bytes], None]) -> None:
        with self._pools.connection(self._channel) as connection:
            try:
                connection.send_command("SUBSCRIBE", self._channel)
                self._read(connection, hear)
            finally:
                self._hears.clear()
                connection.disconnect()  # it is subscribed, and of no use to anybody else

    def _read(self, connection: Any, hear: Callable[[bytes], None]) -> None:
        heard = time.monotonic()
        asked = False
        while not self._stop.is_set():
            if connection.can_read(LOOK):
                reply = connection.read_response(disable_decoding=True)
                heard, asked = time.monotonic(), False
                if isinstance(reply, list) and reply[0] == b"message":
                    hear(reply[2])
                elif isinstance(reply, list) and reply[0] == b"subscribe":
                    self._hears.set()
            elif time.monotonic() - heard > 2 * QUIET:
                raise redis.ConnectionError("no sign of life")
            elif time.monotonic() - heard > QUIET and not asked:
                connection.send_command("PING")
                asked = True
