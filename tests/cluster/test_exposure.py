"""How an app is exposed, on a real API server: each way, and from each way to another."""

from pathlib import Path
from typing import Any

import pytest

from tests.cluster.applied import apply
from tests.cluster.foreign_edits import path_of
from tests.cluster.gateway_api import install
from tests.cluster.running_loop import running_loop, wait_until, write_app
from tests.cluster.test_build import objects_in, rewritten
from tests.e2e.scale_command import run_scale, running_scale
from tests.servers.api import Api, ApiFailed
from tests.servers.control_plane import ControlPlane
from tests.unit.reconciler.build.apps import app_with

TOML = """
[converge.kubernetes]
namespace = "{namespace}"
image = "example/shop:1"
redis.enabled = false
mongodb.enabled = false

[converge.kubernetes.exposure]
{exposure}
"""
GATEWAY = 'kind = "gateway"\ngateway = "public"\ngateway_namespace = "infra"\nhost = "shop.example"'


def toml(namespace: str, exposure: str) -> str:
    """An app without stores that is exposed in this way."""
    return TOML.format(namespace=namespace, exposure=exposure)


def is_there(api: Api, kind: str, namespace: str) -> bool:
    """Whether the app has an object of this kind."""
    found = api.get(path_of(kind, namespace))["items"]
    return any(obj["metadata"]["name"] == "shop" for obj in found)


def install_gateway_api(api: Api, namespace: str) -> None:
    """Teach a cluster HTTPRoutes, and wait until it serves them."""
    install(api)

    def served() -> bool:
        try:
            api.get(path_of("HTTPRoute", namespace))
        except ApiFailed:
            return False
        return True

    wait_until(served, what="the CRD is not established")


@pytest.fixture
def namespace_with_gateway_api(own_control_plane: ControlPlane) -> str:
    """Give a namespace of a cluster of one's own that knows HTTPRoutes."""
    namespace = own_control_plane.new_namespace()
    install_gateway_api(own_control_plane.api, namespace)
    return namespace


