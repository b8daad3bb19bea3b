"""What is ours, and how that is told."""

from typing import Any

import pytest

from jac_converge.reconciler.ownership import (
    INSTANCE_LABEL,
    MANAGED_BY_LABEL,
    Owner,
    labels_of,
    owner_of,
    selector_of,
)
from tests.unit.reconciler.live_objects import entry, ours


def marked(labels: dict[str, str] | None, *entries: dict[str, Any]) -> dict[str, Any]:
    """An object with labels, and with who wrote it."""
    return {"kind": "Service", "metadata": {"labels": labels, "managedFields": list(entries)}}


BOTH = {MANAGED_BY_LABEL: "jac-converge", INSTANCE_LABEL: "shop"}
BESIDE = {MANAGED_BY_LABEL: "jac-converge", INSTANCE_LABEL: "pub"}
HELM = {MANAGED_BY_LABEL: "Helm", INSTANCE_LABEL: "shop"}


@pytest.mark.parametrize(
    ("it", "owner"),
    [
        pytest.param(marked(BOTH, ours("f:spec")), "us", id="labels and manager"),
        pytest.param(marked(BOTH), "us", id="labels alone: a volume of a store of ours"),
        pytest.param(marked(None, ours("f:spec")), "us", id="manager alone: labels stripped"),
        pytest.param(marked({INSTANCE_LABEL: "shop"}, ours("f:x")), "us", id="one label stripped"),
        pytest.param(marked(BESIDE, ours("f:spec")), "another app", id="another app of ours"),
        pytest.param(marked({INSTANCE_LABEL: "pub"}, ours("f:x")), "another app", id="its label"),
        pytest.param(marked(HELM, entry("helm", "f:x")), "nobody", id="same name, other tool"),
        pytest.param(marked(None), "nobody", id="no mark at all"),
        pytest.param({"kind": "Service", "metadata": {}}, "nobody", id="bare"),
    ],
)
def test_owner_of_tells_whose_an_object_is(it: dict[str, Any], owner: Owner) -> None:
    """Labels select and the manager proves; another app's name outweighs both."""
    assert owner == owner_of(it, "shop")


def test_labels_carry_what_the_selector_asks_for() -> None:
    """Else our own objects would be invisible to us."""
    asked = dict(pair.split("=") for pair in selector_of("shop").split(","))
    assert asked == {key: labels_of("shop", "redis")[key] for key in asked}


def test_labels_tell_the_component() -> None:
    """The database of an app is found apart from the app."""
    labels = labels_of("shop", "redis")
    found = {key.split("/")[1]: value for key, value in labels.items()}
    assert {
        "name": "redis",
        "instance": "shop",
        "component": "redis",
        "part-of": "shop",
        "managed-by": "jac-converge",
    } == found
