"""What a change of configuration means for the pods that read it."""

import pytest

from jac_converge.reconciler.differences import Change
from jac_converge.reconciler.drift import Drift
from jac_converge.reconciler.pod_configuration import with_restarts
from jac_converge.reconciler.steps import OWNERS, Keep, Step, Update
from tests.unit.reconciler.live_objects import live, obj

ENVIRONMENT = [
    {"configMapRef": {"name": "shop-config"}},
    {"secretRef": {"name": "shop-secrets"}},
]
TEMPLATE = {"spec": {"containers": [{"envFrom": ENVIRONMENT}]}}
NOTED = "spec.template.metadata.annotations.jac-converge/config"


def update(kind: str, name: str, path: str, drift: Drift | None = None) -> Update:
    """One field changes."""
    it = obj(kind, name, spec={"template": TEMPLATE})
    changes = (Change(path=path, before="1", after="2"),)
    return Update(desired=it, live=live(it), changes=changes, drift=drift)


def effects(*steps: Step) -> dict[str, str]:
    """What each step says of running pods."""
    told = with_restarts("shop", steps)
    return {str(step.key): step.effect for step in told if isinstance(step, Update)}


APP = update("Deployment", "shop", NOTED)
STORE = update("StatefulSet", "shop-redis", NOTED)
REST = {
    "ConfigMap/shop-config": update("ConfigMap", "shop-config", "data.A"),
    "Secret/shop-secrets": update("Secret", "shop-secrets", "data.B"),
    "Secret/shop-credentials": update("Secret", "shop-credentials", "data.redis-password"),
    "ConfigMap/of-the-users": update("ConfigMap", "of-the-users", "data.A"),
}
ALL = set(REST)
READ_BY_APP = ALL - {"ConfigMap/of-the-users"}


@pytest.mark.parametrize(
    ("rolled", "expected"),
    [
        pytest.param((), set(), id="nothing rolls"),
        pytest.param((APP,), READ_BY_APP, id="the app reads anew"),
        pytest.param((STORE,), {"Secret/shop-credentials"}, id="a store reads anew"),
        pytest.param(
            (update("Deployment", "shop", "spec.replicas"),), set(), id="the app does not roll"
        ),
    ],
)
def test_with_restarts_tells_what_pods_roll_for(
    rolled: tuple[Update, ...], expected: set[str]
) -> None:
    """A new value counts when pods roll, and they do: nobody may be told otherwise."""
    told = effects(*REST.values(), *rolled)
    assert expected == {key for key in ALL if told[key] == "rolling restart"}


@pytest.mark.parametrize(
    ("lost", "effect"),
    [
        pytest.param(("f:data", "f:jwt-secret"), "rolling restart", id="a value"),
        pytest.param(("f:metadata", "f:labels", "f:a"), "no restart", id="a label"),
    ],
)
def test_with_restarts_knows_a_value_that_was_taken_over(
    lost: tuple[str, ...], effect: str
) -> None:
    """Nothing is written to such a Secret, and what somebody wrote there counts all the same."""
    drift = Drift(lost=(lost,), added=(), rivals=("kubectl-edit",), at=None)
    taken = update("Secret", "shop-credentials", OWNERS, drift)
    assert effect == effects(taken, APP)["Secret/shop-credentials"]


def test_with_restarts_leaves_every_other_step_as_it_is() -> None:
    """It tells, and decides nothing."""
    steps: list[Step] = [Keep(key=APP.key), update("Service", "shop", "data.x"), APP]
    assert steps == with_restarts("shop", steps)
