"""Work that fails in a way nobody thought of ends no thread."""

import queue
import threading
from collections.abc import Sequence

import pytest

from jac_converge.app_runtime.stores.background import Threads
from jac_converge.app_runtime.stores.cache import Epoch, Release, Settlement


def release(token: str) -> Release:
    """Make a settlement."""
    return Release(epoch=Epoch(name="e", server="s"), token=token, documents={})


def test_settlements_go_on_after_an_unexpected_error(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, with where it came from."""
    sent: queue.Queue[Settlement] = queue.Queue()

    def send(settlements: Sequence[Settlement]) -> None:
        for settlement in settlements:
            sent.put(settlement)
        if settlements[0].token == "bad":
            raise ZeroDivisionError("in the cache")

    background = Threads(send)
    background.settle(release("bad"))
    assert "bad" == sent.get(timeout=10).token
    background.settle(release("good"))
    assert "good" == sent.get(timeout=10).token
    background.close()
    assert "ZeroDivisionError: in the cache" in caplog.text


def test_tasks_go_on_after_an_unexpected_error(caplog: pytest.LogCaptureFixture) -> None:
    """The next one is run by the same thread."""
    ran: queue.Queue[str] = queue.Queue()
    threads: set[int] = set()

    def bad() -> None:
        threads.add(threading.get_ident())
        ran.put("bad")
        raise ZeroDivisionError("in the task")

    def good() -> None:
        threads.add(threading.get_ident())
        ran.put("good")

    background = Threads(lambda _: None)
    for task in (bad, good):
        background.soon(task)
        assert task.__name__ == ran.get(timeout=10)
    background.close()
    assert 1 == len(threads)
    assert "ZeroDivisionError: in the task" in caplog.text


def test_one_task_waits_while_another_runs() -> None:
    """What a task that is under way has looked at may be old already; a third one adds nothing."""
    go, ran = threading.Event(), queue.Queue[str]()

    def slow() -> None:
        ran.put("slow")
        assert go.wait(10)

    background = Threads(lambda _: None)
    background.soon(slow)
    assert "slow" == ran.get(timeout=10)
    background.soon(lambda: ran.put("waiting"))
    background.soon(lambda: ran.put("too many"))
    go.set()
    assert "waiting" == ran.get(timeout=10)
    background.close()
    assert ran.empty()
