"""Values of fields <-> JSON, exact for every type a field may hold.

jaclang's own serializer turns sets, bytes, decimals and keys that are not strings into strings,
and loses the item type of lists. Here what JSON has not is tagged: `{"$": tag, "v": value}`.
It changes when a type is added.
"""

import base64
import importlib
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from functools import reduce
from operator import or_
from typing import Any, Final
from uuid import UUID

from jaclang.jac0core.archetype import Archetype
from jaclang.runtimelib.serializer import Serializer

from jac_converge.app_runtime.stores.text import text_of

__all__ = [
    "DEEPEST",
    "LEAVES",
    "PAIRS",
    "PLAIN",
    "STORED",
    "CannotStore",
    "ClassGone",
    "decode_value",
    "encode_value",
    "is_named_tuple",
    "is_typed_dict",
    "same",
    "same_by_name",
    "too_deep",
]

PLAIN: Final = frozenset({str, int, float, bool, type(None)})
"""Types whose values are the same in a field and in JSON."""

DEEPEST: Final = 100
"""Levels of lists, dicts, objects and the like in one field. To build a level again takes up to
four of the 1,000 calls that Python allows inside each other, and a walker has calls of its own."""

# Objects inside a field are made of fields themselves: `fields.py` knows how.
type PartsOf = Callable[[Any, tuple[int, ...]], dict[str, Any]]
type ObjectFrom = Callable[[type, Mapping[str, Any]], Any]


class CannotStore(Exception):
    """A field holds what no document can; the text names field and type."""


def too_deep(where: str) -> CannotStore:
    """Make the error of a field with more levels than are read again."""
    return CannotStore(
        f"{where} cannot be stored: it is more than {DEEPEST} levels deep; connect nodes by edges"
    )


class ClassGone(Exception):
    """The app has lost a class, or a member of an enum, that a document is made of."""


def encode_value(value: Any, where: str, seen: tuple[int, ...], parts_of: PartsOf) -> Any:
    """Return the JSON of a value.

    Args:
        value: of any field.
        where: the field's name, for the error.
        seen: ids of the values around it.
        parts_of: gives the fields of an object as `v`, and its attic, if it has one.

    Raises:
        CannotStore: it has no form.
    """
    cls = type(value)
    if cls in PLAIN:
        return value
    if cls is list and PLAIN.issuperset(map(type, value)):
        return value.copy()
    if isinstance(value, Enum):
        return _member(value, where)
    if (tag := _TAGS.get(cls)) is not None:
        return {"$": tag, "v": _CODECS[tag][0](value)}
    if id(value) in seen:
        raise CannotStore(f"{where} cannot be stored: it contains itself; connect nodes by edges")
    seen = (*seen, id(value))

    def inner(item: Any) -> Any:
        return item if type(item) in PLAIN else encode_value(item, where, seen, parts_of)

    if cls is list:
        return [inner(item) for item in value]
    if cls is dict and "$" not in value and _STRINGS.issuperset(map(type, value)):
        if PLAIN.issuperset(map(type, value.values())):
            return value.copy()
        return {key: inner(item) for key, item in value.items()}
    if (tag := _MAPPINGS.get(cls)) is not None:
        pairs = [[inner(key), inner(item)] for key, item in value.items()]
        factory = getattr(value, "default_factory", None)
        made_by = {} if factory is None else {"c": _name(factory, where)}
        return {"$": tag, **made_by, "v": pairs}
    if (tag := _SEQUENCES.get(cls)) is not None:
        items = sorted(value, key=repr) if cls in (set, frozenset) else value
        return {"$": tag, "v": [inner(item) for item in items]}
    if is_named_tuple(cls):
        return {"$": "named", "c": _name(cls, where), "v": [inner(item) for item in value]}
    if isinstance(value, Archetype) or (is_dataclass(value) and not isinstance(value, type)):
        return {"$": "obj", "c": _name(cls, where), **parts_of(value, seen)}
    # Not as the type that it is made from: it would come back as another one, without a word.
    raise CannotStore(f"{where} cannot be stored: {cls.__module__}.{cls.__qualname__} has no form")


def is_named_tuple(cls: type) -> bool:
    """Say whether it is a class of tuples with names for their items."""
    return issubclass(cls, tuple) and hasattr(cls, "_make") and hasattr(cls, "_fields")


def is_typed_dict(cls: Any) -> bool:
    """Say whether it is a `TypedDict`, of `typing` or `typing_extensions`; its values are dicts."""
    return isinstance(cls, type) and issubclass(cls, dict) and hasattr(cls, "__required_keys__")


def decode_value(value: Any, object_from: ObjectFrom) -> Any:
    """Build a value from its JSON; never the same list or dict, which a walker may change.

    Args:
        value: JSON.
        object_from: builds an object from its class and its parts.

    Raises:
        ClassGone: one that it is made of.
    """

    def inner(item: Any) -> Any:
        return item if type(item) in PLAIN else decode_value(item, object_from)

    if type(value) is list:
        return [inner(item) for item in value]
    if type(value) is not dict:
        return value
    if "$" not in value:
        return {key: inner(item) for key, item in value.items()}
    tag, held = value["$"], value["v"]
    if tag == "enum":
        return _member_from(_class(value["c"]), held)
    if tag == "flag":
        cls, (names, rest) = _class(value["c"]), held
        return reduce(or_, (_member_from(cls, name) for name in names), cls(rest))
    if tag == "obj":
        return object_from(_class(value["c"]), value)
    if tag == "named":
        return _named_from(_class(value["c"]), [inner(item) for item in held])
    if tag in _CONTAINERS:
        return _CONTAINERS[tag](inner(item) for item in held)
    if tag in PAIRS:
        return _mapping_from(tag, value, {inner(key): inner(item) for key, item in held})
    return _CODECS[tag][1](held)


