"""The live table of a workspace: one section for each app, and one line for an app that is well."""

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

from jac_converge.reconciler.render import Row, worst
from jac_converge.reconciler.views import PlainView

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["WorkspaceTable"]

_COLOURS = {"current": "green", "progressing": "yellow", "failed": "red"}


class WorkspaceTable:
    """A live table on a terminal, drawn anew when `refresh` is called and something changed."""

    def __init__(self, title: str, *, stamp: Callable[[], str] = str) -> None:
        # Only a terminal pays for rich.
        from rich.console import Console  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        self._title = Text(title, "italic")
        self._stamp = stamp
        self._console = Console(highlight=False, emoji=False)
        self._live = Live(console=self._console, auto_refresh=False)
        self._lock = Lock()
        self._rows: dict[str, tuple[Row, ...]] = {}
        self._changed = False
        self._live.start()

    def section(self, name: str) -> "_Section":
        """The view of one app."""
        return _Section(name, self)

    def keep(self, name: str, rows: tuple[Row, ...]) -> None:
        """Take an app's rows, to be drawn at the next `refresh`; none: the app is gone."""
        with self._lock:
            self._rows[name] = rows
            self._changed = True

    def line(self, text: str) -> None:
        """Print above the table."""
        self._console.print(f"{self._stamp()}{text}", markup=False)

    def refresh(self) -> None:
        """Draw what changed."""
        with self._lock:
            rows, changed, self._changed = dict(self._rows), self._changed, False
        if changed:
            self._live.update(self._table(rows), refresh=True)

    def close(self) -> None:
        """Leave the last table on the screen."""
        self.refresh()
        self._live.stop()

    def _table(self, apps: dict[str, tuple[Row, ...]]) -> "Table":
        from rich import box  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(title=self._title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for column in ("app", "object", "desired", "live", "health", "last heal"):
            table.add_column(column, overflow="fold")
        for name, rows in sorted(apps.items()):
            if not worst(rows) and not any(row.left for row in rows):
                healed = next((f"{r.key}: {r.healed}" for r in reversed(rows) if r.healed), "")
                well = Text("ready", "green")
                table.add_row(Text(name), Text(f"{len(rows)} objects"), "", "", well, Text(healed))
                continue
            for row in rows:
                state = row.health.state
                health = Text(
                    "ready" if state == "current" else row.health.sentence, _COLOURS[state]
                )
                heal = f"not healed: {', '.join(row.left)}" if row.left else row.healed
                cells = map(Text, (name, str(row.key), row.desired, row.live))
                table.add_row(*cells, health, Text(heal))
            table.add_section()
        return table


class _Section(PlainView):
    """One app's part of the table; its lines stand above, with its name."""

    def __init__(self, name: str, table: WorkspaceTable) -> None:
        super().__init__()
        self._name = name
        self._table = table

    def show(self, rows: tuple[Row, ...]) -> None:
        """See `View.show`."""
        self._table.keep(self._name, rows)

    def line(self, text: str) -> None:
        """Print above the table."""
        self._table.line(f"{self._name}: {text}")
