"""The control plane of the tests behaves like one: what other tests take for granted."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.servers.api import ApiFailed
from tests.servers.control_plane import ControlPlane
from tests.servers.tcp_proxy import TcpProxy

CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}


def config_maps(namespace: str) -> str:
    """Name the collection."""
    return f"/api/v1/namespaces/{namespace}/configmaps"


def test_control_plane_applies_on_the_server_side(
    control_plane: ControlPlane, namespace: str
) -> None:
    """Server-side apply records its manager, and an equal one changes nothing."""
    path = f"{config_maps(namespace)}/settings"
    body = CONFIG_MAP | {"data": {"colour": "blue"}}

    first = control_plane.api.apply(path, body, manager="alice")
    second = control_plane.api.apply(path, body, manager="alice")

    assert ["alice"] == [entry["manager"] for entry in first["metadata"]["managedFields"]]
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


def test_control_plane_refuses_a_user_without_a_binding(control_plane: ControlPlane) -> None:
    """RBAC is on: a certificate alone allows nothing, system:masters everything."""
    stranger = control_plane.api_for("mallory")
    admin = control_plane.api_for("root", groups=["system:masters"])

    with pytest.raises(ApiFailed) as refused:
        stranger.get(config_maps("default"))

    assert 403 == refused.value.status
    assert "mallory" in refused.value.body
    assert "ConfigMapList" == admin.get(config_maps("default"))["kind"]


def test_control_plane_answers_kubectl(control_plane: ControlPlane, kubectl: Path) -> None:
    """The kubeconfig works for the tool that users have."""
    done = subprocess.run(
        [kubectl, "--kubeconfig", control_plane.kubeconfig, "get", "--raw", "/readyz"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert "ok" == done.stdout


def test_control_planes_do_not_meet(control_plane: ControlPlane, namespace: str) -> None:
    """Two at once have data and users of their own: neither's certificate opens the other."""
    control_plane.api.post(config_maps(namespace), CONFIG_MAP)

    with ControlPlane() as other:
        names = [item["metadata"]["name"] for item in other.api.get("/api/v1/namespaces")["items"]]
        admin_of_other = other.api_for("root", groups=["system:masters"], url=control_plane.url)
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            admin_of_other.text("/readyz")

    assert namespace not in names
    assert "ok" == control_plane.api.text("/readyz")


def test_control_plane_answers_through_a_proxy(control_plane: ControlPlane) -> None:
    """A kubeconfig for a proxy's port verifies: faults can be put in between."""
    port = int(control_plane.url.rpartition(":")[2])

    with TcpProxy(port) as proxy:
        url = f"https://127.0.0.1:{proxy.port}"
        api = control_plane.api_for("root", groups=["system:masters"], url=url)
        config = json.loads(control_plane.kubeconfig_for("root", url=url).read_text())
        answer = api.text("/readyz")
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            api.text("/readyz")

    assert ("ok", url) == (answer, config["clusters"][0]["cluster"]["server"])


def test_control_plane_keeps_its_data_and_port_when_the_apiserver_is_killed(
    own_control_plane: ControlPlane,
) -> None:
    """A killed API server refuses connections, and comes back where it was."""
    api = own_control_plane.api
    api.post(config_maps("default"), CONFIG_MAP)

    own_control_plane.kill_apiserver()
    with pytest.raises(ConnectionRefusedError):
        api.text("/readyz")
    own_control_plane.start_apiserver()

    assert "settings" == api.get(f"{config_maps('default')}/settings")["metadata"]["name"]


def test_compaction_makes_an_old_version_gone(own_control_plane: ControlPlane) -> None:
    """A watch from a version before the compaction gets a real 410."""
    created = own_control_plane.api.post(config_maps("kube-public"), CONFIG_MAP)
    version = created["metadata"]["resourceVersion"]

    own_control_plane.compact()
    with own_control_plane.api.watch(config_maps("kube-public"), version=version) as watch:
        event = next(iter(watch))

    assert "ERROR" == event["type"]
    assert (410, "Expired") == (event["object"]["code"], event["object"]["reason"])


def test_control_plane_leaves_no_process_and_no_file() -> None:
    """After the end of the block nothing of it is there."""
    with ControlPlane(controllers=True) as server:
        processes = [server.etcd, server.apiserver, *server.controllers]
        pids = [process.pid for process in processes]
        directory = server.kubeconfig.parent

    assert 4 == len(pids)
    assert [] == [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert not directory.exists()
