"""The line on which each key of a TOML document stands; tomllib does not say.

Only for documents that tomllib has accepted, so this reads on where a parser would have to judge.
It changes when TOML does.
"""

import re
import tomllib
from collections.abc import Mapping

__all__ = ["key_lines"]

_BLANK = re.compile(r"[ \t]*")
_BLANK_LINES = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_REST_OF_LINE = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|$)")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def key_lines(text: str) -> Mapping[tuple[str | int, ...], int]:
    r"""Map every key, table and list element to its line, counted from 1.

    A table's line is its header's; one that only exists through longer keys has the first of them.

    Args:
        text: a document that tomllib accepts.

    >>> key_lines("[a]\nb.c = [1,\n 2]")[("a", "b", "c", 1)]
    3
    """
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.document()
    return scanner.lines


class _Scanner:
    """One pass over one document."""

    def __init__(self, text: str) -> None:
        self.lines: dict[tuple[str | int, ...], int] = {}
        self._text = text
        self._at = 0
        self._elements: dict[tuple[str | int, ...], int] = {}
        """Arrays of tables -> how many elements they have so far."""

    def document(self) -> None:
        table: tuple[str | int, ...] = ()
        while self._skip(_BLANK_LINES) < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._assignment(table)
            self._skip(_REST_OF_LINE)

    def _header(self) -> tuple[str | int, ...]:
        line = self._line()
        several = self._text.startswith("[[", self._at)
        self._at += 1 + several
        names = self._key()
        self._at += 1 + several
        path: tuple[str | int, ...] = ()
        for depth, name in enumerate(names, start=1):
            path = (*path, name)
            self.lines.setdefault(path, line)
            if depth == len(names) and several:
                self._elements[path] = self._elements.get(path, 0) + 1
            if path in self._elements:
                path = (*path, self._elements[path] - 1)
                self.lines.setdefault(path, line)
        return path

    def _assignment(self, table: tuple[str | int, ...]) -> None:
        line, path = self._line(), table
        for name in self._key():
            path = (*path, name)
            self.lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._skip(_BLANK)
        self._value(path)

    def _key(self) -> list[str]:
        names: list[str] = []
        while True:
            self._skip(_BLANK)
            quoted = _STRING.match(self._text, self._at)
            match = quoted or _BARE_KEY.match(self._text, self._at)
            assert match is not None, "tomllib has accepted this key"  # noqa: S101
            self._at = match.end()
            names.append(tomllib.loads(f"k = {match[0]}")["k"] if quoted else match[0])
            self._skip(_BLANK)
            if self._text[self._at] != ".":
                return names
            self._at += 1

    def _value(self, path: tuple[str | int, ...]) -> None:
        start = self._text[self._at]
        if start == "[":
            self._array(path)
        elif start == "{":
            self._inline_table(path)
        elif start in "\"'":
            self._skip(_STRING)
        else:
            self._skip(_SCALAR)

    def _array(self, path: tuple[str | int, ...]) -> None:
        self._at += 1
        index = 0
        while self._text[self._skip(_BLANK_LINES)] != "]":
            self.lines[(*path, index)] = self._line()
            self._value((*path, index))
            index += 1
            if self._text[self._skip(_BLANK_LINES)] == ",":
                self._at += 1
        self._at += 1

    def _inline_table(self, path: tuple[str | int, ...]) -> None:
        self._at += 1
        while self._text[self._skip(_BLANK_LINES)] != "}":
            self._assignment(path)
            if self._text[self._skip(_BLANK_LINES)] == ",":
                self._at += 1
        self._at += 1

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self._text, self._at)
        self._at = self._at if match is None else match.end()
        return self._at

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1
