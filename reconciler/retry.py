"""Which errors are tried again, and for how long: the only importer of tenacity.

An error's class decides; a set stop event wakes every sleep at once; Retry-After wins over any
backoff of ours.
"""

from collections.abc import Callable
from random import uniform
from threading import Event
from time import monotonic
from typing import Final

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.stop import stop_base

from jac_converge.reconciler.errors import Throttled, Transient

__all__ = ["Backoff", "asked_for", "retried"]

_EXPONENTIAL: Final = wait_random_exponential(multiplier=0.5, max=30.0)
"""Full jitter, 0.5 s doubling to 30 s."""

_SPREAD: Final = 0.25
"""How much longer, at most, to wait than the server asks: what it turned away at one moment must
not come back at one moment."""

_LONGEST: Final = 60.0
"""Seconds that the server may ask for and a request still waits: who asks for more is left alone,
and whoever made the request decides what to do meanwhile."""


def retried[T](
    call: Callable[[], T],
    *,
    stop: Event,
    patience: float,
    busy: Callable[[], float] = float,
    clock: Callable[[], float] = monotonic,
) -> T:
    """Call, and call again while the error is transient.

    Args:
        call: one request.
        stop: ends the waiting at once; the last error is raised then.
        patience: seconds after which an error is not tried again; a wait that the server asked
            for may end later.
        busy: seconds of all calls so far that do not count, as something came of them.
        clock: seconds, from whenever on.

    Raises:
        ClusterError: the last one.
    """
    failed: Transient | None = None
    began = clock()

    def spent() -> float:
        return clock() - began - busy()

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
        stop=_Ends(patience, spent) | stop_when_event_set(stop),
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
            Seconds to wait, with full jitter; with a little more than was asked for.
        """
        self._failures += 1
        if at_least is not None:
            return _spread(at_least)
        state = RetryCallState(retry_object=Retrying(), fn=None, args=(), kwargs={})
        state.attempt_number = self._failures
        return float(_EXPONENTIAL(state))


def asked_for(*errors: Exception | None) -> float | None:
    """The longest wait, in seconds, that a server asked for; None: none of them did."""
    return max(
        (e.retry_after for e in errors if isinstance(e, Throttled) and e.retry_after is not None),
        default=None,
    )


class _Ends(stop_base):
    """Ends the tries when patience does, but not for a wait that the server asked for."""

    def __init__(self, patience: float, spent: Callable[[], float]) -> None:
        self._patience = patience
        self._spent = spent

    def __call__(self, retry_state: RetryCallState) -> bool:
        asked = asked_for(_error_of(retry_state))
        spent = self._spent()
        if asked is None:
            return spent + retry_state.upcoming_sleep >= self._patience
        return spent >= self._patience or asked > max(_LONGEST, self._patience)


def _wait(state: RetryCallState) -> float:
    asked = asked_for(_error_of(state))
    return float(_EXPONENTIAL(state)) if asked is None else _spread(asked)


def _error_of(state: RetryCallState) -> Exception | None:
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, Exception) else None


def _spread(asked: float) -> float:
    return asked * uniform(1.0, 1.0 + _SPREAD)  # noqa: S311 - jitter
