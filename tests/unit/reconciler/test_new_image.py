"""When an image has to be brought to the cluster."""

import pytest

from jac_converge.reconciler.objects import Object, keyed
from jac_converge.reconciler.rollout import new_image


def deployment(image: str) -> Object:
    """The app's."""
    spec = {"template": {"spec": {"containers": [{"image": image}]}}}
    return {"kind": "Deployment", "metadata": {"name": "shop"}, "spec": spec}


def pod(image: str, ready: str) -> Object:
    """One of its pods."""
    conditions = [{"type": "Ready", "status": ready}]
    return {"spec": {"containers": [{"image": image}]}, "status": {"conditions": conditions}}


@pytest.mark.parametrize(
    ("live", "pods", "expected"),
    [
        pytest.param([], [], "shop:2", id="first"),
        pytest.param([deployment("shop:1")], [pod("shop:1", "True")], "shop:2", id="another"),
        pytest.param([deployment("shop:2")], [], "", id="same"),
        pytest.param([deployment("evil")], [pod("shop:2", "True")], "", id="put back"),
        pytest.param([deployment("evil")], [pod("shop:2", "False")], "shop:2", id="never ran"),
    ],
)
def test_image_is_new_unless_a_ready_pod_runs_it(
    live: list[Object], pods: list[Object], expected: str
) -> None:
    """A foreign edit of the Deployment takes no image out of the cluster."""
    assert expected == new_image(keyed([deployment("shop:2")]), keyed(live), pods, "shop")