def test_app_changes_from_each_exposure_to_the_next(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """What the last way needed is gone, and a second look finds nothing to do."""
    server, namespace = cluster_with_controllers, unused_namespace
    ingress = 'kind = "ingress"\nhost = "shop.example"\nannotations = { "example.com/a" = "1" }'
    ways: list[tuple[str, str, str, bool]] = [
        ('kind = "none"', "jac scale shop.jac --open", "ClusterIP", False),
        ('kind = "nodeport"', "http://NODE:3", "NodePort", False),
        (ingress, "http://shop.example/docs", "ClusterIP", True),
        ('kind = "ingress"', "http://INGRESS/docs", "ClusterIP", True),
        ('kind = "nodeport"\nannotations = { "a" = "1" }', "http://NODE:3", "NodePort", False),
        ('kind = "none"', "jac scale shop.jac --open", "ClusterIP", False),
    ]
    for exposure, reached, service_type, with_ingress in ways:
        file = write_app(tmp_path, toml(namespace, exposure))
        done = run_scale(file, kubeconfig=server.kubeconfig)
        assert (0, "") == (done.code, done.err), done.out
        assert f"reach it:  {reached}" in done.out
        service: Any = server.api.get(path_of("Service", namespace, "shop"))
        port = service["spec"]["ports"][0]
        annotated = "annotations" in service["metadata"]
        assert service_type == service["spec"]["type"]
        assert (service_type == "NodePort") == ("nodePort" in port)
        assert annotated == (service_type == "NodePort" and "annotations" in exposure)
        assert with_ingress == is_there(server.api, "Ingress", namespace)
        again = run_scale(file, "--plan", kubeconfig=server.kubeconfig)
        assert (0, "") == (again.code, again.err), again.out


def test_balanced_app_waits_for_its_address_and_tells_it(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """Whoever asks for a load balancer cannot reach the app before it has one."""
    server, namespace = cluster_with_controllers, unused_namespace
    file = write_app(tmp_path, toml(namespace, 'kind = "loadbalancer"'))
    with running_scale(file, kubeconfig=server.kubeconfig) as running:
        running.wait_for("Service/shop: waiting for an address from the load balancer")
        running.wait_for("Deployment/shop: ready")
        path = f"{path_of('Service', namespace, 'shop')}/status"
        server.api.patch(path, {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}})
        running.wait_for("reach it:  http://203.0.113.7/docs")
        assert 0 == running.wait()


@pytest.mark.parametrize("flags", [[], ["--plan"]], ids=["apply", "plan"])
def test_gateway_is_refused_where_the_cluster_does_not_know_it(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, flags: list[str]
) -> None:
    """With what to install, and before anything is written."""
    file = write_app(tmp_path, toml(namespace, GATEWAY))
    done = run_scale(file, *flags, kubeconfig=control_plane.kubeconfig)
    words = "HTTPRoute/shop: this cluster does not know HTTPRoute; install the Gateway API (https"
    assert (1, True) == (done.code, words in done.out), done.out
    assert not is_there(control_plane.api, "Service", namespace)


def test_loop_keeps_an_app_converged_where_the_cluster_does_not_know_a_kind(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """What it cannot watch, and does not need, it does not even mention."""
    file = write_app(tmp_path, toml(namespace, 'kind = "ingress"'))
    with running_loop(file, control_plane.kubeconfig) as running:
        wait_until(lambda: is_there(control_plane.api, "Ingress", namespace))
        control_plane.api.delete(path_of("Ingress", namespace, "shop"))
        wait_until(lambda: any("Ingress" == heal.key.kind for heal in running.view.heals))
        assert [] == [message for message in running.view.messages if "HTTPRoute" in message]


def test_kind_that_was_unknown_is_watched_once_the_app_uses_it(
    own_control_plane: ControlPlane, tmp_path: Path
) -> None:
    """The cluster is not asked about it before, and at once then."""
    api, namespace = own_control_plane.api, own_control_plane.new_namespace()
    file = write_app(tmp_path, toml(namespace, 'kind = "none"'))
    with running_loop(file, own_control_plane.kubeconfig) as running:
        wait_until(lambda: bool(running.view.rows))
        install_gateway_api(api, namespace)

        write_app(tmp_path, toml(namespace, GATEWAY))
        wait_until(lambda: is_there(api, "HTTPRoute", namespace))

        api.delete(path_of("HTTPRoute", namespace, "shop"))
        wait_until(lambda: any("HTTPRoute" == heal.key.kind for heal in running.view.heals))


def test_route_is_stored_as_it_is_sent(
    own_control_plane: ControlPlane, namespace_with_gateway_api: str
) -> None:
    """No value comes back as another one, and a second apply writes nothing."""
    exposure = {"kind": "gateway", "gateway": "public", "host": "shop.example"}
    objects = objects_in(namespace_with_gateway_api, app_with({"exposure": exposure}))
    (route,) = (obj for obj in objects if obj["kind"] == "HTTPRoute")

    first, second = apply(own_control_plane, route), apply(own_control_plane, route)

    assert ([], first.version) == (rewritten(route, first.obj), second.version)


def test_route_is_watched_healed_judged_and_pruned(
    own_control_plane: ControlPlane, namespace_with_gateway_api: str, tmp_path: Path
) -> None:
    """The one kind that not every cluster knows is kept as all others are."""
    server, namespace = own_control_plane, namespace_with_gateway_api
    path = path_of("HTTPRoute", namespace, "shop")
    file = write_app(tmp_path, toml(namespace, GATEWAY))
    with running_loop(file, server.kubeconfig) as running:

        def health() -> str:
            rows = {str(row.key): row.health.sentence for row in running.view.rows}
            return rows.get("HTTPRoute/shop", "")

        wait_until(lambda: "waiting for Gateway public" in health())
        route = server.api.get(path)
        generation = route["metadata"]["generation"]
        server.api.patch(f"{path}/status", {"status": taken(generation)})
        wait_until(lambda: "its Gateway takes it" == health())

        evil = {"spec": {"hostnames": ["evil.example"]}}
        server.api.patch(f"{path}?fieldManager=kubectl-edit", evil)
        wait_until(lambda: ["kubectl-edit"] == [heal.who for heal in running.view.heals])
        assert ["shop.example"] == server.api.get(path)["spec"]["hostnames"]

        write_app(tmp_path, toml(namespace, 'kind = "none"'))
        wait_until(lambda: not is_there(server.api, "HTTPRoute", namespace))


def taken(generation: int) -> dict[str, Any]:
    """The status that a controller gives a route that it serves."""
    reference = {"name": "public", "namespace": "infra"}
    condition = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": ""}
    told = {**condition, "observedGeneration": generation}
    parent = {"parentRef": reference, "controllerName": "example/gateway", "conditions": [told]}
    return {"parents": [parent]}