def same(one: Any, two: Any) -> bool:
    """Say whether two pieces of JSON are one text; 1, 1.0 and True are equal, and not the same."""
    cls = type(one)
    if cls in PLAIN:
        return cls is type(two) and (repr(one) == repr(two) if cls is float else bool(one == two))
    if cls is dict and one.get("$") in _TEXTS:
        return bool(one == two)
    return text_of(one) == text_of(two) or _same_parts(one, two)


def same_by_name(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    """Say whether two objects of JSON are the same, in whatever order their keys are."""
    return one.keys() == two.keys() and all(same(value, two[key]) for key, value in one.items())


def _same_parts(one: Any, two: Any) -> bool:
    """Look deeper, since fields of objects are in the order that their class had at the time."""
    if type(one) is list and type(two) is list:
        return len(one) == len(two) and all(map(same, one, two))
    if type(one) is not dict or type(two) is not dict:
        return False
    if one.get("$") == "obj" == two.get("$"):
        return same_by_name(one["v"], two["v"]) and same_by_name(one | {"v": 0}, two | {"v": 0})
    return list(one) == list(two) and all(map(same, one.values(), two.values()))


def _member(value: Enum, where: str) -> dict[str, Any]:
    cls, name = type(value), value._name_
    if name in cls._member_map_:  # `__members__` without a view of it, made anew each time
        return {"$": "enum", "c": _NAMES.get(cls) or _name(cls, where), "v": name}
    if isinstance(value, Flag):
        rest = value.value
        for member in value:
            rest &= ~member.value
        return {"$": "flag", "c": _name(cls, where), "v": [[m.name for m in value], rest]}
    raise CannotStore(f"{where} cannot be stored: {value!r} is no member of its class")


def _member_from(cls: Any, name: str) -> Any:
    try:
        return cls.__members__[name]
    except KeyError as error:
        raise ClassGone(f"{cls.__module__}.{cls.__qualname__}.{name}") from error


def _named_from(cls: Any, items: list[Any]) -> Any:
    try:
        return cls._make(items)
    except TypeError as error:  # it has more items now, or fewer
        raise ClassGone(f"{cls.__module__}.{cls.__qualname__} of {len(items)} items") from error


def _mapping_from(tag: str, value: Mapping[str, Any], held: dict[Any, Any]) -> Any:
    if tag == "defaultdict":
        return defaultdict(_class(value["c"]) if "c" in value else None, held)
    return held if tag == "dict" else (Counter if tag == "counter" else OrderedDict)(held)


def _name(cls: Any, where: str) -> str:
    """Return where a class is to be found again.

    Raises:
        CannotStore: it will not be.
    """
    name = _NAMES.get(cls)
    if name is None:
        name = f"{cls.__module__}:{cls.__qualname__}"
        try:
            found = _class(name)
        except ClassGone:
            found = None
        if found is not cls:
            raise CannotStore(
                f"{where} cannot be stored: nobody would find {name} again; "
                "define it at the top of a module, under a name of its own"
            )
        _NAMES[cls] = name
    return name


def _class(name: str) -> Any:
    """Find a class that a field used, where it was or under the name that its heir gives it.

    Raises:
        ClassGone: it is not there. What the app's own code raises meanwhile is something else.
    """
    found = _CLASSES.get(name)
    if found is None:
        module, _, qualname = name.partition(":")
        found = _imported(module)
        for part in qualname.split("."):
            found = getattr(found, part, None)
        if found is None:
            found = Serializer._get_class(module, qualname)  # noqa: SLF001 - as for a whole node
        if found is None:
            raise ClassGone(f"{module}.{qualname}")
        _CLASSES[name] = found
    return found


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # Another name is that of a module which this one imports.
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            return None
        raise


def _moment_text(moment: datetime | time) -> Any:
    """Return its ISO form; in a list, if it is the second one that a clock showed that day."""
    return [moment.isoformat()] if moment.fold else moment.isoformat()


def _moment_from[M: (datetime, time)](cls: type[M], text: Any) -> M:
    if type(text) is list:
        return cls.fromisoformat(text[0]).replace(fold=1)
    return cls.fromisoformat(text)


_STRINGS: Final = frozenset({str})
_TEXTS: Final = frozenset(
    {"enum", "datetime", "date", "time", "timedelta", "uuid", "decimal", "bytes"}
)
"""Tags of what is stored without a number that could equal another one."""

_CLASSES: dict[str, Any] = {}
_NAMES: dict[Any, str] = {}
_MAPPINGS: Final[Mapping[type, str]] = {
    dict: "dict", Counter: "counter", OrderedDict: "ordered", defaultdict: "defaultdict"
}  # fmt: skip
_SEQUENCES: Final[Mapping[type, str]] = {
    tuple: "tuple", set: "set", frozenset: "frozenset", list: "list"
}  # fmt: skip
_CONTAINERS: Final[Mapping[str, Callable[..., Any]]] = {tag: cls for cls, tag in _SEQUENCES.items()}
_CODECS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "datetime": (_moment_text, lambda text: _moment_from(datetime, text)),
    "date": (date.isoformat, date.fromisoformat),
    "time": (_moment_text, lambda text: _moment_from(time, text)),
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
PAIRS: Final = frozenset(_MAPPINGS.values())
"""Tags of what is stored as pairs of a key and a value."""
LEAVES: Final = _CODECS.keys() | {"enum", "flag"}
"""Tags of what holds no other values."""
STORED: Final = PLAIN | _TAGS.keys() | _MAPPINGS.keys() | _SEQUENCES.keys()
"""Types whose values come back as what they were; not those of their subclasses."""
