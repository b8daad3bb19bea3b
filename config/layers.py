"""Layers of settings: who says what, who wins, and where it is written.

A `Layer` holds some keys in the shape of `[converge]`, all from one place: a table of a file, an
environment variable, the command line. Merging is by key, tables within tables; the stronger layer
wins. The layers are kept, so that a problem found later can name file, line and key. It changes
when a new place may say something.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jac_converge.config.positions import key_lines
from jac_converge.config.problems import Problem

__all__ = ["KeyPath", "Layer", "merge", "problem_at", "strongest", "value_at"]

type KeyPath = tuple[str | int, ...]
"""Keys and list indexes from a table down to one value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Some keys of `[converge]`, all from one place."""

    table: Mapping[str, Any]
    """In the shape of `[converge]`."""
    file: Path | None = None
    """None: not from a file, so taken literally (no `${VAR}`)."""
    text: str = ""
    """The file's content, to find lines in."""
    prefix: tuple[str, ...] = ("converge",)
    """Where the table stands in the file."""
    renamed: Mapping[KeyPath, KeyPath] = field(default_factory=dict)
    """Key of ours -> whole key in the file, where it has another name there."""
    origin: str = ""
    """What to call the place when it is not a file."""

    def written_as(self, path: KeyPath) -> KeyPath:
        """Name a key of ours the way this layer spells it."""
        return self.renamed.get(path, (*self.prefix, *path))


def merge(layers: Iterable[Layer]) -> dict[str, Any]:
    """Merge layers, the weakest first."""
    merged: dict[str, Any] = {}
    for layer in layers:
        _merge_into(merged, layer.table)
    return merged


def _merge_into(target: dict[str, Any], table: Mapping[str, Any]) -> None:
    for key, value in table.items():
        if isinstance(value, Mapping):
            below = target.get(key)
            if not isinstance(below, dict):
                below = target[key] = {}
            _merge_into(below, value)
        else:
            target[key] = value


def value_at(table: Any, path: KeyPath) -> Any:
    """Look a path up.

    Raises:
        LookupError: nothing is there.
    """
    for key in path:
        holder: type[Any] = list if isinstance(key, int) else Mapping
        if not isinstance(table, holder):
            raise LookupError(path)  # noqa: TRY004 (to the caller, nothing is there)
        table = table[key]
    return table


def strongest(layers: Sequence[Layer], path: KeyPath) -> tuple[Layer, KeyPath] | None:
    """Find who decides a key: the strongest layer that has it, or the nearest table above it."""
    for depth in range(len(path), 0, -1):
        for layer in reversed(layers):
            try:
                value_at(layer.table, path[:depth])
            except LookupError:
                continue
            return layer, path[:depth]
    return None


def problem_at(layers: Sequence[Layer], path: KeyPath, message: str) -> Problem:
    """Say that something is wrong with a key, where the user wrote it."""
    found = strongest(layers, path)
    if found is None:
        return Problem(file=None, line=None, key=dotted(("converge", *path)), message=message)
    layer, nearest = found
    key = dotted(layer.written_as(path))
    if layer.file is None:
        return Problem(file=None, line=None, key=key, message=f"{message} (from {layer.origin})")
    line = key_lines(layer.text).get(layer.written_as(nearest))
    return Problem(file=shown(layer.file), line=line, key=key, message=message)


def dotted(path: KeyPath) -> str:
    """Join keys the way TOML does, list indexes in brackets."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(file: Path) -> str:
    """Name a file the way the user would: from the current folder, where it is below."""
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)
