"""Where a deployed app answers."""

from typing import Any

import pytest

from jac_converge.reconciler.objects import Object, ObjectKey
from jac_converge.reconciler.reach import reach
from tests.unit.reconciler.build.apps import app_with


def balanced(*addresses: dict[str, str]) -> Object:
    """An object with addresses that the cluster assigned."""
    return {"status": {"loadBalancer": {"ingress": list(addresses)}}}


@pytest.mark.parametrize(
    ("exposure", "live", "expected"),
    [
        pytest.param(
            {},
            {},
            "jac scale shop.jac --open",
            id="none",
        ),
        pytest.param(
            {"kind": "nodeport"},
            {"Service": {"spec": {"ports": [{"port": 80, "nodePort": 31234}]}}},
            "http://NODE:31234/docs  # NODE: address of any node",
            id="node port",
        ),
        pytest.param(
            {"kind": "loadbalancer"},
            {"Service": balanced({"ip": "203.0.113.7"})},
            "http://203.0.113.7/docs",
            id="balancer with an address",
        ),
        pytest.param(
            {"kind": "loadbalancer"},
            {"Service": balanced({}, {"hostname": "lb.example", "ip": "203.0.113.7"})},
            "http://lb.example/docs",
            id="balancer with a name",
        ),
        pytest.param(
            {"kind": "loadbalancer"},
            {"Service": balanced({"ip": "2001:db8::7"})},
            "http://[2001:db8::7]/docs",
            id="IPv6",
        ),
        pytest.param(
            {"kind": "ingress", "host": "shop.example"},
            {"Ingress": balanced({"ip": "203.0.113.7"})},
            "http://shop.example/docs",
            id="ingress",
        ),
        pytest.param(
            {"kind": "ingress", "host": "shop.example", "tls_secret": "shop-tls"},
            {},
            "https://shop.example/docs",
            id="ingress with a certificate",
        ),
        pytest.param(
            {"kind": "ingress"},
            {"Ingress": balanced({"ip": "203.0.113.7"})},
            "http://203.0.113.7/docs",
            id="ingress for any host",
        ),
        pytest.param(
            {"kind": "ingress"},
            {},
            "http://INGRESS/docs  # INGRESS: address of the ingress controller",
            id="ingress without an address",
        ),
        pytest.param(
            {"kind": "gateway", "gateway": "public", "host": "shop.example"},
            {},
            "http://shop.example/docs  # or https, as Gateway public listens",
            id="gateway",
        ),
    ],
)
def test_reach_tells_the_address(
    exposure: dict[str, Any], live: dict[str, Object], expected: str
) -> None:
    """An address that works when pasted, or what to put in its place."""
    found = {ObjectKey(kind, "shop"): obj for kind, obj in live.items()}
    assert expected == reach(app_with({"exposure": exposure}), found)


def test_reach_names_no_page_that_is_switched_off() -> None:
    """Without /docs, the address alone."""
    app = app_with(
        {"exposure": {"kind": "ingress", "host": "shop.example"}}, server={"docs_enabled": False}
    )
    assert "http://shop.example" == reach(app, {})
