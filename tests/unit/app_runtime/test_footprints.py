"""What is expected of a call, by what those before it read."""

from itertools import pairwise

from jac_converge.app_runtime.bridge.footprints import KEPT, MOST, Footprints

KEY = ("look", "root")


def after(*calls: tuple[str, ...]) -> tuple[str, ...]:
    """Return what is expected after some calls."""
    footprints = Footprints()
    for ids in calls:
        footprints.note(KEY, ids)
    return footprints.expected(KEY)


def test_two_calls_that_agree_tell_what_the_third_will_read() -> None:
    """One could be chance."""
    assert () == after()
    assert () == after(("a", "b"))
    assert ("a", "b") == after(("a", "b"), ("a", "b"))


def test_what_grows_is_followed() -> None:
    """The last call counts."""
    calls = [tuple(f"{n}" for n in range(count)) for count in range(1, 9)]
    for one, other in pairwise(calls[2:]):
        assert other == after(one, other)


def test_calls_that_go_elsewhere_each_time_are_left_alone() -> None:
    """To read for them what they do not need would cost them more."""
    assert () == after(("a",), ("b",), ("c",))
    assert () == after(("a", "b"), ("a", "b"), ("c", "d"))
    assert () == after(("a", "b"), ("b", "c"))


def test_large_reads_are_left_alone() -> None:
    """A second round trip is nothing to them."""
    many = tuple(f"{n}" for n in range(MOST + 1))
    assert () == after(many, many)
    assert many[:-1] == after(many[:-1], many[:-1])


def test_callers_have_their_own() -> None:
    """And walkers."""
    footprints = Footprints()
    for _ in range(2):
        footprints.note(KEY, ("a",))
    assert () == footprints.expected(("look", "another"))
    assert () == footprints.expected(("other", "root"))


def test_what_is_kept_has_an_end() -> None:
    """The oldest goes first."""
    footprints = Footprints()
    for number in range(KEPT + 1):
        for _ in range(2):
            footprints.note(("look", f"{number}"), ("a",))
    assert () == footprints.expected(("look", "0"))
    assert ("a",) == footprints.expected(("look", "1"))
    assert ("a",) == footprints.expected(("look", f"{KEPT}"))
