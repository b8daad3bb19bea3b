"""Numbers that name a choice, written as text: in a query, a path, a form, or as a key of a dict.

Jac's enums count from 1 where they say nothing else, and pydantic knows a member by its very value
alone: no query could name one. It changes with the types that have such choices.
"""

import typing
from collections.abc import Callable
from enum import Enum
from types import GenericAlias, UnionType
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import to_json

__all__ = ["chosen_by_text"]

_CONTAINERS = (list, set, frozenset, tuple, dict)


def chosen_by_text(annotation: Any) -> Any:
    """Return an annotation whose enums and literals know their numbers as text, too.

    Those inside of an `obj` are as they were, and so are those that are one type of several: there,
    a text may be meant as one.
    """
    if typing.get_origin(annotation) is Annotated:
        inner, *limits = typing.get_args(annotation)
        return Annotated[chosen_by_text(inner), *limits]
    if choices := _choices(annotation):
        return Annotated[annotation, BeforeValidator(_reader(choices))]
    origin, variants = typing.get_origin(annotation), typing.get_args(annotation)
    if origin not in (typing.Union, UnionType, *_CONTAINERS):
        return annotation
    union = origin not in _CONTAINERS
    if union and len([one for one in variants if one is not type(None)]) > 1:
        return annotation
    parts: tuple[Any, ...] = tuple(
        part if part is ... else chosen_by_text(part) for part in variants
    )
    if origin is dict and (choices := _choices(variants[0])):
        # JSON Schema would want a key to be a number, which none is.
        texts = [value for value in _values(variants[0]) if isinstance(value, str)]
        schema = WithJsonSchema({"type": "string", "enum": [*choices, *texts]})
        parts = (Annotated[parts[0], schema], *parts[1:])
    if parts == variants:
        return annotation
    return parts[0] | parts[1] if union else GenericAlias(origin, parts)


def _values(annotation: Any) -> tuple[Any, ...]:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(member.value for member in annotation)
    return typing.get_args(annotation) if typing.get_origin(annotation) is Literal else ()


def _choices(annotation: Any) -> dict[str, Any]:
    """Return the values that are no text, by the text that each has in JSON."""
    values = _values(annotation)
    numbers = [value for value in values if type(value) in (int, float, bool)]
    texts = {value for value in values if isinstance(value, str)}
    choices = {to_json(value).decode(): value for value in numbers}
    return {text: value for text, value in choices.items() if text not in texts}


def _reader(choices: dict[str, Any]) -> Callable[[Any], Any]:
    def read(given: Any) -> Any:
        return choices.get(given, given) if isinstance(given, str) else given

    return read
