"""What the user sees while the loop runs: plain lines, a live table, or JSON lines.

A message is said once, until another one takes its place: a loop that repeats itself hides what is
new.
"""

import json
import sys
from collections.abc import Callable, Mapping
from typing import IO, Any

from jac_converge.reconciler.apply import Outcome
from jac_converge.reconciler.render import (
    Heal,
    Row,
    applied_lines,
    heal_json,
    outcome_json,
    row_json,
)

__all__ = ["JsonView", "PlainView", "TableView"]

REMEMBERED = 64
"""Messages kept to recognise a repetition."""


class PlainView:
    """One line per event; for pipes, logs and CI."""

    def __init__(self, out: IO[str] = sys.stdout, *, stamp: Callable[[], str] = str) -> None:
        self._out = out
        self._stamp = stamp
        """What each line begins with, such as the time of day and a blank."""
        self._said: dict[str, None] = {}
        self._health: dict[str, str] = {}

    def show(self, rows: tuple[Row, ...]) -> None:
        """Tell each object whose health became another."""
        for row in rows:
            told = row.health.sentence if row.health.state != "current" else "ready"
            if self._health.get(str(row.key)) != told:
                self._health[str(row.key)] = told
                self.line(f"  {row.key}: {told}")

    def applied(self, outcome: Outcome, heals: tuple[Heal, ...]) -> None:
        """Tell each step: heals in their own words."""
        healed = {heal.key: heal for heal in heals}
        for result in outcome.results:
            for line in applied_lines(result, healed.get(result.step.key)):
                self.line(line)
        self._said.clear()

    def say(self, message: str) -> None:
        """Tell a message that was not told lately."""
        if message in self._said:
            return
        self._said[message] = None
        if len(self._said) > REMEMBERED:
            del self._said[next(iter(self._said))]
        self.line(message)

    def line(self, text: str) -> None:
        """Write one line at once."""
        self._write(f"{self._stamp()}{text}")

    def _write(self, line: str) -> None:
        # In one piece: in a workspace each app writes from a thread of its own.
        self._out.write(f"{line}\n")
        self._out.flush()

    def close(self) -> None:
        """Nothing to put away."""


class JsonView(PlainView):
    """One JSON object per line; stable, for programs."""

    def __init__(
        self, out: IO[str] = sys.stdout, *, fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(out)
        self._fields = fields or {}
        """What each line also says: of which app it is, where there are many."""

    def show(self, rows: tuple[Row, ...]) -> None:
        """Tell the whole table when anything in it changed."""
        told = json.dumps([row_json(row) for row in rows])
        if self._health.get("rows") != told:
            self._health["rows"] = told
            self._event("status", objects=json.loads(told))

    def applied(self, outcome: Outcome, heals: tuple[Heal, ...]) -> None:
        """Tell the steps, and the heals among them."""
        self._event("applied", steps=outcome_json(outcome), heals=[heal_json(h) for h in heals])
        self._said.clear()

    def line(self, text: str) -> None:
        """Wrap a message."""
        self._event("message", message=text)

    def _event(self, event: str, **fields: Any) -> None:
        self._write(json.dumps({"event": event, **self._fields, **fields}))


class TableView(PlainView):
    """A live table on a terminal, with the event lines scrolling above it."""

    def __init__(
        self, title: str, out: IO[str] | None = None, *, stamp: Callable[[], str] = str
    ) -> None:
        # Only a terminal pays for rich.
        from rich.console import Console  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        super().__init__(stamp=stamp)
        # Text, not str, here and below: a bracket in a name is no markup, and ":8:" no emoji.
        self._title = Text(title, "italic")
        self._console = Console(file=out, highlight=False, emoji=False)
        self._live = Live(console=self._console, auto_refresh=False)
        self._live.start()

    def show(self, rows: tuple[Row, ...]) -> None:
        """Redraw the table."""
        from rich import box  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(title=self._title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for column in ("object", "desired", "live", "health", "last heal"):
            table.add_column(column, overflow="fold")
        colours = {"current": "green", "progressing": "yellow", "failed": "red"}
        for row in rows:
            current = row.health.state == "current"
            health = Text("ready" if current else row.health.sentence, colours[row.health.state])
            cells = (str(row.key), row.desired, row.live)
            heal = f"not healed: {', '.join(row.left)}" if row.left else row.healed
            table.add_row(*map(Text, cells), health, Text(heal))
        self._live.update(table, refresh=True)

    def line(self, text: str) -> None:
        """Print above the table."""
        self._console.print(f"{self._stamp()}{text}", markup=False)

    def close(self) -> None:
        """Leave the last table on the screen."""
        self._live.stop()
