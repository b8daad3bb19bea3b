"""What is written in one turn of the loop leaves together."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from jac_converge.app_runtime.gathered import MOST, Gathering


class Wire(asyncio.Transport):
    """A transport that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []

    def write(self, data: Any) -> None:
        """Keep it."""
        self.told.append(data)

    def is_closing(self) -> bool:
        """Say whether it has ended."""
        return "aborted" in self.told

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


def test_large_answer_does_not_wait() -> None:
    """Else nobody could ask who writes it for a pause."""
    large = b"x" * MOST
    found = told([lambda to: to.write(large), lambda to: to.write(b"more")])
    assert [large + b"more", "turn"] == found


def test_nothing_is_written_to_what_has_ended() -> None:
    """It would be an error of the loop."""
    assert ["aborted", "turn"] == told([lambda to: to.write(b"late"), lambda to: to.abort()])


def test_everything_else_is_the_transport_s() -> None:
    """Such as an end without a word."""
    assert ["aborted", "turn"] == told([lambda to: to.abort()])
