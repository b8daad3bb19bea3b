"""Connections that are kept, while the server drains: given up aloud, not closed under a request.

A client may send its next request at any moment, also when the server has just decided to close;
that request would be lost, and the client could not know whether it was carried out. So while the
server drains, an open connection has what it always has: the answer to one more request, which says
that it was the last one, or an end when none comes in the time that it may stay idle. It changes
with how connections end.

Source: RFC 9112, section 9.6.
"""

from jac_converge.app_runtime.heads import BoundedHeads

__all__ = ["KeptConnections"]


class KeptConnections(BoundedHeads):
    """uvicorn's protocol, but a drain closes no connection on which a request may be under way."""

    _asked = False
    """Whether a request has come."""

    _leaving = False

    def shutdown(self) -> None:
        """Give the connection up with its next answer."""
        self._leaving = True
        if not self._asked:
            # Nothing has come yet, so nothing else would ever end it.
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        else:
            self._end_with_the_answer()

    def hang_up(self) -> None:
        """Close it now, or after the answer that is under way."""
        super().shutdown()

    def on_headers_complete(self) -> None:
        """Let the answer say that it is the last one."""
        super().on_headers_complete()
        self._asked |= not self._refused
        if self._leaving and self._asked:
            self._end_with_the_answer()

    def _end_with_the_answer(self) -> None:
        # None where the request is for a websocket.
        if self.cycle is not None and not self.cycle.response_started:
            self.cycle.keep_alive = False
