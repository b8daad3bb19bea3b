"""Lines of keys: the scanner sees exactly what tomllib sees."""

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jac_converge.config.positions import key_lines

DOCUMENT = r"""
# [not.a.table]
title = "a # b = c"   # comment

[converge.server]
port = 8000
"quoted.key" = 'lit # eral'
'lit' = @@@
fake = 1
[fake]
\@@@ not the end \\
@@@
raw = ~~~
fake = 2
ends in quotes~~~~~
two = @@@x@@@@@

[converge]
jwt.secret = "\"]\""
jwt . algorithm="HS256"
when = 2024-01-01T00:00:00Z
tab = { a = 1, b.c = [1, 2], d = {} } # after
list = [
  "one", # first
  # only a comment
  { k = 1, n = [
    2] } ,
  [3, 4],
]
empty = []

[[jobs]]
name = "a"
[jobs.extra]
x = 1

[[jobs]]
name = "b"
[[jobs.steps]]
run = true
[[jobs.steps]]
run = false
""".replace("@", '"').replace("~", "'")
"""Everything that could mislead a scanner; @ and ~ stand for quotes."""


def paths(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """List every key and index of a parsed document."""
    below: Any = ()
    if isinstance(value, dict):
        below = value.items()
    elif isinstance(value, list):
        below = enumerate(value)
    found = {path} if path else set()
    return found.union(*(paths(part, (*path, key)) for key, part in below))


def line_of(text: str) -> int:
    """Find the only line of DOCUMENT that holds a text."""
    (line,) = (n for n, line in enumerate(DOCUMENT.splitlines(), 1) if text in line)
    return line


def test_key_lines_finds_the_keys_that_tomllib_finds() -> None:
    """Neither a key too many nor one too few, in a document full of traps."""
    assert paths(tomllib.loads(DOCUMENT)) == set(key_lines(DOCUMENT))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("title",), "title ="),
        (("converge",), "[converge.server]"),
        (("converge", "server", "port"), "port ="),
        (("converge", "server", "quoted.key"), "quoted.key"),
        (("converge", "server", "two"), "two ="),
        (("converge", "jwt", "secret"), "jwt.secret"),
        (("converge", "jwt", "algorithm"), "jwt . algorithm"),
        (("converge", "tab", "b", "c", 1), "tab ="),
        (("converge", "list"), "list ="),
        (("converge", "list", 0), '"one"'),
        (("converge", "list", 1, "n", 0), "2] }"),
        (("converge", "list", 2, 1), "[3, 4]"),
        (("jobs", 0, "name"), 'name = "a"'),
        (("jobs", 0, "extra", "x"), "x = 1"),
        (("jobs", 1, "name"), 'name = "b"'),
        (("jobs", 1, "steps", 1, "run"), "run = false"),
    ],
)
def test_key_lines_gives_the_line_of_a_key(path: tuple[str | int, ...], text: str) -> None:
    """Dotted, quoted, inline and repeated: each on its own line."""
    assert line_of(text) == key_lines(DOCUMENT)[path]


def test_key_lines_counts_windows_lines() -> None:
    """Carriage returns neither hide a key nor count as lines."""
    text = DOCUMENT.replace("\n", "\r\n")
    assert key_lines(DOCUMENT) == key_lines(text)


_KEYS = st.text(min_size=1, max_size=6)
_LEAVES = st.one_of(st.integers(-9, 9), st.booleans(), st.text(max_size=12))
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=8,
)


def inline(value: Any) -> str:
    """Write a value as TOML on one line."""
    if isinstance(value, dict):
        return (
            f"{{ {', '.join(f'{text(key)} = {inline(below)}' for key, below in value.items())} }}"
        )
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    return text(value) if isinstance(value, str) else json.dumps(value)


def text(value: str) -> str:
    """Write a TOML string."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


@given(st.dictionaries(_KEYS, st.dictionaries(_KEYS, _VALUES, max_size=4), max_size=4))
def test_key_lines_agrees_with_any_document(document: dict[str, dict[str, Any]]) -> None:
    """Whatever the keys and strings are, every path is found, on the line it was written to."""
    lines: list[str] = []
    expected: dict[tuple[str | int, ...], int] = {}
    for table, values in document.items():
        lines.append(f"[{text(table)}]")
        expected[table,] = len(lines)
        for key, value in values.items():
            lines.append(f"{text(key)} = {inline(value)}")
            expected |= dict.fromkeys(paths(value, (table, key)), len(lines))
    assert expected == key_lines("\n".join(lines))
