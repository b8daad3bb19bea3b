"""Whether the fields of nodes and edges can be stored at all, told at the start.

A field that no value of its type can leave the process in would fail each call that sets it. It
changes with the types that `values.py` knows.
"""

import collections.abc
import inspect
import typing
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from types import BuiltinFunctionType, FunctionType, UnionType
from typing import Any

from jaclang.jac0core.archetype import Archetype, EdgeArchetype, NodeArchetype

from jac_converge.app_runtime.bridge.values import STORED, is_named_tuple, is_typed_dict

__all__ = ["unstorable"]

_RUNNING = (
    collections.abc.Callable, collections.abc.Generator, collections.abc.AsyncGenerator,
    collections.abc.Coroutine, collections.abc.Awaitable, collections.abc.AsyncIterator,
    collections.abc.Iterator, type,
)  # fmt: skip


def unstorable(archetypes: Iterable[type]) -> list[str]:
    """Return a line for each field of a node or edge that nothing but None fits and can be stored.

    Args:
        archetypes: of the app.
    """
    lines: list[str] = []
    for cls in archetypes:
        if _is_node(cls):
            lines += _of(cls, ())
    return lines


def _of(cls: Any, outside: tuple[type, ...]) -> Iterator[str]:
    try:
        hints = typing.get_type_hints(cls)
    except (NameError, TypeError):  # an annotation that exists for the type checker only
        return
    for field in fields(cls):
        annotation = hints.get(field.name, Any)
        if (wrong := _wrong_in(annotation)) is not None:
            shown = getattr(wrong, "__name__", str(wrong))
            yield f"field {field.name} of {cls.__name__} cannot be stored: {shown} has no form"
        for part in _parts(annotation):
            if is_dataclass(part) and part not in (cls, *outside) and not _is_node(part):
                yield from _of(part, (cls, *outside))


def _is_node(cls: Any) -> bool:
    """Whether it is a class of nodes or edges, which have documents of their own."""
    return issubclass(cls, NodeArchetype | EdgeArchetype)


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield the classes that an annotation is made of."""
    if inspect.isclass(annotation) and typing.get_origin(annotation) is None:
        yield annotation
    for part in typing.get_args(annotation):
        yield from _parts(part)


def _wrong_in(annotation: Any) -> Any:
    """Return the part of an annotation that has no form; None if a value may have one."""
    origin, variants = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, UnionType):
        wrong = [_wrong_in(one) for one in variants if one is not type(None)]
        return wrong[0] if wrong and all(one is not None for one in wrong) else None
    if origin in _RUNNING or annotation in _RUNNING:
        return annotation
    if inspect.isclass(origin) and _is_stored(origin):
        found = (_wrong_in(one) for one in variants if one is not ...)
        return next((one for one in found if one is not None), None)
    if isinstance(annotation, FunctionType | BuiltinFunctionType):
        return annotation  # `callable`, and what makes a lock up to Python 3.12
    if origin is not None or not inspect.isclass(annotation):
        return None
    if _is_stored(annotation) or is_dataclass(annotation) or annotation is object:
        return None
    abstract = inspect.isabstract(annotation) or getattr(annotation, "_is_protocol", False)
    return None if abstract or annotation is Any else annotation


def _is_stored(cls: type) -> bool:
    return (
        cls in STORED
        or issubclass(cls, Enum | Archetype)
        or is_named_tuple(cls)
        or is_typed_dict(cls)
    )
