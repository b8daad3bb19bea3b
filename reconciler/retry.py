"""Which errors are tried again, and for how long: the only importer of tenacity.

An error's class decides; a set stop event wakes every sleep at once; Retry-After wins over any
backoff of ours.
"""

from collections.abc import Callable
from threading import Event
from typing import Final

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_before_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from jac_converge.reconciler.errors import Throttled, Transient

__all__ = ["Backoff", "retried"]

_EXPONENTIAL: Final = wait_random_exponential(multiplier=0.5, max=30.0)
"""Full jitter, 0.5 s doubling to 30 s."""


def retried[T](call: Callable[[], T], *, stop: Event, patience: float) -> T:
    """Call, and call again while the error is transient.

    Args:
        call: one request.
        stop: ends the waiting at once; the last error is raised then.
        patience: seconds after which an error is not tried again; a wait that has begun, such as
            the one that the server asked for, may end later.

    Raises:
        ClusterError: the last one.
    """
    failed: Transient | None = None

    def attempt() -> T:
        nonlocal failed
        # tenacity's sleep only ends early; a request that follows it may hang for seconds.
        if failed is not None and stop.is_set():
            raise failed
        try:
            return call()
        except Transient as error:
            failed = error
            raise

    retrying = Retrying(
        retry=retry_if_exception_type(Transient),
        wait=_wait,
        stop=stop_before_delay(patience) | stop_when_event_set(stop),
        sleep=sleep_using_event(stop),
        reraise=True,
    )
    return retrying(attempt)


class Backoff:
    """How long to wait after the n-th failure in a row; success forgets the failures."""

    def __init__(self) -> None:
        self._failures = 0

    def succeed(self) -> None:
        """Start over."""
        self._failures = 0

    def fail(self, at_least: float | None = None) -> float:
        """Count a failure.

        Args:
            at_least: seconds that the server asked for; they win.

        Returns:
            Seconds to wait, with full jitter.
        """
        self._failures += 1
        if at_least is not None:
            return at_least
        state = RetryCallState(retry_object=Retrying(), fn=None, args=(), kwargs={})
        state.attempt_number = self._failures
        return float(_EXPONENTIAL(state))


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, Throttled) and error.retry_after is not None:
        return error.retry_after
    return float(_EXPONENTIAL(state))
