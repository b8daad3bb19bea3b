"""The cluster of two nodes itself: pods run on both, and a Service leads to them."""

import socket
from collections.abc import Iterator

import pytest

from tests.node import images
from tests.node.cluster import Cluster
from tests.servers.process import wait_until

pytestmark = pytest.mark.node

PORT = 6379


@pytest.fixture(scope="module")
def namespace(node_cluster: Cluster) -> Iterator[str]:
    """Give a namespace that goes with what is in it."""
    node_cluster.kubectl("create", "namespace", "of-nodes")
    yield "of-nodes"
    node_cluster.kubectl("delete", "namespace", "of-nodes", "--timeout=60s")


def test_pods_of_both_nodes_answer_through_a_service(node_cluster: Cluster, namespace: str) -> None:
    """A Redis on each node, asked from outside of the cluster by the address of the Service."""
    names = []
    for worker in node_cluster.workers:
        names.append(f"redis-of-{worker.name}")
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": names[-1], "labels": {"app": "redis"}},
            "spec": {
                "nodeSelector": {"kubernetes.io/hostname": worker.name},
                "containers": [
                    {
                        "name": "redis",
                        "image": images.REDIS,
                        "command": ["redis-server", "--protected-mode", "no", "--save", ""],
                        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
                    }
                ],
            },
        }
        node_cluster.api.post(f"/api/v1/namespaces/{namespace}/pods", pod)
    service = node_cluster.api.post(
        f"/api/v1/namespaces/{namespace}/services",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "redis"},
            "spec": {"selector": {"app": "redis"}, "ports": [{"port": PORT}]},
        },
    )
    pods = [f"pod/{name}" for name in names]
    node_cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", *pods, "--timeout=90s")
    address = service["spec"]["clusterIP"]
    seen: set[bytes] = set()

    def both() -> bool:
        seen.add(run_id(address))
        return len(seen) == len(names)

    wait_until(both, within=60, what="an answer of each pod", unless=node_cluster.check_alive)
    assert "Ready to accept connections" in node_cluster.kubectl("logs", "-n", namespace, names[1])


def run_id(address: str) -> bytes:
    """Which Redis answers."""
    with socket.create_connection((address, PORT), timeout=2) as connection:
        connection.sendall(b"INFO server\r\n")
        lines = connection.recv(65536).splitlines()
    return next(line for line in lines if line.startswith(b"run_id:"))
