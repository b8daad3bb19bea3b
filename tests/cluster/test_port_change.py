"""Another port in jac.toml, on a real control plane: everything that names it follows at once."""

from functools import partial
from pathlib import Path
from typing import Any

from tests.cluster.foreign_edits import path_of
from tests.cluster.running_loop import wait_until, write_app
from tests.e2e.scale_command import run_scale
from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane

TOML = """
[converge.kubernetes]
namespace = "{namespace}"
image = "example/shop:1"
container_port = {port}
redis.enabled = false
mongodb.enabled = false
"""
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def ports_of(api: Api, namespace: str) -> dict[str, Any]:
    """Which number everything that leads to the app, or asks it, means."""

    def live(kind: str) -> Any:
        return api.get(path_of(kind, namespace, "shop"))["spec"]

    (container,) = live("Deployment")["template"]["spec"]["containers"]
    numbers = {port["name"]: port["containerPort"] for port in container["ports"]}

    def number(port: int | str) -> Any:
        return numbers.get(port, port) if isinstance(port, str) else port

    (rule,) = live("NetworkPolicy")["ingress"]
    return {
        "the server listens": int(container["args"][container["args"].index("--port") + 1]),
        "the container opens": list(numbers.values()),
        "the Service leads to": [number(port["targetPort"]) for port in live("Service")["ports"]],
        "probes ask": {number(container[probe]["httpGet"]["port"]) for probe in PROBES},
        "the policy lets through": [number(port["port"]) for port in rule["ports"]],
    }


def endpoints_are(api: Api, namespace: str, number: int) -> bool:
    """Whether the Service's traffic arrives there, and only there, by the cluster's own word."""
    slices = api.get(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")["items"]
    used = [found for found in slices if found["endpoints"]]
    return {number} == {port["port"] for found in used for port in found["ports"]}


def test_port_change_reaches_everything_that_names_it_in_one_run(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """Deployment, Service, probes and NetworkPolicy; and then there is nothing left to do."""
    server, namespace = cluster_with_controllers, unused_namespace
    for port in (8000, 9000):
        file = write_app(tmp_path, TOML.format(namespace=namespace, port=port))
        done = run_scale(file, kubeconfig=server.kubeconfig)
        assert (0, "") == (done.code, done.err), done.out
        assert {
            "the server listens": port,
            "the container opens": [port],
            "the Service leads to": [port],
            "probes ask": {port},
            "the policy lets through": [port],
        } == ports_of(server.api, namespace)
        again = run_scale(file, "--plan", kubeconfig=server.kubeconfig)
        assert (0, "") == (again.code, again.err), again.out
        wait_until(partial(endpoints_are, server.api, namespace, port), 60)
