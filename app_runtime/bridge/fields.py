"""The stored fields of an archetype, by a layout that is worked out once for each class.

A field of a plain type (`str`, `int`, `float`, `bool`, or one of them or None) is copied, with one
look at its type; everything else goes through `values.py`. It changes with what a class may
declare and with what happens to documents of an older class.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from inspect import getattr_static
from types import UnionType
from typing import Any, Union, get_args, get_origin

from jaclang.runtimelib.schema_rules import merged_rules_for
from jaclang.runtimelib.serializer import Serializer
from jaclang.runtimelib.typecache import get_field_types

from jac_converge.app_runtime.bridge.values import (
    PLAIN,
    decode_value,
    encode_value,
    is_typed_dict,
    same,
    same_by_name,
    too_deep,
)

__all__ = ["ATTIC", "Layout", "layout_of"]

ATTIC = "__jac_attic__"


class Layout:
    """What the documents of one class are made of."""

    __slots__ = ("_fields", "_names", "_places", "_rules", "_types", "cls", "label", "lasting")

    def __init__(self, cls: type) -> None:
        self.cls = cls
        self.label = f"{cls.__module__}.{cls.__name__}"
        self.lasting = "<locals>" not in cls.__qualname__
        """Whether another process finds the class."""
        self._fields: tuple[Field[Any], ...] = fields(cls)
        self._rules = merged_rules_for(cls) is not None
        types = get_field_types(cls)
        self._types = {
            field.name: frozenset()
            if _has_setter(cls, field.name)
            else _plain_types(types.get(field.name))
            for field in self._fields
        }
        self._names = self._types.keys()
        self._places = {name: f"{cls.__name__}.{name}" for name in self._names}

    def stored(self, archetype: Any, seen: tuple[int, ...] = ()) -> dict[str, Any]:
        """Return the fields of an archetype as JSON.

        Raises:
            CannotStore: a field holds what cannot be stored.
        """
        held = archetype.__dict__
        out: dict[str, Any] = {}
        for name in self._names:
            value = held[name] if name in held else getattr(archetype, name, MISSING)
            if value is MISSING:
                continue  # younger than the document and without a default, so without a value
            if type(value) not in PLAIN:
                try:
                    value = encode_value(value, self._places[name], seen, _parts_of)
                except RecursionError as error:
                    raise too_deep(self._places[name]) from error
            out[name] = value
        return out

    def unchanged(self, archetype: Any, stored: Mapping[str, Any]) -> bool:
        """Say whether the fields of an archetype are still those that were stored.

        Raises:
            CannotStore: a field holds what cannot be stored.
        """
        held = archetype.__dict__
        for name in self._names:
            if name not in held or name not in stored:
                return same_by_name(self.stored(archetype), stored)
            value, before = held[name], stored[name]
            try:
                if type(value) not in PLAIN:
                    value = encode_value(value, self._places[name], (), _parts_of)
                if value is not before and not same(value, before):
                    return False
            except RecursionError as error:
                raise too_deep(self._places[name]) from error
        return True

    def attic(self, attic: Any) -> Any:
        """Return what an archetype keeps for other versions of its class, as JSON."""
        return encode_value(attic, f"{self.cls.__name__}.{ATTIC}", (), _parts_of)

    def build(self, stored: Mapping[str, Any], attic: Any = None) -> tuple[Any, bool]:
        """Build an archetype without running its code, as its class is now.

        What the class knows no more goes to the attic, and comes back from there when it knows it
        again. What it has learnt since gets its default, and what changed its type is converted
        where that is possible.

        Args:
            stored: fields as JSON.
            attic: what earlier versions of the class left there, as JSON.

        Returns:
            The archetype, and whether it is exactly what was stored.

        Raises:
            ClassGone: one that a field is made of.
        """
        archetype: Any = object.__new__(self.cls)
        held = archetype.__dict__
        if self._rules or attic is not None or stored.keys() != self._names:
            self._build_changed(archetype, stored, attic)
            return archetype, False
        exact = True
        for name, plain in self._types.items():
            value = stored[name]
            if type(value) in plain:
                held[name] = value
            else:
                exact &= self._set(archetype, name, decode_value(value, _object_from))
        return archetype, exact

    def _build_changed(self, archetype: Any, stored: Mapping[str, Any], attic: Any) -> None:
        given = {name: decode_value(value, _object_from) for name, value in stored.items()}
        kept = {} if attic is None else decode_value(attic, _object_from)
        back = {name: kept.pop(name)["value"] for name in list(kept) if name not in given}
        given, _ = Serializer.repair(back | given, self.cls)
        kept |= given.pop(ATTIC, {})  # what the rules of the class put there
        for name, value in given.items():
            if name in self._names:
                self._set(archetype, name, value)
            elif not name.startswith("__"):
                kept[name] = {"value": value, "reason": "unknown"}
        for field in self._fields:
            if field.name not in given:
                _set_default(archetype, field)
        if kept:
            archetype.__dict__[ATTIC] = kept

    def _set(self, archetype: Any, name: str, value: Any) -> bool:
        fitted = _fit(value, get_field_types(self.cls).get(name, Any))
        setattr(archetype, name, fitted)
        return fitted is value


def layout_of(cls: type) -> Layout:
    """The layout of a class, worked out when it is first needed."""
    layout = _layouts.get(cls)
    if layout is None:
        layout = _layouts[cls] = Layout(cls)
    return layout


_layouts: dict[type, Layout] = {}


def _parts_of(value: Any, seen: tuple[int, ...]) -> dict[str, Any]:
    layout = layout_of(type(value))
    parts = {"v": layout.stored(value, seen)}
    if attic := getattr(value, ATTIC, None):
        parts["attic"] = layout.attic(attic)
    return parts


def _object_from(cls: type, parts: Mapping[str, Any]) -> Any:
    return layout_of(cls).build(parts["v"], parts.get("attic"))[0]


def _has_setter(cls: type, name: str) -> bool:
    return hasattr(type(getattr_static(cls, name, None)), "__set__")


def _plain_types(annotation: Any) -> frozenset[type]:
    """The types of stored values that this field takes as they are."""
    if annotation in (str, int, float, bool):
        return frozenset({annotation})
    if get_origin(annotation) in (Union, UnionType):
        variants = [_plain_types(a) if a is not type(None) else {a} for a in get_args(annotation)]
        return frozenset().union(*variants) if all(variants) else frozenset()
    return frozenset()


def _set_default(archetype: Any, field: Field[Any]) -> None:
    if field.default_factory is not MISSING:
        setattr(archetype, field.name, field.default_factory())


def _fit(value: Any, target: Any) -> Any:
    """Convert a value to the annotation of its field, if it is of another type."""
    if target is Any or value is None:
        return value
    origin = get_origin(target) or target
    arguments = get_args(target)
    if is_typed_dict(origin) or any(map(is_typed_dict, arguments)):
        return value  # `isinstance` with such a class raises, in coerce as well
    if isinstance(origin, type) and origin is not Any and isinstance(value, origin):
        return value
    if any(argument is Any for argument in arguments):
        return value  # jaclang 0.16: coerce raises on typing.Any
    return Serializer.coerce(value, target)[0]
