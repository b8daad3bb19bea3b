"""Who may talk to whom, told from the policies alone, as a cluster's network would judge."""

from typing import Any

import pytest

from jac_converge.config.load import App
from jac_converge.reconciler.build import build
from jac_converge.reconciler.objects import Object
from tests.unit.reconciler.build.apps import APPS, CREDENTIALS, app_with

DNS = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]


def policies_of(app: App) -> dict[str, Any]:
    """The policies' specs, by name."""
    return {
        obj["metadata"]["name"]: obj["spec"]
        for obj in build(app, CREDENTIALS)
        if obj["kind"] == "NetworkPolicy"
    }


def pod_labels(objects: tuple[Object, ...], name: str) -> dict[str, str]:
    """The labels of a workload's pods."""
    (labels,) = (
        obj["spec"]["template"]["metadata"]["labels"]
        for obj in objects
        if obj["metadata"]["name"] == name and "template" in obj.get("spec", {})
    )
    assert isinstance(labels, dict)
    return labels


@pytest.mark.parametrize("app", APPS.values(), ids=APPS.keys())
def test_every_workload_is_closed_in_both_directions(app: App) -> None:
    """A policy without a direction in its types leaves that direction open."""
    workloads = {
        obj["metadata"]["name"]
        for obj in build(app, CREDENTIALS)
        if obj["kind"] in {"Deployment", "StatefulSet"}
    }
    policies = policies_of(app)

    assert workloads == policies.keys()
    assert [["Ingress", "Egress"]] * len(policies) == [p["policyTypes"] for p in policies.values()]


@pytest.mark.parametrize("store", ["redis", "mongodb"])
def test_stores_are_reached_by_the_app_only(store: str) -> None:
    """From the pods of the app, on the one port; none of another app, nor of the other store."""
    objects = build(app_with(), CREDENTIALS)
    others = build(app_with(name="shop-eu"), CREDENTIALS)
    policy = policies_of(app_with())[f"shop-{store}"]
    (rule,) = policy["ingress"]
    (peer,) = rule["from"]
    callers = peer["podSelector"]["matchLabels"].items()

    assert {"podSelector"} == peer.keys()
    assert [{"protocol": "TCP", "port": store}] == rule["ports"]
    assert callers <= pod_labels(objects, "shop").items()
    assert not callers <= pod_labels(objects, "shop-redis").items()
    assert not callers <= pod_labels(objects, "shop-mongodb").items()
    assert not callers <= pod_labels(others, "shop-eu").items()
    assert [{"ports": DNS}] == policy["egress"]


def test_app_is_reached_on_its_port_and_reaches_everything() -> None:
    """Which peers an app needs outside, jac.toml does not say."""
    policy = policies_of(app_with({"container_port": 9000}))["shop"]

    assert [{"ports": [{"protocol": "TCP", "port": "http"}]}] == policy["ingress"]
    assert [{}] == policy["egress"]


def test_policies_name_ports_that_the_pods_have() -> None:
    """A name that no container has matches no traffic: the workload would be cut off."""
    app = app_with()
    ports = {
        obj["metadata"]["name"]: {
            port["name"]
            for container in obj["spec"]["template"]["spec"]["containers"]
            for port in container["ports"]
        }
        for obj in build(app, CREDENTIALS)
        if obj["kind"] in {"Deployment", "StatefulSet"}
    }

    assert ports == {
        name: {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
        for name, policy in policies_of(app).items()
    }


def test_policies_can_be_switched_off() -> None:
    """For a cluster whose network is closed by somebody else."""
    assert {} == policies_of(app_with({"network_policies": False}))
