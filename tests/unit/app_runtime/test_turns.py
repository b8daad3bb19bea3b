"""Turns among calls that lost a race for the same document."""

import threading
import time

import pytest

from jac_converge.app_runtime.stores import turns
from jac_converge.app_runtime.stores.turns import Turns

PATIENCE = 20  # s


def test_who_lost_the_same_race_runs_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is inside only when the first has left, as long as it has patience."""
    monkeypatch.setattr(turns, "PATIENCE", PATIENCE)
    queue, order = Turns(), list[str]()
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with queue.of({"a", "b"}):
            inside.set()
            assert leave.wait(PATIENCE)
            order.append("first")

    def second() -> None:
        with queue.of({"a"}):
            order.append("second")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert inside.wait(PATIENCE)
    threads[1].start()
    with queue.of(()), queue.of({"c"}):  # who lost nothing, or elsewhere, waits for nobody
        assert order == []
    leave.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert order == ["first", "second"]


def test_who_runs_for_long_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its turn is not over, and the next one has stopped waiting for it."""
    monkeypatch.setattr(turns, "PATIENCE", 0.01)
    queue, came = Turns(), threading.Event()

    def impatient() -> None:
        with queue.of({"a"}):
            came.set()

    with queue.of({"a"}):
        threading.Thread(target=impatient).start()
        assert came.wait(PATIENCE)
    with queue.of({"a"}):
        pass  # who had no turn gave none back


def test_an_error_ends_a_turn() -> None:
    """So nobody waits for what failed."""
    queue = Turns()
    with pytest.raises(KeyError), queue.of({"a"}):
        raise KeyError
    began = time.monotonic()
    with queue.of({"a"}):
        assert time.monotonic() - began < turns.PATIENCE
