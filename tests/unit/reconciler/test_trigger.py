"""Many causes, one pass."""

import time
from threading import Thread

from jac_converge.reconciler.trigger import GAP, Trigger


def test_wait_returns_at_once_for_the_first_cause() -> None:
    """The first event does not wait for company."""
    trigger = Trigger(time.monotonic)
    trigger.poke("content")
    assert frozenset({"content"}) == trigger.wait()


def test_wait_gathers_what_comes_within_the_gap() -> None:
    """A burst makes one more pass, not one each."""
    trigger = Trigger(time.monotonic)
    trigger.poke("content")
    trigger.wait()
    started = time.monotonic()
    for cause in ("status", "jac.toml", "status"):
        trigger.poke(cause)
    assert frozenset({"status", "jac.toml"}) == trigger.wait()
    assert time.monotonic() - started >= GAP * 0.9


def test_wait_keeps_a_cause_that_came_during_a_pass() -> None:
    """Work that arrives while working is not lost."""
    trigger = Trigger(time.monotonic)
    trigger.poke("content")
    trigger.wait()
    trigger.poke("content")
    assert frozenset({"content"}) == trigger.wait()


def test_wait_returns_when_a_cause_is_due() -> None:
    """A later call for the same cause replaces the earlier one."""
    trigger = Trigger(time.monotonic)
    trigger.poke_at(time.monotonic() + 3600, "retry")
    trigger.poke_at(time.monotonic() + 0.02, "retry")
    trigger.poke_at(time.monotonic() + 3600, "resync")
    assert frozenset({"retry"}) == trigger.wait()


def test_stop_wakes_the_waiter() -> None:
    """A stopped trigger gives no cause, now and later."""
    trigger = Trigger(time.monotonic)
    seen: list[frozenset[str]] = []
    waiter = Thread(target=lambda: seen.append(trigger.wait()))
    waiter.start()
    trigger.stop()
    waiter.join(5)
    assert [frozenset()] == seen
    assert frozenset() == trigger.wait()
