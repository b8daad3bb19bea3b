"""Objects whose labels somebody took or changed, on a real control plane."""

from pathlib import Path

import pytest

from tests.cluster.foreign_edits import path_of
from tests.e2e.scale_command import run_scale, write_app
from tests.e2e.test_scale import TOML, objects
from tests.servers.control_plane import ControlPlane

INSTANCE, MANAGED_BY = "app.kubernetes.io/instance", "app.kubernetes.io/managed-by"


@pytest.mark.parametrize("label", [INSTANCE, MANAGED_BY])
def test_destroy_finds_what_has_lost_its_labels(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path, label: str
) -> None:
    """By name and field manager; it ran on, and nothing said so. Another app's is left alone."""
    ns, kubeconfig = unused_namespace, cluster_with_controllers.kubeconfig
    api = cluster_with_controllers.api
    file = write_app(tmp_path, TOML.format(namespace=ns))
    assert 0 == run_scale(file, kubeconfig=kubeconfig).code
    for kind, name in (("Deployment", "shop"), ("Service", "shop"), ("ConfigMap", "shop-config")):
        api.patch(path_of(kind, ns, name), {"metadata": {"labels": {label: None}}})
    api.patch(path_of("ServiceAccount", ns, "shop"), {"metadata": {"labels": {INSTANCE: "other"}}})

    status = run_scale(file, "--status", kubeconfig=kubeconfig)
    shown = [line.split()[0] for line in status.out.splitlines() if line.endswith("ready")]
    assert {"Deployment/shop", "Service/shop", "ConfigMap/shop-config"} <= set(shown), status

    done = run_scale(file, "--destroy", "--yes", kubeconfig=kubeconfig)
    assert (0, "") == (done.code, done.err), done
    kept = {"Secret/shop-credentials", "Secret/shop-secrets", "ServiceAccount/shop"}
    assert kept == {key for key in objects(api, ns) if "shop" in key}
