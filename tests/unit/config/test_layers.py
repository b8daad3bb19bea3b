"""Layers: merged by key, and still known by their places."""

from pathlib import Path

from jac_converge.config.layers import Layer, dotted, merge, problem_at, strongest

WEAK = Layer(
    table={"a": {"b": 1, "c": [1, 2]}, "d": 3}, file=Path("weak"), text="[converge.a]\nb=1"
)
STRONG = Layer(table={"a": {"b": 2}, "d": {"e": 4}}, origin="somewhere")


def test_merge_lets_the_stronger_layer_win_key_by_key() -> None:
    """Tables are merged, everything else is replaced; the layers stay as they are."""
    assert {"a": {"b": 2, "c": [1, 2]}, "d": {"e": 4}} == merge([WEAK, STRONG])
    assert {"a": {"b": 1, "c": [1, 2]}, "d": 3} == merge([STRONG, WEAK])
    assert WEAK.table["a"] == {"b": 1, "c": [1, 2]}


def test_strongest_finds_who_decides() -> None:
    """The last layer that has the key; else the nearest table above it; else nobody."""
    layers = [WEAK, STRONG]
    assert (STRONG, ("a", "b")) == strongest(layers, ("a", "b"))
    assert (WEAK, ("a", "c", 1)) == strongest(layers, ("a", "c", 1))
    assert (WEAK, ("a", "c")) == strongest(layers, ("a", "c", 7))
    assert (WEAK, ("d",)) == strongest([WEAK], ("d", "e"))
    assert strongest(layers, ("x", "y")) is None


def test_problem_at_a_place_that_nobody_wrote_has_no_line() -> None:
    """Better no line than a wrong one."""
    assert str(problem_at([WEAK], ("x",), "is wrong")) == "converge.x: is wrong"


def test_dotted_joins_keys_and_indexes() -> None:
    """As a person would write it."""
    assert dotted(("a", "b", 1, "c")) == "a.b[1].c"
