"""What a deploy that failed says of what it wrote."""

import pytest

from jac_converge.reconciler.objects import ObjectKey
from jac_converge.reconciler.steps import Create, Hold, Keep, Plan, Refuse, Step
from jac_converge.reconciler.tally import not_begun, what_was_written
from tests.unit.reconciler.live_objects import obj

A, B, C, D, E, F = (ObjectKey("ConfigMap", name) for name in "abcdef")


def create(key: ObjectKey) -> Create:
    """It is not there."""
    return Create(desired=obj(*key))


def refuse(key: ObjectKey) -> Refuse:
    """It must not be written."""
    return Refuse(key=key, reason="not ours")


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param((refuse(A), Keep(key=B)), "which is refused; mend", id="nothing else to do"),
        pytest.param((refuse(A), create(B)), "refused, nor the other step; mend", id="one other"),
        pytest.param(
            (refuse(A), refuse(B), create(C), Hold(key=D, reason="waits")),
            "not ConfigMap/a, ConfigMap/b, which are refused, nor any of 2 other steps; mend",
            id="several",
        ),
    ],
)
def test_not_begun_says_that_nothing_was_written(steps: tuple[Step, ...], expected: str) -> None:
    """And why, and what else that keeps from being written."""
    told = not_begun(Plan(steps=steps))
    assert (True, True) == (told.startswith("nothing was written: "), expected in told), told


@pytest.mark.parametrize(
    ("steps", "written", "expected"),
    [
        pytest.param((create(A), Keep(key=B)), {A}, "", id="all of it"),
        pytest.param((create(A), create(B)), set(), "nothing was written", id="none"),
        pytest.param(
            (create(A), create(B), refuse(C), Hold(key=D, reason="waits")),
            {A},
            "written: ConfigMap/a; not written: ConfigMap/b, ConfigMap/c, ConfigMap/d",
            id="some",
        ),
        pytest.param(
            (refuse(F),),
            {E, D, C, B, A},
            "written: ConfigMap/a, ConfigMap/b, ConfigMap/c, ConfigMap/d and 1 more; "
            "not written: ConfigMap/f",
            id="many, over several passes",
        ),
    ],
)
def test_what_was_written_tells_both_sides(
    steps: tuple[Step, ...], written: set[ObjectKey], expected: str
) -> None:
    """Whoever reads it knows what is on the cluster now."""
    assert expected == what_was_written(Plan(steps=steps), written)
