"""The closed table of kinds, and how objects are named."""

import pytest

from jac_converge.reconciler.objects import KINDS, ObjectKey, key_of, kind_named


def test_kinds_have_one_name_and_one_place_each() -> None:
    """A name or a URL that stood for two kinds would mix their objects up."""
    assert len(KINDS) == len({kind.name for kind in KINDS})
    assert len(KINDS) == len({(kind.api_version, kind.plural) for kind in KINDS})


def test_kinds_that_hold_data_are_kept() -> None:
    """Nothing else may keep a prune from taking a password or a volume along."""
    kept = {kind.name for kind in KINDS if kind.prune == "keep-data"}
    assert {"Namespace", "Secret", "PersistentVolumeClaim"} == kept


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Namespace", "ServiceAccount"),
        ("ServiceAccount", "Deployment"),
        ("ConfigMap", "Deployment"),
        ("Secret", "StatefulSet"),
        ("Service", "StatefulSet"),
        ("NetworkPolicy", "StatefulSet"),
        ("StatefulSet", "Deployment"),
        ("Deployment", "HorizontalPodAutoscaler"),
        ("Deployment", "PodDisruptionBudget"),
        ("Deployment", "Ingress"),
        ("Service", "HTTPRoute"),
    ],
)
def test_kinds_come_after_what_they_need(first: str, second: str) -> None:
    """Creates go in this order, deletes in reverse."""
    assert kind_named(first).rank < kind_named(second).rank


def test_only_the_namespace_lives_in_none() -> None:
    """Everything else of an app is inside of it."""
    assert ["Namespace"] == [kind.name for kind in KINDS if not kind.namespaced]


def test_kind_named_knows_no_other_kind() -> None:
    """What is not in the table can be neither read nor written."""
    with pytest.raises(KeyError):
        kind_named("ClusterRoleBinding")


def test_key_of_tells_kind_and_name() -> None:
    """The namespace is not part of it: an app has one."""
    it = {"kind": "Service", "metadata": {"name": "shop", "namespace": "prod"}}
    assert ObjectKey("Service", "shop") == key_of(it)
    assert "Service/shop" == str(key_of(it))


def test_keys_sort_by_kind_then_name() -> None:
    """Whatever lists objects does so in one order."""
    keys = [ObjectKey("Service", "a"), ObjectKey("Secret", "b"), ObjectKey("Secret", "a")]
    assert ["Secret/a", "Secret/b", "Service/a"] == [str(key) for key in sorted(keys)]
