"""`${NAME}`, `${NAME:-default}` and `${NAME:?message}` in the strings of a table. Pure.

It changes when the syntax does.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from jac_converge.config.layers import KeyPath

__all__ = ["BrokenReference", "UnsetVariable", "interpolate"]

_REFERENCE = re.compile(
    r"(?P<literal>\$\$\{)|\$\{(?:(?P<name>[A-Za-z_]\w*)(?::(?P<operator>[-?])(?P<operand>[^}]*))?\})?"
)


class UnsetVariable(ValueError):
    """A string refers to a variable that is not set; the message says what to do."""


class BrokenReference(UnsetVariable):
    """A reference names no variable, whatever is set."""


def interpolate(
    table: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    unset: Callable[[KeyPath, UnsetVariable], None],
    literal: Callable[[KeyPath], bool],
) -> dict[str, Any]:
    """Replace every reference in every string.

    Args:
        table: nested tables and lists.
        environ: the variables.
        unset: told of each value that cannot be had; the key is then left out.
        literal: whether a value is to be taken as it stands.
    """

    def resolve(value: Any, path: KeyPath) -> Any:
        if isinstance(value, Mapping):
            pairs = ((key, resolve(below, (*path, key))) for key, below in value.items())
            return {key: below for key, below in pairs if below is not None}
        if isinstance(value, list):
            elements = (resolve(below, (*path, index)) for index, below in enumerate(value))
            return [element for element in elements if element is not None]
        if not isinstance(value, str) or "${" not in value or literal(path):
            return value
        try:
            return _substitute(value, environ)
        except UnsetVariable as exc:
            unset(path, exc)
            return None

    resolved: dict[str, Any] = resolve(table, ())
    return resolved


def _substitute(text: str, environ: Mapping[str, str]) -> str:
    """Replace the references in one string; `$${` stands for `${` itself.

    Raises:
        UnsetVariable: no value and no default.

    >>> _substitute("redis://${HOST:-localhost}:6379", {})
    'redis://localhost:6379'
    """

    def value(match: re.Match[str]) -> str:
        if match["literal"]:
            return "${"
        name, operand = match["name"], match["operand"] or ""
        if name is None:
            text = "has a ${ without a name and a }; write ${NAME}, or $${ for itself"
            raise BrokenReference(text)
        found = environ.get(name, "")
        if found:
            return found
        if match["operator"] == "-":
            return operand
        if name in environ and match["operator"] is None:
            return found
        cause = f"needs the environment variable {name}, which is not set"
        advice = operand or f"set it, or write ${{{name}:-default}}"
        raise UnsetVariable(f"{cause}; {advice}")

    return _REFERENCE.sub(value, text)
