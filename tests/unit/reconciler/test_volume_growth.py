"""What a person is told whose volume should be another one."""

from typing import Any

import pytest

from jac_converge.reconciler.objects import Object
from jac_converge.reconciler.volume_growth import volume_advice
from tests.unit.reconciler.live_objects import live, obj


def store(storage: str, **more: Any) -> Object:
    """A StatefulSet with one volume."""
    claim = {"resources": {"requests": {"storage": storage}}, **more}
    templates = [{"metadata": {"name": "data"}, "spec": claim}]
    return obj("StatefulSet", "shop-mongodb", spec={"volumeClaimTemplates": templates})


GROWS = (
    "a volume grows by hand, if its StorageClass lets it: kubectl -n prod patch pvc "
    """data-shop-mongodb-0 -p '{"spec":{"resources":{"requests":{"storage":"9Gi"}}}}' """
    "&& kubectl -n prod delete statefulset shop-mongodb --cascade=orphan; then it is created again "
    "around its pod, which does not restart"
)


@pytest.mark.parametrize(
    ("before", "after", "advice"),
    [
        (store("8Gi"), store("9Gi"), GROWS),
        (store("8Gi"), store("8192Mi"), ""),
        (store("8Gi"), store("7.5Gi"), "a volume does not shrink: put storage back to '8Gi'"),
        (
            store("8Gi", storageClassName="slow"),
            store("9Gi", storageClassName="fast"),
            "a volume keeps its class: put storage_class back to 'slow'",
        ),
        (store("8Gi", storageClassName="slow"), store("8Gi"), ""),
        (obj("StatefulSet", spec={}), store("8Gi"), ""),
        (store("lots"), store("8Gi"), ""),
    ],
    ids=[
        "larger",
        "the same",
        "smaller",
        "another class",
        "the default class",
        "a new volume",
        "a stranger's",
    ],
)
def test_volume_advice_names_a_way_out(before: Object, after: Object, advice: str) -> None:
    """The server only says which fields could change."""
    assert advice == volume_advice(after, live(before, namespace="prod"))
