"""Values of every type through a field: each change is stored, and nothing else is.

The store is a real shelf. A value that equals another one (1, 1.0 and True; 0.0 and -0.0) is a
change all the same, since what is read back would be of another type.
"""

import builtins
import functools
import math
import operator
import sys
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator
from datetime import timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jac_converge.app_runtime.stores import WriteBatch
from jac_converge.app_runtime.stores.shelf import Shelf

if TYPE_CHECKING:
    from jac_converge.app_runtime.bridge.program import Program

APP = """
import value_kinds;

enum Color { RED = 1, BLUE = 2 }
obj Point { has x: any = 0, y: any = 0; }
obj Tree { has t: Tree | None = None; }
node Box { has held: any = None, number: float = 0.0, maybe: int | None = None; }

node Late { has made: dict = value_kinds.made(); }
def local_object -> any { obj Hidden { has x: int = 1; } return Hidden(); }

walker make { can go with Root entry { here ++> Box(); } }
walker make_late { can go with Root entry { here ++> Late(); } }
walker make_local { can go with Root entry {
    node Hidden { has x: int = 1; }
    here ++> Hidden();
} }
walker late { can go with Root entry { visit [-->]; } can see with Late entry { report here; } }
walker look { can go with Root entry { visit [-->]; } can see with Box entry { report here; } }
"""
KINDS = """
from collections import Counter, OrderedDict, defaultdict, namedtuple
from enum import Enum, Flag, IntFlag

Place = namedtuple("Place", "x y")

class Text(str):
    def __str__(self):
        return "***"

class Number(int):
    pass

class Items(list):
    pass

class Table(dict):
    pass

class Rights(Flag):
    READ, WRITE, SHARE, ALL = 1, 2, 4, 7

class Bits(IntFlag):
    LOW, HIGH = 1, 2

class Colour(Enum):
    RED = 1

def local_member():
    class Hidden(Enum):
        A = 1
    return Hidden.A

broken = False

def made():
    if broken:
        raise KeyError("no such setting")
    return {}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> "Program":
    """Load the app into this process."""
    from jac_converge.app_runtime.bridge.program import Program  # noqa: PLC0415 - takes a second

    file = tmp_path_factory.mktemp("values") / "value_boxes.jac"
    file.write_text(APP)
    file.with_name("value_kinds.py").write_text(KINDS)
    return Program(file)


class Boxes:
    """One stored node, and requests that look at it or change it."""

    def __init__(self, program: "Program", shelf: Shelf) -> None:
        from jac_converge.app_runtime.bridge.program import new_root  # noqa: PLC0415

        self._program, self._shelf, self._root = program, shelf, uuid4()
        shelf.commit(WriteBatch(creates=(new_root(self._root),)))
        self._run("make", {})

    def put(self, **values: Any) -> None:
        """Set fields in a request of its own."""
        self._run("look", values)

    def get(self, name: str) -> Any:
        """Read a field in a request of its own, which must not write."""
        before = {document.id: document.version for document in self._shelf.scan("", 100)}
        value = getattr(self._run("look", {}), name)
        after = {document.id: document.version for document in self._shelf.scan("", 100)}
        assert before == after
        return value

    def rewrite(self, cls: str = "Box", **fields: Any) -> None:
        """Write fields past the app, as JSON; None: without this one."""
        (stored,) = [
            document
            for document in self._shelf.scan("", 100)
            if document.body["class"].endswith(f".{cls}")
        ]
        kept = {**stored.body["fields"], **fields}
        kept = {name: value for name, value in kept.items() if value is not None}
        body = {**stored.body, "fields": kept}
        self._shelf.commit(WriteBatch(updates=(stored._replace(body=body),)))

    def _run(self, walker: str, values: dict[str, Any]) -> Any:
        from jac_converge.app_runtime.bridge.program import Call, Run  # noqa: PLC0415

        def root(_: object) -> UUID:
            return self._root

        spec = self._program.walkers[walker]
        run = Run(Call(spec=spec, fields={}, root=root), self._shelf, too_late=lambda: False)
        with run.active():
            result = run.begin()
            box = result.reports[0] if result.reports else None
            for name, value in values.items():
                setattr(box, name, value)
            run.finish(result)
        return box


@pytest.fixture
def boxes(program: "Program", tmp_path: Path) -> Iterator[Boxes]:
    """Give a stored node."""
    shelf = Shelf(tmp_path / "shelf.db")
    yield Boxes(program, shelf)
    shelf.close()


def exact(value: Any) -> Any:
    """Return what is equal for two values only if nobody can tell them apart."""
    if isinstance(value, Enum):
        return type(value), value
    if isinstance(value, list | tuple):
        return type(value), [exact(item) for item in value]
    if isinstance(value, set | frozenset):
        return type(value), sorted(map(repr, value))
    if isinstance(value, dict):
        return dict, [(exact(key), exact(item)) for key, item in value.items()]
    if type(value).__name__ == "Point":
        return type(value), exact(value.x), exact(value.y)
    if isinstance(value, float):
        return float, "nan" if math.isnan(value) else (math.copysign(1, value), value)
    return type(value), repr(value)


ZONES = st.builds(
    timezone, st.integers(-1000, 1000).map(lambda minutes: timedelta(minutes=minutes))
)
TWINS = st.sampled_from([0, 0.0, -0.0, False, 1, 1.0, True, "1", None, math.nan, math.inf])
KEYS = st.one_of(TWINS, st.text(max_size=3), st.just("$"), st.dates(), st.binary(max_size=3))
LEAVES = st.one_of(
    TWINS,
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=5),
    st.binary(max_size=5),
    st.decimals(allow_nan=False),
    st.complex_numbers(),
    st.uuids(),
    st.dates(),
    st.times(),
    st.datetimes(timezones=st.none() | ZONES),
    st.timedeltas(),
    st.frozensets(KEYS, max_size=3),
    st.sets(KEYS, max_size=3),
)


def can_be_sent(value: Any) -> bool:
    """Whether the walker that holds it can report it: no two keys of a dict are the same text."""
    from jac_converge.app_runtime.bridge.wire import CannotSend, to_wire  # noqa: PLC0415

    try:
        to_wire(value)
    except CannotSend:
        return False
    return True


VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(KEYS, inner, max_size=3),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
    ),
    max_leaves=6,
).filter(can_be_sent)
HEALTH = [HealthCheck.function_scoped_fixture]


@settings(max_examples=150, deadline=None, suppress_health_check=HEALTH)
@given(before=VALUES, after=VALUES)
@example(before=[1], after=[True])
@example(before=[[0.0], {"a": 1}], after=[[-0.0], {"a": 1.0}])
@example(before={"a": 1, "b": 2}, after={"b": 2, "a": 1})
@example(before={1}, after={True})
@example(before=(1,), after=(1.0,))
@example(before=complex(0, 0.0), after=complex(0, -0.0))
def test_every_change_of_a_value_is_stored(boxes: Boxes, before: Any, after: Any) -> None:
    """Whatever was there before; a look at it afterwards writes nothing."""
    for value in (before, after):
        boxes.put(held=value)
        assert exact(value) == exact(boxes.get("held"))


@settings(max_examples=60, deadline=None, suppress_health_check=HEALTH)
@given(before=TWINS, after=TWINS)
def test_equal_values_of_other_types_are_changes(boxes: Boxes, before: Any, after: Any) -> None:
    """Where a value lies in the field itself."""
    for value in (before, after):
        boxes.put(held=value)
        assert exact(value) == exact(boxes.get("held"))


def test_negative_zero_is_stored_in_a_field_of_its_type(boxes: Boxes) -> None:
    """It equals the zero that is there."""
    boxes.put(number=-0.0)
    assert -1 == math.copysign(1, boxes.get("number"))


def test_change_inside_an_object_is_stored(boxes: Boxes, program: "Program") -> None:
    """One that only the type of a value tells."""
    point = program_class(program, "Point")
    boxes.put(held=[point(x=1, y=[0.0])])
    boxes.put(held=[point(x=True, y=[-0.0])])
    assert exact([point(x=True, y=[-0.0])]) == exact(boxes.get("held"))


RIGHTS = [[], ["READ"], ["READ", "WRITE"], ["READ", "WRITE", "SHARE"]]


@pytest.mark.parametrize("names", RIGHTS, ids="-".join)
def test_flags_come_back_together(boxes: Boxes, program: "Program", names: list[str]) -> None:
    """None of them, one, several, and all, which have a name of their own."""
    rights = kinds(program).Rights
    held = functools.reduce(operator.or_, (rights[name] for name in names), rights(0))
    boxes.put(held=[held])
    assert exact([held]) == exact(boxes.get("held"))


def test_flags_without_a_name_come_back(boxes: Boxes, program: "Program") -> None:
    """A flag that is a number may have bits that nobody named."""
    bits = kinds(program).Bits
    boxes.put(held=bits(13))
    assert exact(bits(13)) == exact(boxes.get("held"))


def test_what_collections_makes_comes_back_as_what_it_was(boxes: Boxes, program: "Program") -> None:
    """With its order, its default and the names of its items."""
    place = kinds(program).Place
    held: list[Any] = [
        Counter(b=2, a=0),
        OrderedDict(b=1, a=2),
        defaultdict(int, {1: 2}),
        defaultdict(None, a=1),
        defaultdict(list, {"$": [1]}),
        place(x=1, y=(2,)),
        {place(x=1, y=2): Counter({None: 1})},
    ]
    boxes.put(held=held)
    found = boxes.get("held")
    assert repr(held) == repr(found)
    assert [type(item) for item in held] == [type(item) for item in found]
    found[2]["new"] += 1
    assert 1 == found[2]["new"]


@pytest.mark.parametrize("name", ["Text", "Number", "Items", "Table"])
def test_subclass_of_a_plain_type_is_refused(boxes: Boxes, program: "Program", name: str) -> None:
    """It would come back as something else; a default of that kind has to be one that can be."""
    from jac_converge.app_runtime.bridge.values import CannotStore  # noqa: PLC0415

    value = getattr(kinds(program), name)()
    wrong: tuple[Any, ...] = (value, [value], {"a": value}, defaultdict(lambda: 1))
    for held in wrong:
        with pytest.raises(CannotStore, match=r"Box\.held cannot be stored: "):
            boxes.put(held=held)
    assert boxes.get("held") is None


def test_named_tuple_that_has_other_items_now_is_skipped(boxes: Boxes, program: "Program") -> None:
    """Like an object of a class that is gone."""
    boxes.rewrite(held={"$": "named", "c": f"{kinds(program).__name__}:Place", "v": [1, 2, 3]})
    with pytest.raises(AttributeError, match="NoneType"):
        boxes.get("held")


def test_what_a_function_defines_is_refused_with_its_field(
    boxes: Boxes, program: "Program"
) -> None:
    """Nobody could find its class again, in this process or another."""
    from jac_converge.app_runtime.bridge.values import CannotStore  # noqa: PLC0415

    for value in (kinds(program).local_member(), program_class(program, "local_object")()):
        with pytest.raises(CannotStore, match=r"Box\.held cannot be stored: .*Hidden"):
            boxes.put(held=[value])
    with pytest.raises(CannotStore, match=r"Hidden cannot be stored"):
        boxes._run("make_local", {})
    assert boxes.get("held") is None


@pytest.mark.parametrize("error", ["ImportError", "AttributeError", "KeyError"])
def test_error_of_a_module_is_no_lost_class(boxes: Boxes, program: "Program", error: str) -> None:
    """What the app's own code raises while its class is looked for is told, and not skipped."""
    module = f"raises_{error.lower()}"
    program.file.with_name(f"{module}.py").write_text(f"raise {error}('of the app')\n")
    boxes.rewrite(held={"$": "enum", "c": f"{module}:Colour", "v": "RED"})
    with pytest.raises(getattr(builtins, error), match="of the app"):
        boxes.get("held")


