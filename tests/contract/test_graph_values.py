"""Values of every type through a field: each change is stored, and nothing else is.

The store is a real shelf. A value that equals another one (1, 1.0 and True; 0.0 and -0.0) is a
change all the same, since what is read back would be of another type.
"""

import math
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
import from enum { Enum }

enum Color { RED = 1, BLUE = 2 }
obj Point { has x: any = 0, y: any = 0; }
node Box { has held: any = None, number: float = 0.0, maybe: int | None = None; }

walker make { can go with Root entry { here ++> Box(); } }
walker look { can go with Root entry { visit [-->]; } can see with Box entry { report here; } }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> "Program":
    """Load the app into this process."""
    from jac_converge.app_runtime.bridge.program import Program  # noqa: PLC0415 - takes a second

    file = tmp_path_factory.mktemp("values") / "value_boxes.jac"
    file.write_text(APP)
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
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(KEYS, inner, max_size=3),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
    ),
    max_leaves=6,
)
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


def program_class(program: "Program", name: str) -> Any:
    """Return a class of the app."""
    import sys  # noqa: PLC0415

    return getattr(sys.modules[program.file.stem], name)
