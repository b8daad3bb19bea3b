"""Values that are too long for a line."""

import pytest

from jac_converge.reconciler.abbreviating import SHOWN, abbreviated

NAME = "registry.internal.example/platform/team/shop-of-the-north-west"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param("a:1", "a:2", "a:1 -> a:2", id="short"),
        pytest.param(None, "x" * 70, f"(none) -> {'x' * 57}...", id="new"),
        pytest.param(
            f"{NAME}:1.0",
            f"{NAME}:1.1",
            "...of-the-north-west:1.0 -> ...of-the-north-west:1.1",
            id="tags of a long name",
        ),
        pytest.param("x" * 70, "x" * 71, f"...{'x' * 20} -> ...{'x' * 21}", id="longer at the end"),
        pytest.param("a\nb\x1b[2J", "a", "a\\nb\\x1b[2J -> a", id="control characters"),
    ],
)
def test_abbreviated_tells_two_values_apart(before: object, after: object, told: str) -> None:
    """Whatever of them is cut off."""
    assert told == abbreviated(before, after)


def test_abbreviated_cuts_after_the_difference_too() -> None:
    """Two digests that begin alike."""
    before, after = (f"{NAME}@sha256:{first}{'e' * 63}" for first in "ab")
    old, new = abbreviated(before, after).split(" -> ")
    assert (SHOWN, SHOWN, True) == (len(old), len(new), old != new)
