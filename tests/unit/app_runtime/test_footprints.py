"""What is expected of a call, by what those before it read."""

from collections.abc import Collection
from itertools import pairwise

import pytest

from jac_converge.app_runtime.bridge import reading
from jac_converge.app_runtime.bridge.footprints import KEPT, MOST, Footprints
from jac_converge.app_runtime.stores import Document

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


class Changing:
    """A store in which each read finds another version."""

    def __init__(self) -> None:
        self.reads = 0

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Read."""
        self.reads += 1
        return {id_: Document(id=id_, kind="n", body={}, version=self.reads) for id_ in ids}


def test_what_came_along_is_read_anew_when_it_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a commit of the call itself, or when it has waited for too long."""
    monkeypatch.setattr(reading, "FOOTPRINTS", Footprints())
    for _ in range(2):
        reading.FOOTPRINTS.note(("call", "root"), ("a", "b", "c"))
    store = Changing()
    reader = reading.Reader(store, "call")  # type: ignore[arg-type] # no request commits here
    reader.read(["root"])
    assert 1 == reader.read(["a"])["a"].version
    reader.look_anew()
    assert 2 == reader.read(["b"])["b"].version
    assert 1 == reader.read(["a"])["a"].version  # each once
    assert 2 == store.reads