def test_error_of_a_default_is_no_lost_class(boxes: Boxes, program: "Program") -> None:
    """It is made for a field that is younger than the document."""
    boxes._run("make_late", {})
    boxes.rewrite("Late", made=None)
    kinds(program).broken = True
    try:
        with pytest.raises(KeyError, match="no such setting"):
            boxes._run("late", {})
    finally:
        kinds(program).broken = False


@pytest.mark.parametrize(
    "place",
    ["no_such_module:Colour", "no_such.module:Colour", "value_kinds:Lost", "value_kinds:Colour"],
)
def test_lost_class_is_skipped(boxes: Boxes, place: str) -> None:
    """Its module, itself, or the member that was stored is not there any more."""
    boxes.rewrite(held={"$": "enum", "c": place, "v": "BLUE"})
    assert boxes._run("look", {}) is None


LARGEST = 10**4300 - 1


@pytest.mark.parametrize(
    "wrap", [lambda n: n, lambda n: [n, ""], lambda n: {n: {1}}, lambda n: [n]]
)
def test_large_number_is_stored_and_a_larger_one_refused(boxes: Boxes, wrap: Any) -> None:
    """Whatever it lies in; one digit more could be written, and never be read again."""
    from jac_converge.app_runtime.bridge.values import CannotStore  # noqa: PLC0415

    for number in (LARGEST, -LARGEST):
        boxes.put(held=wrap(number))
        assert wrap(number) == boxes.get("held")
        larger = number + (1 if number > 0 else -1)
        with pytest.raises(CannotStore, match=r"Box\.held cannot be stored: .* 4300 digits"):
            boxes.put(held=wrap(larger))
        assert wrap(number) == boxes.get("held")


