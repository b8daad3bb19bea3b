"""How the app is reached from outside: what depends on which setting."""

from typing import Any

import pytest

from jac_converge.reconciler.build import build
from jac_converge.reconciler.objects import Object
from tests.unit.reconciler.build.apps import CREDENTIALS, app_with

HOST = "shop.example"


def outside(**exposure: Any) -> dict[str, Object]:
    """The app's Service and what stands before it, by kind."""
    objects = build(app_with({"exposure": exposure}), CREDENTIALS)
    return {
        obj["kind"]: obj
        for obj in objects
        if obj["kind"] in {"Service", "Ingress", "HTTPRoute"} and obj["metadata"]["name"] == "shop"
    }


@pytest.mark.parametrize(
    ("kind", "kinds", "service_type"),
    [
        ("none", {"Service"}, "ClusterIP"),
        ("nodeport", {"Service"}, "NodePort"),
        ("loadbalancer", {"Service"}, "LoadBalancer"),
        ("ingress", {"Service", "Ingress"}, "ClusterIP"),
        ("gateway", {"Service", "HTTPRoute"}, "ClusterIP"),
    ],
)
def test_exposure_decides_which_objects_there_are(
    kind: str, kinds: set[str], service_type: str | None
) -> None:
    """Only what was asked for is public."""
    gateway = {"gateway": "public"} if kind == "gateway" else {}
    found = outside(kind=kind, **gateway)

    assert kinds == found.keys()
    assert service_type == found["Service"]["spec"].get("type")


@pytest.mark.parametrize(
    ("kind", "annotated"),
    [
        ("nodeport", "Service"),
        ("loadbalancer", "Service"),
        ("ingress", "Ingress"),
        ("gateway", "HTTPRoute"),
    ],
)
def test_annotations_are_on_what_is_reached_alone(kind: str, annotated: str) -> None:
    """A controller reads them there; on the Service behind it they would mean something else."""
    given = {"example.com/b": "2", "example.com/a": "1"}
    gateway = {"gateway": "public"} if kind == "gateway" else {}
    found = outside(kind=kind, annotations=given, **gateway)

    assert {annotated: given} == {
        kind: obj["metadata"]["annotations"]
        for kind, obj in found.items()
        if "annotations" in obj["metadata"]
    }


def test_node_port_is_sent_only_when_it_is_given() -> None:
    """Else the cluster picks a free one, and keeps it."""
    given, picked = (
        outside(kind="nodeport", **more)["Service"]["spec"]["ports"][0]
        for more in ({"node_port": 30080}, {})
    )

    assert 30080 == given["nodePort"]
    assert "nodePort" not in picked


def test_ingress_leads_to_a_port_that_the_service_has() -> None:
    """By name, from every path of the host."""
    found = outside(kind="ingress", host=HOST, tls_secret="shop-tls", class_name="nginx")
    spec = found["Ingress"]["spec"]
    (rule,) = spec["rules"]
    (path,) = rule["http"]["paths"]
    backend = path["backend"]["service"]

    assert found["Service"]["metadata"]["name"] == backend["name"]
    assert [backend["port"]["name"]] == [p["name"] for p in found["Service"]["spec"]["ports"]]
    assert ("/", "Prefix", HOST) == (path["path"], path["pathType"], rule["host"])
    assert [{"hosts": [HOST], "secretName": "shop-tls"}] == spec["tls"]
    assert "nginx" == spec["ingressClassName"]


def test_ingress_without_more_answers_to_any_host() -> None:
    """The cluster's default class, no TLS, no host."""
    spec = outside(kind="ingress")["Ingress"]["spec"]

    assert {"rules"} == spec.keys()
    assert ["http"] == [*spec["rules"][0]]


@pytest.mark.parametrize(
    ("more", "parent", "hostnames"),
    [
        ({}, {"name": "public"}, None),
        (
            {"gateway_namespace": "infra", "host": HOST},
            {"name": "public", "namespace": "infra"},
            [HOST],
        ),
    ],
    ids=["bare", "all"],
)
def test_route_attaches_to_the_gateway_and_leads_to_the_service(
    more: dict[str, str], parent: dict[str, str], hostnames: list[str] | None
) -> None:
    """By number: a route knows no named ports."""
    found = outside(kind="gateway", gateway="public", **more)
    spec = found["HTTPRoute"]["spec"]
    service = found["Service"]

    assert ([parent], hostnames) == (spec["parentRefs"], spec.get("hostnames"))
    assert [
        {"name": service["metadata"]["name"], "port": service["spec"]["ports"][0]["port"]}
    ] == spec["rules"][0]["backendRefs"]
