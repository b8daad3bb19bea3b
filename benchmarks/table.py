"""One table of figures, printed row by row, and what of it misses its limit."""

from dataclasses import dataclass, field

__all__ = ["Limit", "Table", "at_least", "at_most"]

WIDTHS = (50, 13, 13, 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a figure must be."""

    text: str
    met: bool


def at_least(figure: float, limit: float, unit: str = "") -> Limit:
    """Ask for no less than a limit."""
    return Limit(text=f">= {limit:g}{unit}", met=figure >= limit)


def at_most(figure: float, limit: float, unit: str = "") -> Limit:
    """Ask for no more than a limit."""
    return Limit(text=f"<= {limit:g}{unit}", met=figure <= limit)


@dataclass(slots=True)
class Table:
    """The figures of one run."""

    missed: list[str] = field(default_factory=list)
    """Names of the rows that miss a limit, each after its part."""
    _part: str = ""

    def part(self, title: str, *columns: str) -> None:
        """Begin a part: its title, and what its columns are called."""
        self._part = title
        print()
        _line(title, *columns)
        print("-" * (sum(WIDTHS) + 16), flush=True)

    def row(self, name: str, *cells: str, limits: tuple[Limit, ...] = ()) -> None:
        """Print a row, and remember it if it misses a limit."""
        told = ", ".join(f"{limit.text} {'ok' if limit.met else 'MISSED'}" for limit in limits)
        padded = (*cells, *[""] * (len(WIDTHS) - 1 - len(cells)))
        _line(name, *padded, told)
        if not all(limit.met for limit in limits):
            self.missed.append(f"{self._part}: {name}")

    def note(self, text: str) -> None:
        """Print a line about the figures."""
        print(f"  {text}", flush=True)


def _line(name: str, *cells: str) -> None:
    first, *others = WIDTHS
    padded = [f"{cell:>{width}}" for cell, width in zip(cells, others, strict=False)]
    rest = cells[len(others) :]
    print("  ".join([f"{name:<{first}}", *padded, *rest]).rstrip(), flush=True)
