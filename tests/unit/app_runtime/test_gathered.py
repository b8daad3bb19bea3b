"""What is written in one turn of the loop leaves together."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from jac_converge.app_runtime.gathered import Gathering


class Wire(asyncio.Transport):
    """A transport that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Keep it."""
        self.told.append(b"".join(list_of_data))

    def close(self) -> None:
        """Note it."""
        self.told.append("closed")

    def abort(self) -> None:
        """Note it."""
        self.told.append("aborted")


def told(*turns: Sequence[Callable[[Gathering], object]]) -> list[Any]:
    """Do things in some turns of a loop; returns what the transport was told, turn by turn."""
    wire = Wire()

    async def run() -> None:
        gathering = Gathering(wire, asyncio.get_running_loop())
        for turn in turns:
            for act in turn:
                act(gathering)
            wire.told.append("turn")
            await asyncio.sleep(0)

    asyncio.run(run())
    return wire.told


def test_writes_of_one_turn_are_one() -> None:
    """Those of the next turn are the next one."""
    found = told(
        [lambda to: to.write(b"head,"), lambda to: to.write(b"body")],
        [lambda to: to.write(b"more")],
    )
    assert ["turn", b"head,body", "turn", b"more"] == found


def test_end_comes_after_what_was_written() -> None:
    """And nothing comes after the end."""
    found = told([lambda to: to.write(b"last"), lambda to: to.close()])
    assert [b"last", "closed", "turn"] == found


def test_everything_else_is_the_transport_s() -> None:
    """Such as an end without a word."""
    assert ["aborted", "turn"] == told([lambda to: to.abort()])
