"""`${NAME}` in strings."""

from typing import Any

import pytest

from jac_converge.config.layers import KeyPath
from jac_converge.config.variables import UnsetVariable, interpolate

ENVIRON = {"HOST": "db", "EMPTY": "", "TRICK": "${HOST}"}


def resolved(table: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[KeyPath, str]]]:
    """Interpolate; give the table and what could not be had."""
    missing: list[tuple[KeyPath, str]] = []

    def unset(path: KeyPath, reason: UnsetVariable) -> None:
        missing.append((path, str(reason)))

    result = interpolate(table, ENVIRON, unset=unset, literal=lambda path: path == ("literal",))
    return result, missing


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${HOST}", "db"),
        ("redis://${HOST}:${PORT:-6379}/0", "redis://db:6379/0"),
        ("${PORT:-}", ""),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY}", ""),
        ("${HOST:?must be there}", "db"),
        ("$${HOST}", "${HOST}"),
        ("$HOST costs 3$", "$HOST costs 3$"),
        ("${TRICK}", "${HOST}"),
        (3, 3),
        (["a", "${HOST}"], ["a", "db"]),
    ],
)
def test_interpolate_replaces_references(written: object, value: object) -> None:
    """Each form once, and what only looks like one is left alone."""
    assert ({"t": {"k": value}}, []) == resolved({"t": {"k": written}})


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("${GONE}", "the environment variable GONE, which is not set; set it, or write ${GONE:-"),
        ("${GONE:?ask Ann}", "the environment variable GONE, which is not set; ask Ann"),
        ("${EMPTY:?}", "the environment variable EMPTY, which is not set; set it"),
        ("${}", "write ${NAME}, or $${ for itself"),
        ("${GONE", "write ${NAME}, or $${ for itself"),
        ("${GO-NE}", "write ${NAME}, or $${ for itself"),
    ],
)
def test_interpolate_reports_what_cannot_be_had(written: str, said: str) -> None:
    """The key is left out and named, the rest stands."""
    table, [(path, reason)] = resolved({"t": {"k": written, "other": 1}})
    assert {"t": {"other": 1}} == table
    assert ("t", "k") == path
    assert said in reason


def test_interpolate_leaves_literal_values_alone() -> None:
    """A password from the environment may hold `${`."""
    assert ({"literal": "a${b"}, []) == resolved({"literal": "a${b"})


def test_interpolate_names_the_element_of_a_list() -> None:
    """A missing variable in a list is told apart from its neighbours."""
    table, [(path, _)] = resolved({"list": ["x", "${GONE}", "y"]})
    assert ({"list": ["x", "y"]}, ("list", 1)) == (table, path)
