"""Anchor <-> document body, exact for every type a field may hold.

jaclang's own serializer turns sets, bytes, decimals and keys that are not strings into strings,
and loses the item type of lists. Here what JSON has not is tagged: `{"$": tag, "v": value}`.
It changes when a type is added, or with the anchors of the runtime.
"""

import base64
import importlib
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, get_args, get_origin
from uuid import UUID

from jaclang.jac0core.archetype import (
    Access,
    Anchor,
    Archetype,
    EdgeAnchor,
    NodeAnchor,
    Permission,
    Root,
    access_level_cast,
)
from jaclang.runtimelib.serializer import Serializer
from jaclang.runtimelib.typecache import get_field_types

__all__ = ["CannotStore", "decode", "encode", "kind_of", "stub"]

ATTIC = "__jac_attic__"
STORED_HASH = 1
"""jaclang takes a hash of 0 for "never stored", which grants write access to anybody."""


class CannotStore(Exception):
    """A field holds what no document can; the text names field and type."""


def kind_of(anchor: Anchor) -> str:
    """Return the document kind of an anchor."""
    if isinstance(anchor, EdgeAnchor):
        return "edge"
    return "root" if isinstance(anchor.archetype, Root) else "node"


def encode(anchor: Anchor) -> dict[str, Any]:
    """Return the body of an anchor's document; everything but its id.

    Raises:
        CannotStore: a field holds what cannot be stored.
    """
    archetype = anchor.archetype
    cls = type(archetype)
    body: dict[str, Any] = {
        "class": f"{cls.__module__}.{cls.__name__}",
        "owner": anchor.root.hex if anchor.root else None,
        "access": _encode_access(anchor.access),
        "fields": _encode_fields(archetype),
    }
    if attic := archetype.__dict__.get(ATTIC):
        body["attic"] = _encode_value(attic, f"{cls.__name__}.{ATTIC}", ())
    if isinstance(anchor, NodeAnchor):
        body["edges"] = [edge.id.hex for edge in anchor.edges]
    else:
        body["source"] = anchor.source.id.hex
        body["target"] = anchor.target.id.hex
        body["undirected"] = bool(anchor.is_undirected)
    return body


def decode(id_: UUID, kind: str, body: Mapping[str, Any], version: int) -> Anchor | None:
    """Build the anchor of a document; None where the app lacks a class that it is made of."""
    module, _, name = body["class"].rpartition(".")
    # Through the serializer, which knows the classes that were renamed.
    cls = Serializer._get_class(module, name)  # noqa: SLF001
    if cls is None:
        return None
    anchor = stub(EdgeAnchor if kind == "edge" else NodeAnchor, id_)
    anchor.root = UUID(body["owner"]) if body["owner"] else None
    anchor.persistent = True
    anchor.access = _decode_access(body["access"])
    anchor.hash = STORED_HASH
    if kind == "edge":
        anchor.source = stub(NodeAnchor, UUID(body["source"]))
        anchor.target = stub(NodeAnchor, UUID(body["target"]))
        anchor.is_undirected = body["undirected"]
    else:
        anchor.edges = [stub(EdgeAnchor, UUID(edge)) for edge in body["edges"]]
        anchor.version = version
        # One blob for a whole root, rewritten by each writer: it loses concurrent additions and
        # answers typed queries without looking at access rights. So there never is one.
        anchor.topology_index_data = None
    try:
        archetype = _decode_archetype(cls, body)
    except (ImportError, AttributeError, KeyError):
        return None  # a class that one of its fields is made of is gone
    archetype.__jac__ = anchor
    anchor.archetype = archetype
    return anchor


def stub(cls: type, id_: UUID) -> Any:
    """Build an anchor that knows its id and loads the rest when it is touched."""
    anchor: Any = object.__new__(cls)
    anchor.id = id_
    return anchor


def _encode_access(access: Permission) -> dict[str, Any]:
    return {
        "all": access.all.value,
        "roots": {root: level.value for root, level in access.roots.anchors.items()},
    }


def _decode_access(body: Mapping[str, Any]) -> Permission:
    roots = {root: access_level_cast(level) for root, level in body["roots"].items()}
    return Permission(all=access_level_cast(body["all"]), roots=Access(anchors=roots))


def _encode_fields(archetype: Any, seen: tuple[int, ...] = ()) -> dict[str, Any]:
    cls = type(archetype)
    return {
        field.name: _encode_value(
            getattr(archetype, field.name), f"{cls.__name__}.{field.name}", seen
        )
        for field in fields(cls)
        # A field that is younger than the document, without a default, has no value yet.
        if hasattr(archetype, field.name)
    }


