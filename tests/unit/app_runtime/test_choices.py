"""Numbers that name a choice, as text."""

from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from jac_converge.app_runtime.choices import chosen_by_text


class Size(Enum):
    """As Jac's enums are."""

    SMALL = 1
    LARGE = 2


class Mixed(Enum):
    """A text that is a value is that value."""

    TEXT = "1"
    NUMBER = 1
    OTHER = 2


@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [
        (Size, '"2"', Size.LARGE),
        (Size, "2", Size.LARGE),
        (Size | None, '"1"', Size.SMALL),
        (Size | None, "null", None),
        (list[Size], '["1", 2]', [Size.SMALL, Size.LARGE]),
        (dict[Size, int], '{"1": 3}', {Size.SMALL: 3}),
        (dict[str, list[Size | None]], '{"a": ["1", null]}', {"a": [Size.SMALL, None]}),
        (tuple[Size, ...], '["1"]', (Size.SMALL,)),
        (Literal[1, 10, "x"], '"10"', 10),
        (Literal[1, 10, "x"], '"x"', "x"),
        (Mixed, '"1"', Mixed.TEXT),
        (Mixed, '"2"', Mixed.OTHER),
        (Size | str, '"1"', "1"),
    ],
)
def test_text_names_the_choice(annotation: Any, text: str, expected: Any) -> None:
    """Wherever it is in the type, but beside types that a text may be meant for."""
    assert expected == TypeAdapter(chosen_by_text(annotation)).validate_json(text)


def test_key_of_a_dict_is_described_as_the_text_it_is() -> None:
    """As JSON has no other."""
    described = TypeAdapter(chosen_by_text(dict[Size, Size])).json_schema()
    assert {"enum": ["1", "2"]} == described["propertyNames"]
    assert "integer" == described["$defs"]["Size"]["type"]
    mixed = TypeAdapter(chosen_by_text(dict[Mixed, int])).json_schema()
    assert {"enum": ["2", "1"]} == mixed["propertyNames"]


@pytest.mark.parametrize("text", ['"3"', '"SMALL"', '"01"', '" 1"', '"1.0"'])
def test_text_of_no_choice_is_refused(text: str) -> None:
    """By its letters, and not by what a number could be read from."""
    with pytest.raises(ValidationError, match="Input should be 1 or 2"):
        TypeAdapter(chosen_by_text(Size)).validate_json(text)


@pytest.mark.parametrize("annotation", [int, str, list[int], int | None, Any, dict[str, int]])
def test_other_types_are_as_they_were(annotation: Any) -> None:
    """Nothing is put around them."""
    assert annotation == chosen_by_text(annotation)
