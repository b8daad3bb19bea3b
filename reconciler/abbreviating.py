"""Two values of a field -> one short line that tells them apart. Pure."""

from itertools import takewhile
from typing import Any, Final

__all__ = ["abbreviated"]

SHOWN: Final = 60
"""Characters of a value; the rest is cut off."""

_CUT: Final = "..."


def abbreviated(before: Any, after: Any) -> str:
    """Tell what a field had and gets; what both begin with gives way to where they differ.

    >>> abbreviated(5, None)
    '5 -> (none)'
    """
    old, new = _printable(before), _printable(after)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    if same >= SHOWN - len(_CUT):
        # Images with a long name: their ends would be cut off, and they would look the same.
        begin = same - SHOWN // 3
        old, new = (f"{_CUT}{text[begin:]}" for text in (old, new))
    return f"{_short(old)} -> {_short(new)}"


def _printable(value: Any) -> str:
    # A value may be somebody else's: its line breaks and terminal codes stay its own.
    raw = "(none)" if value is None else str(value)
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in raw)


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - len(_CUT)]}{_CUT}"