@pytest.mark.parametrize("wrap", [lambda n: n, lambda n: ["\u00fc", [n]]])
def test_larger_number_of_an_earlier_version_is_read(boxes: Boxes, wrap: Any) -> None:
    """Exactly, so that a walker can put it right; other fields may not change before."""
    boxes.rewrite(held=wrap(12345))
    boxes.rewrite(held=wrap(-(10**4321) - 7))
    assert wrap(-(10**4321) - 7) == boxes.get("held")
    boxes.put(held=1)
    assert 1 == boxes.get("held")


def nested(levels: int, wrap: Any) -> Any:
    """Return a value of that many levels."""
    value: Any = None
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize("kind", ["list", "dict", "keys", "object"])
def test_deep_value_is_stored_and_a_deeper_one_refused(
    boxes: Boxes, program: "Program", kind: str
) -> None:
    """However deep it is; what is stored is read with half of the stack taken."""
    from jac_converge.app_runtime.bridge.values import CannotStore  # noqa: PLC0415

    tree = program_class(program, "Tree")
    wraps: dict[str, Any] = {
        "list": lambda value: [value], "dict": lambda value: {"a": value},
        "keys": lambda value: {1: value}, "object": lambda value: tree(t=value),
    }  # fmt: skip
    boxes.put(held=nested(100, wraps[kind]))
    for levels in (101, 330, 900):
        with pytest.raises(CannotStore, match=r"(Box\.held|Tree\.t) .* more than 100 levels deep"):
            boxes.put(held=nested(levels, wraps[kind]))
    assert repr(nested(100, wraps[kind])) == repr(at_depth(400, lambda: boxes.get("held")))
    boxes.put(held=1, number=0.5)
    assert 1 == boxes.get("held")


def at_depth(calls: int, do: Any) -> Any:
    """Do something from within that many calls."""
    return at_depth(calls - 1, do) if calls else do()


def test_deeper_value_of_an_earlier_version_is_told(boxes: Boxes) -> None:
    """It is read as long as the stack allows, and told with document and field from then on."""
    from jac_converge.app_runtime.bridge.values import CannotStore  # noqa: PLC0415

    boxes.rewrite(held=nested(150, lambda value: [value]))
    assert nested(150, lambda value: [value]) == boxes.get("held")
    boxes.rewrite(held=nested(800, lambda value: [value]))
    with pytest.raises(CannotStore, match=r"node [0-9a-f]{32}, .* cannot be read: Box\.held"):
        boxes.get("held")


def program_class(program: "Program", name: str) -> Any:
    """Return a class of the app."""
    return getattr(sys.modules[program.file.stem], name)


def kinds(program: "Program") -> Any:
    """Return the module beside the app."""
    del program  # it has imported it
    return sys.modules["value_kinds"]
