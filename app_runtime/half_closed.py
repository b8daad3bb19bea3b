"""A client that has said all it has to say, and still waits for its answer.

The end of what a client sends (FIN) is also all that is seen of one that has left. An answer is
owed to both; only a stream, which might go on for ever, ends with it. It changes with what uvicorn
does about it: it hangs up.
"""

from jac_converge.app_runtime.gathered import GatheredWrites

__all__ = ["HANG_UP", "STREAMS", "HalfClosed"]

STREAMS = "jac_converge.streams"
"""Key of `scope["state"]`: the answer goes on for as long as the client listens."""
HANG_UP = "jac_converge.hang_up"
"""Key of `scope["state"]`: ends the connection to a client that sends no more."""


class HalfClosed(GatheredWrites):
    """uvicorn's protocol, but whoever asks and sends no more is answered before the end."""

    def eof_received(self) -> bool:  # type: ignore[override]
        """Return whether the connection is kept for an answer."""
        cycle = self.cycle
        owed = cycle is not None and not cycle.more_body and not cycle.response_complete
        if not owed or STREAMS in cycle.scope["state"]:
            self.transport.close()  # ours, which sends what is gathered
            return False
        cycle.scope["state"][HANG_UP] = self.transport.close
        cycle.keep_alive = False
        return True
