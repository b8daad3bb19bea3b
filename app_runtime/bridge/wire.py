"""Values of Jac programs as the JSON that jaclang's client runtime reads.

Archetypes carry `_jac_type`, `_jac_id` and `_jac_archetype` beside their fields; edges are not
followed. It changes with that contract.
"""

import base64
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any
from uuid import UUID

from jaclang.jac0core.archetype import Archetype, NodeArchetype, WalkerArchetype

__all__ = ["to_wire"]


def to_wire(value: Any, _inside: tuple[int, ...] = ()) -> Any:
    """Return JSON for any value; what contains itself is cut, what has no form becomes its text."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Enum):
        return to_wire(value.value)
    if id(value) in _inside:
        return None
    inside = (*_inside, id(value))
    if isinstance(value, Mapping):
        return {_key(key): to_wire(item, inside) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_wire(item, inside) for item in value]
    if isinstance(value, set | frozenset):
        return [to_wire(item, inside) for item in sorted(value, key=repr)]
    if isinstance(value, Archetype):
        return _archetype(value, inside)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_wire(getattr(value, field.name), inside) for field in fields(value)}
    return _scalar(value)


def _archetype(value: Any, inside: tuple[int, ...]) -> dict[str, Any]:
    kind = "archetype"
    if isinstance(value, NodeArchetype):
        kind = "node"
    elif isinstance(value, WalkerArchetype):
        kind = "walker"
    out: dict[str, Any] = {
        "_jac_type": type(value).__name__,
        "_jac_id": value.__jac__.id.hex,
        "_jac_archetype": kind,
    }
    cls: Any = type(value)
    for name in _shown(cls):
        item = getattr(value, name, None)
        out[name] = item if type(item) in _PLAIN else to_wire(item, inside)
    return out


@cache
def _shown(cls: Any) -> tuple[str, ...]:
    """Names of the fields of a class that leave the server."""
    hidden = {"reports"} if issubclass(cls, WalkerArchetype) else set()
    names = (field.name for field in fields(cls))
    return tuple(name for name in names if not name.startswith("_") and name not in hidden)


_PLAIN = frozenset({str, int, float, bool, type(None)})


def _key(key: Any) -> str:
    scalar = to_wire(key)
    return scalar if isinstance(scalar, str) else str(scalar)


def _scalar(value: Any) -> Any:
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, UUID | Decimal):
        return str(value)
    for plain in (str, int, float):
        if isinstance(value, plain):
            return plain(value)
    return str(value)