def _decode_archetype(cls: type, body: Mapping[str, Any]) -> Any:
    """Build an archetype without running its code, as its class is now.

    What the class knows no more goes to the attic, and comes back from there when it knows it
    again. What it has learnt since gets its default, and what changed its type is converted where
    that is possible.
    """
    stored = {name: _decode_value(value) for name, value in body["fields"].items()}
    attic = _decode_value(body.get("attic", {}))
    back = {name: attic.pop(name)["value"] for name in list(attic) if name not in stored}
    stored, _ = Serializer.repair(back | stored, cls)
    attic |= stored.pop(ATTIC, {})  # what the rules of the class put there
    archetype: Any = object.__new__(cls)
    types = get_field_types(cls)
    for name, value in stored.items():
        if name in types:
            setattr(archetype, name, _fit(value, types[name]))
        elif not name.startswith("__"):
            attic[name] = {"value": value, "reason": "unknown"}
    for field in fields(cls):
        if field.name not in stored and callable(field.default_factory):
            setattr(archetype, field.name, field.default_factory())
    if attic:
        setattr(archetype, ATTIC, attic)
    return archetype


def _fit(value: Any, target: Any) -> Any:
    """Convert a value to the annotation of its field, if it is of another type."""
    if target is Any or value is None:
        return value
    origin = get_origin(target) or target
    if isinstance(origin, type) and origin is not Any and isinstance(value, origin):
        return value
    if any(argument is Any for argument in get_args(target)):
        return value  # jaclang 0.16: coerce raises on typing.Any
    return Serializer.coerce(value, target)[0]


def _encode_value(value: Any, where: str, seen: tuple[int, ...]) -> Any:
    cls = type(value)
    if value is None or cls in _PLAIN:
        return value
    if id(value) in seen:
        raise CannotStore(f"{where} cannot be stored: it contains itself; connect nodes by edges")
    seen = (*seen, id(value))
    if cls is list:
        return [_encode_value(item, where, seen) for item in value]
    if cls is dict and all(type(key) is str and key != "$" for key in value):
        return {key: _encode_value(item, where, seen) for key, item in value.items()}
    if isinstance(value, Enum):
        return {"$": "enum", "c": _name(cls), "v": value.name}
    for plain in (str, int, float):
        if isinstance(value, plain):
            return plain(value)
    if (tag := _TAGS.get(cls)) is not None:
        return {"$": tag, "v": _CODECS[tag][0](value)}
    if isinstance(value, dict):
        pairs = [[_encode_value(part, where, seen) for part in pair] for pair in value.items()]
        return {"$": "dict", "v": pairs}
    for base, tag in ((tuple, "tuple"), (frozenset, "frozenset"), (set, "set"), (list, "list")):
        if isinstance(value, base):
            items = sorted(value, key=repr) if base in (set, frozenset) else value
            return {"$": tag, "v": [_encode_value(item, where, seen) for item in items]}
    if isinstance(value, Archetype) or (is_dataclass(value) and not isinstance(value, type)):
        coded = {"$": "obj", "c": _name(cls), "v": _encode_fields(value, seen)}
        if attic := getattr(value, ATTIC, None):
            coded["attic"] = _encode_value(attic, where, seen)
        return coded
    raise CannotStore(f"{where} cannot be stored: {cls.__module__}.{cls.__qualname__} has no form")


def _decode_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode_value(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$" not in value:
        return {key: _decode_value(item) for key, item in value.items()}
    tag, inner = value["$"], value["v"]
    if tag == "enum":
        return _class(value["c"])[inner]
    if tag == "obj":
        return _decode_archetype(_class(value["c"]), {"fields": inner, **value})
    if tag == "dict":
        return {_decode_value(key): _decode_value(item) for key, item in inner}
    if tag in _CONTAINERS:
        return _CONTAINERS[tag](_decode_value(item) for item in inner)
    return _CODECS[tag][1](inner)


def _name(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _class(name: str) -> Any:
    """Find a class that a field used, where it was or under the name that its heir gives it."""
    module, _, qualname = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        found = Serializer._get_class(module, qualname)  # noqa: SLF001 - as in `decode`
        if found is None:
            raise
    return found


_PLAIN = frozenset({str, int, float, bool})
_CONTAINERS: dict[str, Callable[..., Any]] = {
    "tuple": tuple, "set": set, "frozenset": frozenset, "list": list
}  # fmt: skip
_CODECS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "datetime": (datetime.isoformat, datetime.fromisoformat),
    "date": (date.isoformat, date.fromisoformat),
    "time": (time.isoformat, time.fromisoformat),
    "timedelta": (
        lambda delta: [delta.days, delta.seconds, delta.microseconds],
        lambda parts: timedelta(*parts),
    ),
    "uuid": (lambda uuid: uuid.hex, UUID),
    "decimal": (str, Decimal),
    "bytes": (lambda raw: base64.b64encode(raw).decode(), base64.b64decode),
    "complex": (lambda number: [number.real, number.imag], lambda parts: complex(*parts)),
}
_TAGS = {
    datetime: "datetime", date: "date", time: "time", timedelta: "timedelta", UUID: "uuid",
    Decimal: "decimal", bytes: "bytes", complex: "complex",
}  # fmt: skip
