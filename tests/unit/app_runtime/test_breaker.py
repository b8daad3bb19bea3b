"""The breaker opens at the first failure and closes at the first answer."""

import logging
import threading

import pytest

from jac_converge.app_runtime.stores.breaker import LONGEST_WAIT, Breaker
from jac_converge.app_runtime.stores.cache import CacheDown


class Server:
    """Answers when its turn has come; the breaker waits for us to let it ask."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.waits: list[float] = []
        self.now = 0.0
        self.back = threading.Event()

    def probe(self) -> None:
        """Fail as often as it was to."""
        if self.failures:
            self.failures -= 1
            raise CacheDown("not yet")
        self.back.set()

    def sleep(self, seconds: float) -> None:
        """Note it."""
        self.waits.append(seconds)
        self.now += seconds


def open_for_good(caplog: pytest.LogCaptureFixture, failures: int) -> tuple[Breaker, Server]:
    """Trip one, and wait for its server to be back."""
    caplog.set_level(logging.INFO)
    server = Server(failures)
    breaker = Breaker(server.probe, subject="it", clock=lambda: server.now, sleep=server.sleep)
    breaker.check()
    breaker.trip(CacheDown("it failed"))
    assert server.back.wait(10)
    return breaker, server


def test_waits_grow_up_to_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    """A long outage costs few probes, and its end is still noticed soon."""
    breaker, server = open_for_good(caplog, 12)
    assert 13 == len(server.waits)
    assert server.waits[1] < 2 < server.waits[6]
    assert LONGEST_WAIT <= max(server.waits) <= LONGEST_WAIT + 1
    breaker.close()


def test_an_outage_is_said_twice(caplog: pytest.LogCaptureFixture) -> None:
    """Once when it begins, however many notice, and once when it ends."""
    stuck, server = threading.Event(), Server(0)

    def sleep(_: float) -> None:
        stuck.wait(10)

    caplog.set_level(logging.INFO)
    breaker = Breaker(server.probe, subject="the other", sleep=sleep)
    for _ in range(5):
        breaker.trip(CacheDown("the other failed"))
        with pytest.raises(CacheDown):
            breaker.check()
    stuck.set()
    assert server.back.wait(10)
    for thread in threading.enumerate():
        if thread.name == "probe":
            thread.join(10)
    breaker.check()
    # A breaker of another test may still have something to say.
    ours = [record for record in caplog.records if "the other" in record.getMessage()]
    levels = [record.levelno for record in ours]
    assert [logging.WARNING, logging.INFO] == levels
    breaker.close()


def test_a_closed_breaker_lets_nobody_through() -> None:
    """Its connections are gone."""
    breaker = Breaker(lambda: None, subject="it")
    breaker.close()
    with pytest.raises(CacheDown, match="closed"):
        breaker.check()
    breaker.trip(CacheDown("too late"))


def test_a_probe_that_fails_unexpectedly_is_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the next one closes the breaker."""

    class Odd(Server):
        """A server whose first answers make no sense."""

        def probe(self) -> None:
            if self.failures:
                self.failures -= 1
                raise ZeroDivisionError("in the probe")
            self.back.set()

    server = Odd(2)
    breaker = Breaker(server.probe, subject="it", sleep=server.sleep)
    breaker.trip(CacheDown("it failed"))
    assert server.back.wait(10)
    breaker.close()
    assert "ZeroDivisionError: in the probe" in caplog.text
