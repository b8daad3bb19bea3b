"""What jac.toml asks for, told apart from what somebody else did."""

import pytest

from jac_converge.reconciler.authorship import edits_among, foreign_drift, leading
from jac_converge.reconciler.differences import Change
from jac_converge.reconciler.drift import Drift, FieldPath, owned_fields
from jac_converge.reconciler.objects import Object
from jac_converge.reconciler.ownership import FIELD_MANAGER
from jac_converge.reconciler.snapshot import Baseline
from tests.unit.reconciler.live_objects import entry, live, obj, ours

REPLICAS, PAUSED = "f:spec/f:replicas", "f:spec/f:paused"
DEPLOYMENT = obj("Deployment", spec={"replicas": 4})
BY_HAND = entry("kubectl-edit", REPLICAS, time="2026-01-02T03:04:05Z")


def paths(*spelled: str) -> frozenset[FieldPath]:
    """Fields as an apply of ours owns them."""
    return owned_fields(live(DEPLOYMENT, ours(*spelled)))


def earlier(*spelled: str) -> Baseline:
    """What an earlier jac.toml wanted, and the server accepted."""
    return Baseline(desired=DEPLOYMENT, fields=paths(*spelled))


@pytest.mark.parametrize(
    ("it", "wanted", "baseline", "autoscaled"),
    [
        pytest.param(
            live(DEPLOYMENT, ours(REPLICAS)), (), earlier(REPLICAS), True, id="autoscaling comes"
        ),
        pytest.param(
            live(DEPLOYMENT, ours(), entry("jac-converge-handover", REPLICAS)),
            (REPLICAS,),
            earlier(),
            False,
            id="autoscaling goes before it began",
        ),
        pytest.param(
            live(DEPLOYMENT, ours(), entry("kube-controller-manager", REPLICAS)),
            (REPLICAS,),
            earlier(),
            True,
            id="autoscaling goes",
        ),
        pytest.param(live(DEPLOYMENT, ours()), (REPLICAS,), earlier(), False, id="a field comes"),
        pytest.param(live(DEPLOYMENT, ours(REPLICAS)), (), None, False, id="a field went earlier"),
        pytest.param(live(DEPLOYMENT, ours()), (REPLICAS,), None, False, id="a field came earlier"),
    ],
)
def test_foreign_drift_is_none_where_jac_toml_changed(
    it: Object,
    wanted: tuple[str, ...],
    baseline: Baseline | None,
    *,
    autoscaled: bool,
) -> None:
    """We asked for the difference, and so did the autoscaler for us."""
    found = foreign_drift(it, paths(*wanted), baseline, lambda *_: False, autoscaled=autoscaled)
    assert found is None


@pytest.mark.parametrize(
    ("it", "wanted", "baseline", "lost", "added", "rivals"),
    [
        pytest.param(
            live(DEPLOYMENT, ours(PAUSED), BY_HAND),
            (REPLICAS, PAUSED, "f:spec/f:strategy"),
            earlier(REPLICAS, PAUSED),
            ("replicas",),
            (),
            ("kubectl-edit",),
            id="taken",
        ),
        pytest.param(
            live(DEPLOYMENT, ours(), entry(FIELD_MANAGER, PAUSED, operation="Update")),
            (PAUSED,),
            None,
            ("paused",),
            (),
            (),
            id="taken under our name, before we began",
        ),
        pytest.param(
            live(DEPLOYMENT, ours(PAUSED)),
            (REPLICAS, "f:spec/f:strategy"),
            earlier(REPLICAS, PAUSED),
            ("replicas",),
            (),
            (),
            id="removed",
        ),
        pytest.param(
            live(DEPLOYMENT, ours(), BY_HAND),
            (REPLICAS,),
            None,
            ("replicas",),
            (),
            ("kubectl-edit",),
            id="taken before we came",
        ),
        pytest.param(
            live(DEPLOYMENT, ours(REPLICAS, PAUSED)),
            ("f:spec/f:strategy",),
            earlier(REPLICAS),
            (),
            ("paused",),
            (),
            id="applied under our name",
        ),
    ],
)
def test_foreign_drift_is_what_others_did_beside_an_edit(
    it: Object,
    wanted: tuple[str, ...],
    baseline: Baseline | None,
    *,
    lost: tuple[str, ...],
    added: tuple[str, ...],
    rivals: tuple[str, ...],
) -> None:
    """An edit of jac.toml hides nobody else's."""
    found = foreign_drift(it, paths(*wanted), baseline, lambda *_: False, autoscaled=False)
    assert found is not None
    expected = (
        tuple(("f:spec", f"f:{name}") for name in lost),
        tuple(("f:spec", f"f:{name}") for name in added),
        rivals,
    )
    assert expected == (found.lost, found.added, found.rivals)


def change(path: str) -> Change:
    """A field that differs."""
    return Change(path=path, before=1, after=2)


POLICY, PORT, TYPE = (
    change("spec.externalTrafficPolicy"),
    change("spec.ports[http].targetPort"),
    change("spec.type"),
)
NAMED = paths("f:spec/f:type", 'f:spec/f:ports/k:{"port":80,"protocol":"TCP"}/f:targetPort')
TYPE_LOST = Drift(lost=(("f:spec", "f:type"),), added=(), rivals=("kubectl-patch",), at=None)


def test_leading_puts_what_was_touched_first_and_what_follows_last() -> None:
    """A default that the server added is not what happened."""
    assert (TYPE, PORT, POLICY) == leading((POLICY, PORT, TYPE), TYPE_LOST, NAMED)


def test_leading_puts_what_we_name_first_in_an_edit() -> None:
    """Nobody else had to do with it."""
    assert (PORT, TYPE, POLICY) == leading((POLICY, PORT, TYPE), None, NAMED)


def test_edits_among_are_what_jac_toml_asks_for_beside_a_heal() -> None:
    """Two stories, told apart, of which each has its part of the changes."""
    assert (POLICY, PORT) == edits_among((POLICY, PORT, TYPE), TYPE_LOST, NAMED)


@pytest.mark.parametrize(
    ("changes", "drift"),
    [
        pytest.param((POLICY, TYPE), TYPE_LOST, id="only what follows from the heal"),
        pytest.param((PORT, TYPE), None, id="no heal"),
    ],
)
def test_edits_among_are_none_in_one_story(
    changes: tuple[Change, ...], drift: Drift | None
) -> None:
    """There is nothing to tell apart."""
    assert () == edits_among(changes, drift, NAMED)
