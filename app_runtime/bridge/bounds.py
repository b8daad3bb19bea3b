"""How large a number and how deep a value may be, so that whatever was stored can be read again.

Writing allows more than reading does: a text of JSON may have a number that no parser takes, and a
value is built again deeper in the stack than it was taken apart. So what changed is looked at
before it is stored; what was read is not, or documents of before could not even be repaired. It
changes with what a reader can take.
"""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Final

from jac_converge.app_runtime.bridge.values import (
    DEEPEST,
    LEAVES,
    PAIRS,
    PLAIN,
    CannotStore,
    too_deep,
)

__all__ = ["check_fields"]

DIGITS: Final = 4300
"""Of a number, as many as Python itself reads from a text."""
BOUND: Final = 10**DIGITS


def check_fields(fields: Mapping[str, Any], label: str) -> None:
    """Refuse what could be stored, and not be read again.

    Args:
        fields: of a node or edge, as JSON.
        label: name of its class, for the error.

    Raises:
        CannotStore: a number has too many digits, or a value is too deep.
    """
    for name, value in fields.items():
        cls = type(value)
        if cls is int:
            if not -BOUND < value < BOUND:
                raise _too_long(f"{label}.{name}")
        elif cls not in PLAIN:
            _check(value, f"{label}.{name}", 1)


def _check(value: Any, where: str, level: int) -> None:
    items = _items(value)
    kinds = set(map(type, items))
    if int in kinds and not _fit(items, kinds):
        raise _too_long(where)
    if kinds <= PLAIN:
        inner: Iterable[Any] = ()
    else:
        inner = [item for item in items if type(item) not in PLAIN and not _is_leaf(item)]
    for item in inner:
        if level == DEEPEST:
            raise too_deep(where)
        _check(item, where, level + 1)


def _fit(items: Iterable[Any], kinds: set[type]) -> bool:
    """Say whether all whole numbers are within the bound."""
    numbers = items if len(kinds) == 1 else [item for item in items if type(item) is int]
    return bool(min(numbers) > -BOUND and max(numbers) < BOUND)


def _items(value: Any) -> Any:
    """Return what one level of a value holds, keys included, whatever JSON it is written as."""
    if type(value) is list:
        return value
    if "$" not in value:
        return value.values()
    tag, held = value["$"], value["v"]
    if tag in PAIRS:
        return list(chain.from_iterable(held))
    if tag == "obj":
        return held.values()
    return held[1:] if tag == "flag" else () if tag in LEAVES else held


def _is_leaf(value: Any) -> bool:
    return type(value) is dict and value.get("$") in LEAVES


def _too_long(where: str) -> CannotStore:
    return CannotStore(
        f"{where} cannot be stored: a number in it has more than {DIGITS} digits; "
        "store it as text, or as bytes"
    )
