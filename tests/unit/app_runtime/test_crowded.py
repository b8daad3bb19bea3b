"""Too many who wait for a hash, or for a mail to be sent."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from jac_converge.app_runtime.calls import (
    MOST_AT_THE_DOOR,
    MOST_MAILS,
    Calls,
)
from jac_converge.app_runtime.identity import Identity
from jac_converge.app_runtime.problems import Problem

UNUSED: Any = None


@pytest.mark.parametrize(
    ("verb", "most", "seconds", "said"),
    [
        ("hashing", MOST_AT_THE_DOOR, "2", "too many log in"),
        ("mailing", MOST_MAILS, "60", "too many mails"),
    ],
)
def test_crowd_is_told_when_to_come_again(verb: str, most: int, seconds: str, said: str) -> None:
    """And those who wait already are served."""

    async def scenario() -> None:
        calls, go = Calls(UNUSED, max_attempts=1, timeout=60), threading.Event()
        identity = Identity(UNUSED, UNUSED, UNUSED, calls)
        run: Callable[[Callable[[], bool]], Awaitable[bool]] = getattr(identity, verb)
        try:
            asked = [asyncio.ensure_future(run(go.wait)) for _ in range(2 * most)]
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        finally:
            go.set()
        ends = await asyncio.gather(*asked, return_exceptions=True)
        calls.close()
        assert most <= ends.count(True)
        refused = [end for end in ends if isinstance(end, Problem)]
        assert 2 * most == ends.count(True) + len(refused)
        assert {(503, seconds)} == {
            (one.status, (one.headers or {})["Retry-After"]) for one in refused
        }
        assert all(said in one.message for one in refused)

    asyncio.run(scenario())
