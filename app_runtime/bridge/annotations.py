"""What the annotations of fields and parameters say to a caller.

It changes with what may be written there.
"""

import inspect
import typing
from functools import reduce
from operator import or_
from types import GenericAlias, UnionType
from typing import Annotated, Any

from jaclang.jac0core.archetype import NodeArchetype

__all__ = ["bare", "hints_of", "wire_type"]


def hints_of(member: Any) -> dict[str, Any]:
    """Return the annotations of a class or function, with the limits that `Annotated` has."""
    try:
        return typing.get_type_hints(member, include_extras=True)
    except (NameError, TypeError):  # an annotation that exists for the type checker only
        return {}


def bare(annotation: Any) -> Any:
    """Return a type without what `Annotated` says of it."""
    return typing.get_args(annotation)[0] if _is_annotated(annotation) else annotation


def wire_type(annotation: Any) -> tuple[Any, tuple[type, ...]]:
    """Return what a caller may send for an annotation, and the classes of nodes it stands for."""
    if _is_annotated(annotation):
        sent, classes = wire_type(bare(annotation))
        return (sent if classes else annotation), classes
    if inspect.isclass(annotation) and issubclass(annotation, NodeArchetype):
        return str, (annotation,)
    origin, variants = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list and variants:
        item, classes = wire_type(variants[0])
        return (GenericAlias(list, (item,)), classes) if classes else (annotation, ())
    if origin in (typing.Union, UnionType):
        kinds = [wire_type(item) for item in variants if item is not type(None)]
        if kinds and all(classes for _, classes in kinds):
            sent = [item for item, _ in kinds] + [None] * (type(None) in variants)
            return reduce(or_, sent), tuple(cls for _, own in kinds for cls in own)
    return annotation, ()


def _is_annotated(annotation: Any) -> bool:
    return typing.get_origin(annotation) is Annotated
