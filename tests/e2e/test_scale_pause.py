"""`jac-converge scale --pause` and `--resume` as a user meets them."""

import json
from pathlib import Path

from tests.e2e.scale_command import run_scale, write_app
from tests.servers.control_plane import ControlPlane


def test_scale_pauses_and_resumes(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """The status tells it; a deploy says why it does not write, and writes once resumed.

    A destroy takes the pause with it.
    """
    kubeconfig = cluster_with_controllers.kubeconfig
    toml = f'[converge.kubernetes]\nnamespace = "{unused_namespace}"\nimage = "example/shop:1"\n'
    file = write_app(tmp_path, toml)
    absent = run_scale(file, "--pause", kubeconfig=kubeconfig)
    assert (1, True) == (absent.code, unused_namespace in absent.one_message)
    assert 0 == run_scale(file, kubeconfig=kubeconfig).code
    paused = run_scale(file, "--pause", "--for", "10m", kubeconfig=kubeconfig)
    assert (0, True) == (paused.code, "shop: paused by " in paused.out), paused.err
    status = run_scale(file, "--status", kubeconfig=kubeconfig)
    assert "shop: paused by " in status.out
    told = json.loads(run_scale(file, "--status", "--json", kubeconfig=kubeconfig).out)
    assert {"by", "until"} == told["paused"].keys()
    deploy = run_scale(file, "--image", "example/shop:2", kubeconfig=kubeconfig)
    assert (1, True) == (deploy.code, "end that with --resume" in deploy.err)
    assert "example/shop:2" not in run_scale(file, "--status", kubeconfig=kubeconfig).out
    resumed = run_scale(file, "--resume", kubeconfig=kubeconfig)
    assert (0, True) == (resumed.code, "shop: resumed; it was paused by " in resumed.out)
    assert 0 == run_scale(file, "--image", "example/shop:2", kubeconfig=kubeconfig).code
    again = run_scale(file, "--resume", "--json", kubeconfig=kubeconfig)
    assert (0, None) == (again.code, json.loads(again.out)["paused"])
    run_scale(file, "--pause", kubeconfig=kubeconfig)
    assert 0 == run_scale(file, "--destroy", "--yes", kubeconfig=kubeconfig).code
    nothing = json.loads(run_scale(file, "--status", "--json", kubeconfig=kubeconfig).out)
    assert (None, []) == (nothing["paused"], nothing["objects"])
