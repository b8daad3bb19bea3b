"""Quantities: the API server's spelling, nothing lost."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from jac_converge.config.quantity import (
    CpuQuantity,
    MemoryQuantity,
    Quantity,
    cpu_millis,
    memory_bytes,
)

UNITS = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    **{unit: Fraction(1000**power) for power, unit in enumerate("kMGTPE", start=1)},
    **{f"{unit}i": Fraction(1024**power) for power, unit in enumerate("KMGTPE", start=1)},
}


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, Fraction]:
    """Draw a quantity as somebody might write it, and what it is worth."""
    number = draw(st.integers(0, 10**6))
    decimals = draw(st.integers(0, 3))
    unit = draw(st.sampled_from(sorted(UNITS)))
    text = str(number) if decimals == 0 else f"{Fraction(number, 10**decimals):.{decimals}f}"
    return f"{text}{unit}", Fraction(number, 10**decimals) * UNITS[unit]


def worth(text: str) -> Fraction:
    """Value a quantity by a way of its own: split number and unit, multiply."""
    number = text.rstrip("numkKMGTPEi")
    return Fraction(number) * UNITS[text[len(number) :]]


@given(spellings())
def test_quantity_keeps_its_value(spelling: tuple[str, Fraction]) -> None:
    """The canonical spelling is worth exactly what was written, unless it is refused."""
    text, value = spelling
    try:
        canonical = str(Quantity.parse(text))
    except ValueError:
        assert (value * 10**9).denominator != 1 or value > 2**63 - 1
    else:
        assert value == worth(canonical)


@given(spellings())
def test_quantity_is_canonical_after_one_pass(spelling: tuple[str, Fraction]) -> None:
    """What was written canonically stays as it is, or the server would show a drift for ever."""
    try:
        canonical = str(Quantity.parse(spelling[0]))
    except ValueError:
        return
    assert canonical == str(Quantity.parse(canonical))


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1.5Ki", "1536"),
        ("0.5Ki", "512"),
        ("0.1Gi", "107374182400m"),
        ("1000Ki", "1000Ki"),
        ("1e3", "1k"),
        ("500e-3", "500m"),
        ("1E", "1E"),
        ("128974848", "128974848"),
        ("100n", "100n"),
        ("0", "0"),
        ("0Gi", "0"),
        ("1.", "1"),
    ],
)
def test_quantity_is_written_as_the_server_does(written: str, canonical: str) -> None:
    """Known pairs of the API server's own behaviour."""
    assert canonical == str(Quantity.parse(written))


@pytest.mark.parametrize(
    "text",
    ["", "m", "-1", "1 Gi", "1GB", "1gb", "500mm", "1e999", "0x10", "nan", "0.1n", "9.3E", "1\n"],
)
def test_quantity_refuses_nonsense(text: str) -> None:
    """What is not a quantity, is too fine or too large raises."""
    with pytest.raises(ValueError, match=r"quantity|finer|larger"):
        Quantity.parse(text)


def test_quantity_converts_to_whole_numbers() -> None:
    """CPU counts in thousandths, memory in bytes."""
    assert (1500, 250) == (cpu_millis("1.5"), cpu_millis("250m"))
    assert (2**30, 10**9) == (memory_bytes("1Gi"), memory_bytes("1G"))


@pytest.mark.parametrize(("value", "canonical"), [("1000m", "1"), (2, "2"), (0.25, "250m")])
def test_cpu_takes_numbers_too(value: object, canonical: str) -> None:
    """`cpu_request = 0.25` in TOML is as good as a string."""
    assert canonical == TypeAdapter(CpuQuantity).validate_python(value)


@pytest.mark.parametrize("value", ["0", "0.5m", "1Ki", "lots", True, None, ["1"], float("inf")])
def test_cpu_refuses_with_valid_spellings(value: object) -> None:
    """The message shows what to write."""
    with pytest.raises(ValidationError, match=r'"500m" .half a core., "1" or "1.5"'):
        TypeAdapter(CpuQuantity).validate_python(value)


@pytest.mark.parametrize(("value", "canonical"), [("1024Mi", "1Gi"), (536870912, "536870912")])
def test_memory_is_canonical(value: object, canonical: str) -> None:
    """Strings with a unit and plain bytes both work."""
    assert canonical == TypeAdapter(MemoryQuantity).validate_python(value)


@pytest.mark.parametrize(
    "value", ["512m", "512", "1GB", "0", "0.0000001Gi", "1048576.5", False, None]
)
def test_memory_refuses_with_valid_spellings(value: object) -> None:
    """Above all `512m`, which Kubernetes reads as half a byte."""
    with pytest.raises(ValidationError, match=r'"256Mi", "1Gi" or "1.5Gi"'):
        TypeAdapter(MemoryQuantity).validate_python(value)
