"""What a bus between processes must be able to do. It changes with that promise."""

from collections.abc import Callable
from typing import Protocol

__all__ = ["Bus", "BusDown"]


class BusDown(Exception):
    """What was to be published may not have reached anybody."""


class Bus(Protocol):
    """Carries messages to whoever listens at that moment, in any process, ourselves among them."""

    async def publish(self, message: bytes) -> None:
        """Send a message.

        Raises:
            BusDown: that failed.
        """
        ...

    def listen(self, hear: Callable[[bytes], None]) -> None:
        """Begin to listen, in a thread that calls `hear`."""
        ...

    def wait(self, within: float) -> bool:
        """Wait until something that is published now would be heard; say whether it would."""
        ...

    def close(self) -> None:
        """Stop listening; idempotent."""
        ...
