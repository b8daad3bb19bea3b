"""Fields that a rival changes back: when they are given up, and when they are healed again."""

from collections.abc import Mapping

import pytest

from jac_converge.reconciler.drift import drift_of, owned_fields
from jac_converge.reconciler.fights import HEALS, PAUSE, QUIET, WINDOW, Fights
from jac_converge.reconciler.objects import Object, ObjectKey, key_of
from jac_converge.reconciler.steps import Update
from tests.unit.reconciler.live_objects import entry, live, obj, ours

COUNT, IMAGE = "f:spec/f:replicas", "f:spec/f:image"
DESIRED = obj("Deployment", spec={"replicas": 2, "image": "shop:1"})
MINE = live(DESIRED, ours(COUNT, IMAGE))
TAKEN = live(DESIRED, ours(IMAGE), entry("vpa", COUNT))
KEY = key_of(DESIRED)
LINE = "Deployment/shop:spec.replicas manager=vpa"


def healed(there: Object = TAKEN, expected: Object = MINE) -> Update:
    """A step that took back what is not as in `expected`."""
    drift = drift_of(there, owned_fields(expected))
    return Update(desired=DESIRED, live=there, changes=(), drift=drift)


def world(there: Object) -> Mapping[ObjectKey, Object]:
    """One object."""
    return {key_of(there): there}


@pytest.mark.parametrize(
    ("times", "begun"),
    [
        pytest.param((0.0, 1.0), [0, 0], id="two heals are none"),
        pytest.param((0.0, 1.0, 2.0), [0, 0, 1], id="three are one"),
        pytest.param((0.0, 1.0, WINDOW), [0, 0, 0], id="three, too far apart"),
        pytest.param((0.0, 1.0, WINDOW, WINDOW + 0.5), [0, 0, 0, 1], id="the last three count"),
    ],
)
def test_fight_begins_after_heals_in_a_row(times: tuple[float, ...], begun: list[int]) -> None:
    """One field, one manager, within the window."""
    fights = Fights()
    assert begun == [len(fights.heal([healed()], at)) for at in times]


def test_heals_of_other_fields_and_managers_do_not_add_up() -> None:
    """Three people who each change something once are no rival."""
    fights = Fights()
    other = live(DESIRED, ours(COUNT), entry("vpa", IMAGE))
    another = live(DESIRED, ours(IMAGE), entry("kubectl-edit", COUNT))
    assert [(), (), ()] == [fights.heal([healed(it)], 1.0) for it in (TAKEN, other, another)]


def test_update_without_drift_is_no_heal() -> None:
    """Edits of jac.toml are ours."""
    fights = Fights()
    step = Update(desired=DESIRED, live=MINE, changes=())
    assert [()] * HEALS == [fights.heal([step], 0.0) for _ in range(HEALS)]


def fought() -> Fights:
    """One fight, since 0 s."""
    fights = Fights()
    for _ in range(HEALS):
        begun = fights.heal([healed()], 0.0)
    (fight,) = begun
    assert f'ignore = ["{LINE}"]' in fight.sentence
    return fights


LEFT = (LINE,)


@pytest.mark.parametrize(
    ("looks", "left"),
    [
        pytest.param([(1.0, TAKEN)], LEFT, id="the rival stays"),
        pytest.param([(PAUSE - 1, TAKEN)], LEFT, id="before the pause ends"),
        pytest.param([(PAUSE, TAKEN)], (), id="the pause ended"),
        pytest.param([(1.0, MINE), (QUIET, TAKEN)], LEFT, id="away for a moment"),
        pytest.param([(1.0, MINE), (QUIET + 1, TAKEN)], (), id="away for long, and back"),
        pytest.param(
            [(1.0, MINE), (2.0, TAKEN), (3.0, MINE), (QUIET + 2, TAKEN)],
            LEFT,
            id="away twice, for a moment",
        ),
    ],
)
def test_fight_ends(looks: list[tuple[float, Object]], left: tuple[str, ...]) -> None:
    """By time, or because the rival gave up."""
    fights = fought()
    for at, there in looks:
        rules = fights.rules(world(there), at)
    assert left == tuple(map(str, rules)) == fights.lines(KEY)


def test_fight_is_over_for_the_next_heals() -> None:
    """After the pause it takes as many heals again."""
    fights = fought()
    fights.rules(world(TAKEN), PAUSE)
    begun = [len(fights.heal([healed()], PAUSE + at)) for at in range(HEALS)]
    assert [0, 0, 1] == begun


def test_fight_over_an_added_item_names_the_item() -> None:
    """A sidecar is one thing, not ten fields."""
    app, spy = 'f:spec/f:containers/k:{"name":"app"}', 'f:spec/f:containers/k:{"name":"spy"}'
    mine = live(DESIRED, ours(f"{app}/f:image"))
    there = live(DESIRED, ours(f"{app}/f:image"), entry("injector", f"{spy}/.", *_leaves(spy)))
    fights = Fights()
    for _ in range(HEALS):
        begun = fights.heal([healed(there, mine)], 0.0)
    assert ["spec.containers[spy]"] == [fight.rule.path for fight in begun]


def _leaves(item: str) -> tuple[str, ...]:
    return (f"{item}/f:name", f"{item}/f:image")


def test_fight_over_the_key_of_an_item_names_the_list() -> None:
    """A port under another number is two items: ours gone, and theirs."""
    old = 'f:spec/f:ports/k:{"port":80,"protocol":"TCP"}'
    new = 'f:spec/f:ports/k:{"port":8080,"protocol":"TCP"}'
    mine = live(DESIRED, ours(f"{old}/f:name", f"{old}/f:port"))
    there = live(DESIRED, ours(), entry("operator", f"{new}/f:name", f"{new}/f:port"))
    fights = Fights()
    for _ in range(HEALS):
        begun = fights.heal([healed(there, mine)], 0.0)
    assert ["Deployment/shop:spec.ports manager=operator"] == [str(f.rule) for f in begun]
