"""Which errors are tried again, how long, and what ends the waiting."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread

import pytest

from jac_converge.reconciler.errors import (
    ClusterError,
    Conflict,
    Gone,
    Immutable,
    Invalid,
    Missing,
    NoCluster,
    Refused,
    ServerFault,
    Terminating,
    Throttled,
    Unreachable,
)
from jac_converge.reconciler.retry import Backoff, asked_for, retried


@dataclass
class Server:
    """Answers with one error after the other, then with success."""

    errors: list[ClusterError]
    asked: Event = field(default_factory=Event)
    asks: int = 0

    def ask(self) -> str:
        """One request."""
        self.asks += 1
        self.asked.set()
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def at_once() -> Throttled:
    """A transient error that asks for no wait at all."""
    return Throttled("x", "busy", retry_after=0)


def test_retried_asks_again_until_it_is_answered() -> None:
    """The caller does not hear of errors that pass."""
    server = Server([at_once(), at_once()])
    assert ("done", 3) == (retried(server.ask, stop=Event(), patience=60), server.asks)


@pytest.mark.parametrize(
    "error", [Conflict, Gone, Immutable, Invalid, Missing, NoCluster, Refused, Terminating]
)
def test_retried_does_not_repeat_what_fails_again(error: type[ClusterError]) -> None:
    """The class alone decides."""
    server = Server([error("x", "no")])
    with pytest.raises(error):
        retried(server.ask, stop=Event(), patience=60)
    assert 1 == server.asks


@pytest.mark.parametrize("error", [ServerFault, Throttled, Unreachable])
def test_retried_raises_the_last_error_when_patience_ends(error: type[ClusterError]) -> None:
    """Not an error of the library that retries."""
    server = Server([error("x", "no")])
    with pytest.raises(error):
        retried(server.ask, stop=Event(), patience=0)
    assert 1 == server.asks


@pytest.mark.parametrize("error", [Unreachable("x", "no"), at_once()])
@pytest.mark.parametrize(("busy", "asks"), [(0.0, 1), (99.0, 2)])
def test_retried_has_patience_with_what_goes_on(
    error: ClusterError, busy: float, asks: int
) -> None:
    """Of 100 seconds, those count that were spent for nothing."""
    server, times = Server([error]), iter([0.0, 100.0])
    with suppress(ClusterError):
        retried(server.ask, stop=Event(), patience=60, busy=lambda: busy, clock=lambda: next(times))
    assert asks == server.asks


def test_retried_wakes_from_its_wait_when_stopped() -> None:
    """Ctrl-C does not wait for a server that asked for an hour, nor for one more request."""
    server, stop = Server([Throttled("x", "busy", retry_after=3600)]), Event()
    raised: list[ClusterError] = []

    def run() -> None:
        try:
            retried(server.ask, stop=stop, patience=7200)
        except Throttled as error:
            raised.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    assert server.asked.wait(10)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert (["x failed (Throttled): busy"], 1) == (list(map(str, raised)), server.asks)


def test_retried_waits_by_itself_when_the_server_does_not_say() -> None:
    """An unreachable server is asked again, not at once and not for ever."""
    server, stop = Server([Unreachable("x", "gone"), Throttled("x", "busy")]), Event()
    assert "done" == retried(server.ask, stop=stop, patience=60)


def waits(backoff: Backoff) -> Iterator[float]:
    """The waits after failure upon failure."""
    while True:
        yield backoff.fail()


def most(make: Callable[[], Backoff], failures: int) -> float:
    """The longest wait seen after so many failures."""
    return max(
        wait
        for _ in range(200)
        for wait in [w for w, _ in zip(waits(make()), range(failures), strict=False)][-1:]
    )


def test_backoff_doubles_its_longest_wait_up_to_half_a_minute() -> None:
    """Jitter chooses anything below, so that many clients do not come back at once."""
    assert 0.25 < most(Backoff, 1) <= 0.5 < most(Backoff, 3) <= 2.0 < most(Backoff, 12) <= 30.0


def test_backoff_forgets_its_failures_with_a_success() -> None:
    """Trouble of an hour ago makes nobody wait now."""
    backoff = Backoff()
    for _ in range(12):
        backoff.fail()
    backoff.succeed()
    assert backoff.fail() <= 0.5


@pytest.mark.parametrize("seconds", [0.0, 120.0])
def test_backoff_waits_as_long_as_the_server_asks(seconds: float) -> None:
    """Retry-After wins over any choice of ours; a little more, or all come back at once."""
    waits = [Backoff().fail(at_least=seconds) for _ in range(50)]
    assert seconds <= min(waits) <= max(waits) <= seconds * 1.25
    assert (seconds > 0) == (len(set(waits)) > 1)


def test_retried_waits_longer_than_its_patience_when_the_server_asks() -> None:
    """Who is told when to come back does not give up before, nor come back sooner."""
    server = Server([Throttled("x", "busy", retry_after=1)])
    began = time.monotonic()
    assert "done" == retried(server.ask, stop=Event(), patience=0.5)
    assert time.monotonic() - began >= 1.0


def test_retried_leaves_it_to_its_caller_when_the_server_asks_for_an_hour() -> None:
    """One request must not hold everything else up that long."""
    server = Server([Throttled("x", "busy", retry_after=3600)])
    with pytest.raises(Throttled):
        retried(server.ask, stop=Event(), patience=60)
    assert 1 == server.asks


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        pytest.param((), None, id="none failed"),
        pytest.param((Unreachable("x", "gone"), Throttled("x", "busy")), None, id="none asked"),
        pytest.param((at_once(), Throttled("x", "busy", 7.0)), 7.0, id="the longest"),
    ],
)
def test_asked_for_is_the_longest_wait(
    errors: tuple[ClusterError, ...], expected: float | None
) -> None:
    """A pass that failed in several ways is repeated when all of them may pass."""
    assert expected == asked_for(*errors)
