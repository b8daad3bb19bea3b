"""Values of Jac programs as the JSON that jaclang's client runtime reads.

Archetypes carry `_jac_type`, `_jac_archetype` and, but for an obj, `_jac_id` beside their fields;
edges are not followed. It changes with that contract.
"""

import base64
import re
import reprlib
from collections import deque
from collections.abc import Callable, ItemsView, KeysView, Mapping, ValuesView
from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from numbers import Integral, Number, Rational, Real
from pathlib import PurePath
from typing import Any
from uuid import UUID

from jaclang.jac0core.archetype import (
    Archetype,
    EdgeArchetype,
    NodeArchetype,
    WalkerArchetype,
)
from pydantic import BaseModel
from pydantic_core import to_json, to_jsonable_python
from starlette.datastructures import UploadFile

__all__ = ["CannotSend", "shown_fields", "to_text", "to_wire"]


DEEPEST = 200
"""Levels of a result; a text of JSON may have 254, and what is around a result takes some."""


class CannotSend(Exception):
    """A result that has no form as JSON."""


class _TooDeep(CannotSend):
    """What is around it is named once, and not at each level."""


def to_text(value: Any) -> bytes:
    """Return what `to_wire` made as text.

    Raises:
        CannotSend: a string in it has half of a surrogate pair, or it is too deep.
    """
    try:
        return to_json(value, inf_nan_mode="null")
    except ValueError as error:
        raise CannotSend(f"the result cannot be sent: {error}") from error


def to_wire(value: Any, _inside: tuple[int, ...] = ()) -> Any:
    """Return JSON for a value; numbers that are not finite are left for `to_text`.

    Raises:
        CannotSend: it contains itself, has no form, or is too deep.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Enum):
        return to_wire(value.value)
    if id(value) in _inside:
        raise CannotSend(f"a {type(value).__name__} that contains itself cannot be sent")
    if len(_inside) == DEEPEST:
        raise _TooDeep(f"a value that is more than {DEEPEST} levels deep cannot be sent")
    inside = (*_inside, id(value))
    if isinstance(value, Mapping):
        sent = {_key(key): to_wire(item, inside) for key, item in value.items()}
        if len(sent) < len(value):
            raise _two_keys(value)
        return sent
    if isinstance(value, _LISTS):
        return [to_wire(item, inside) for item in value]
    if isinstance(value, set | frozenset):
        return [to_wire(item, inside) for item in sorted(value, key=repr)]
    if isinstance(value, Archetype):
        return _archetype(value, inside)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_wire(getattr(value, field.name), inside) for field in fields(value)}
    if isinstance(value, BaseModel):
        return to_wire(_dumped(value), inside)
    return _scalar(value)


def _dumped(model: BaseModel) -> Any:
    """Return a model as it would be sent back: by its aliases, with its own serializers."""
    try:
        return model.model_dump(mode="json", by_alias=True)
    except ValueError as error:  # bytes that are no text, or a value that pydantic has no form for
        raise CannotSend(f"a {type(model).__name__} cannot be sent: {error}") from error


def _archetype(value: Any, inside: tuple[int, ...]) -> dict[str, Any]:
    """Return its fields; callables are left out, as jaclang leaves them out."""
    cls: Any = type(value)
    kind = _kind(cls)
    out: dict[str, Any] = {"_jac_type": cls.__name__, "_jac_archetype": kind}
    if kind != "archetype":  # an obj is a part of something, and has no id that lasts
        out["_jac_id"] = value.__jac__.id.hex
    for name in shown_fields(cls):
        item = getattr(value, name, None)
        if type(item) in _PLAIN:
            out[name] = item
        elif not callable(item) or isinstance(item, Archetype):
            out[name] = _field(cls, name, item, inside)
    return out


def _field(cls: type, name: str, item: Any, inside: tuple[int, ...]) -> Any:
    try:
        return to_wire(item, inside)
    except CannotSend as error:
        if isinstance(error, _TooDeep) and len(inside) > 1:
            raise
        raise CannotSend(f"{cls.__name__}.{name}: {error}") from error


@cache
def _kind(cls: Any) -> str:
    return next((kind for base, kind in _KINDS if issubclass(cls, base)), "archetype")


@cache
def shown_fields(cls: Any) -> tuple[str, ...]:
    """Return the names of the fields of a class that leave the server."""
    hidden = {"reports"} if issubclass(cls, WalkerArchetype) else set()
    names = (field.name for field in fields(cls))
    return tuple(name for name in names if not name.startswith("_") and name not in hidden)


_PLAIN = frozenset({str, int, float, bool, type(None)})


_KINDS = ((NodeArchetype, "node"), (EdgeArchetype, "edge"), (WalkerArchetype, "walker"))
_TEXTS = frozenset({"ipaddress", "pydantic.networks", "pydantic.types", "zoneinfo"})
"""Modules of classes that pydantic takes as a text; `str` is that text, or hides a secret."""
_LISTS = (list, tuple, range, deque, KeysView, ValuesView, ItemsView)
_NUMBERS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str), (Integral, int), (Rational, str), (Real, float), (Number, str)
)  # fmt: skip


def _key(key: Any) -> str:
    scalar = to_wire(key)
    return scalar if isinstance(scalar, str) else str(scalar)


def _two_keys(value: Mapping[Any, Any]) -> CannotSend:
    """Name two keys that JSON cannot tell apart: one of their values would be lost."""
    first: dict[str, Any] = {}
    for key in value:
        other = first.setdefault(_key(key), key)
        if other is not key:
            break
    keys = f"{reprlib.repr(other)} and {reprlib.repr(key)}"
    return CannotSend(f"a dict with the keys {keys} cannot be sent: both are the same text")


@cache
def _is_text(cls: Any) -> bool:
    return any(base.__module__ in _TEXTS for base in cls.__mro__)


def _scalar(value: Any) -> Any:
    cls: Any = type(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return to_jsonable_python(value)
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, UploadFile):
        return {"filename": value.filename, "content_type": value.content_type, "size": value.size}
    if isinstance(value, UUID | Decimal | PurePath) or _is_text(cls):
        return str(value)
    if isinstance(value, re.Pattern):
        return to_wire(value.pattern)
    for base, plain in _NUMBERS:
        if isinstance(value, base):
            return plain(value)
    raise CannotSend(f"a value of {cls.__module__}.{cls.__qualname__} cannot be sent")
