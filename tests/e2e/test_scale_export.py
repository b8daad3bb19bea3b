"""`jac scale --export` as a user meets it: for kubectl, on a real control plane."""

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.foreign_edits import path_of
from tests.e2e.scale_command import run_scale, write_app
from tests.servers.control_plane import ControlPlane

TOML = """
[converge.kubernetes]
namespace = "{namespace}"
image = "example/shop:1"
replicas = 2
env = {{ NUMBER = "1e3", OCTAL = "0o7", LETTER = "y", SWITCH = "on", NOTHING = "" }}
extra = ["k8s/*.yaml"]

[converge.kubernetes.exposure]
kind = "ingress"
host = "shop.example"

[converge.secrets]
MAIL_PASSWORD = "correct-horse"
"""
EXTRA = "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {door: open-sesame}\n"
ENV = {"NUMBER": "1e3", "OCTAL": "0o7", "LETTER": "y", "SWITCH": "on", "NOTHING": ""}
APPLY = {
    "client-side": ["apply"],
    "server-side": ["apply", "--server-side", "--force-conflicts"],
}
TAKEN = (
    r"~ take over \S+( objects)? from kubectl\S* \(no restart; every value stays\)\n"
    r"\d+ to take over, \d+ unchanged\n"
)
"""A plan that does nothing else."""


@pytest.fixture
def shop(tmp_path: Path, unused_namespace: str) -> Path:
    """Write an app with a bit of everything."""
    (tmp_path / "k8s").mkdir()
    (tmp_path / "k8s/keys.yaml").write_text(EXTRA)
    return write_app(tmp_path, TOML.format(namespace=unused_namespace))


def run_kubectl(
    kubectl: Path, server: ControlPlane, *arguments: str, text: str | None = None
) -> list[str]:
    """Run kubectl; fails the test unless all goes well. It warns where another manager applied."""
    done = subprocess.run(
        [kubectl, "--kubeconfig", server.kubeconfig, *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    told = [line for line in done.stderr.splitlines() if "last-applied-configuration" not in line]
    assert (0, []) == (done.returncode, told), done.stderr
    return done.stdout.splitlines()


def pods(server: ControlPlane, namespace: str) -> dict[str, Any]:
    """The pods by UID, and the templates that they are made from."""
    return {
        obj["metadata"]["uid"]: obj["spec"].get("template")
        for path in (
            f"/api/v1/namespaces/{namespace}/pods",
            path_of("Deployment", namespace),
            path_of("StatefulSet", namespace),
        )
        for obj in server.api.get(path)["items"]
    }


@pytest.mark.parametrize("how", APPLY.values(), ids=APPLY)
def test_scale_takes_over_what_kubectl_applied(
    cluster_with_controllers: ControlPlane,
    kubectl: Path,
    shop: Path,
    unused_namespace: str,
    how: list[str],
) -> None:
    """The plan is one line, no pod restarts, and kubectl's copy of the secrets is gone."""
    server, kubeconfig = cluster_with_controllers, cluster_with_controllers.kubeconfig
    file = shop.with_name("shop.yaml")
    done = run_scale(shop, "--export", file, "--with-secrets", kubeconfig=kubeconfig)
    assert (0, "", "", 0o600) == (done.code, done.out, done.err, file.stat().st_mode & 0o777)
    run_kubectl(kubectl, server, *how, "--filename", str(file))
    for workload in ("statefulset/shop-mongodb", "deployment/shop"):
        args = ("rollout", "status", workload, "--namespace", unused_namespace, "--timeout=60s")
        run_kubectl(kubectl, server, *args)
    before = pods(server, unused_namespace)
    again = run_scale(shop, "--export", "-", "--with-secrets", kubeconfig=kubeconfig)
    assert (0, file.read_text()) == (again.code, again.out)

    plan = run_scale(shop, "--plan", kubeconfig=kubeconfig)
    assert re.fullmatch(TAKEN, plan.out), plan.out
    assert 3 == plan.code
    scaled = run_scale(shop, kubeconfig=kubeconfig)

    assert (0, "") == (scaled.code, scaled.err)
    assert [] == re.findall("healed|configured", scaled.out), scaled.out
    assert before == pods(server, unused_namespace)
    assert "nothing to do" in run_scale(shop, "--plan", kubeconfig=kubeconfig).out
    keys = server.api.get(path_of("Secret", unused_namespace, "keys"))
    assert {} == keys["metadata"].get("annotations", {})


@pytest.mark.parametrize("how", APPLY.values(), ids=APPLY)
def test_export_without_secrets_changes_nothing_of_an_app_that_runs(
    cluster_with_controllers: ControlPlane,
    kubectl: Path,
    shop: Path,
    unused_namespace: str,
    how: list[str],
) -> None:
    """Applied over a deployed app it leaves its secrets and its pods as they are."""
    server, kubeconfig = cluster_with_controllers, cluster_with_controllers.kubeconfig
    assert 0 == run_scale(shop, kubeconfig=kubeconfig).code
    before = pods(server, unused_namespace)
    text = run_scale(shop, "--export", "-", kubeconfig=kubeconfig).out
    run_kubectl(kubectl, server, *how, "--filename", "-", text=text)
    assert before == pods(server, unused_namespace)
    plan = run_scale(shop, "--plan", kubeconfig=kubeconfig).out
    assert re.fullmatch(TAKEN, plan), plan
    assert 0 == run_scale(shop, kubeconfig=kubeconfig).code
    assert before == pods(server, unused_namespace)
    secret = server.api.get(path_of("Secret", unused_namespace, "shop-secrets"))
    assert b"correct-horse" == base64.b64decode(secret["data"]["MAIL_PASSWORD"])


def test_export_without_secrets_is_taken_by_kubectl(
    control_plane: ControlPlane, kubectl: Path, shop: Path, unused_namespace: str, tmp_path: Path
) -> None:
    """Without a cluster in reach; every value arrives as it is, and the secrets' recipes work."""
    done = run_scale(shop, "--export", "-", kubeconfig=tmp_path / "absent")
    left_out = "Secret/shop-credentials, Secret/shop-secrets, Secret/keys; see --with-secrets"
    assert (0, f"jac scale: left out: {left_out}\n") == (done.code, done.err)
    assert [] == [word for word in ("correct-horse", "open-sesame") if word in done.out]

    args = ("apply", "--filename", "-")
    applied = run_kubectl(kubectl, control_plane, *args, text=done.out)
    for recipe in re.findall(r"^#   kubectl (.*)$", done.out, re.MULTILINE):
        run_kubectl(kubectl, control_plane, *recipe.replace("...", "v" * 32).split())

    assert len(list(yaml.safe_load_all(done.out))) == len(applied)
    config = control_plane.api.get(path_of("ConfigMap", unused_namespace, "shop-config"))
    assert ENV.items() <= config["data"].items()
    plan = run_scale(shop, "--plan", "--json", kubeconfig=control_plane.kubeconfig)
    verbs = {step["verb"] for step in json.loads(plan.out)["steps"]}
    assert {"create", "keep", "update"} >= verbs


def test_export_in_json_is_one_list(shop: Path, tmp_path: Path) -> None:
    """For programs; kubectl takes that too."""
    done = run_scale(shop, "--export", "-", "--json", kubeconfig=tmp_path / "absent")
    found = json.loads(done.out)
    assert (0, "List", "Namespace") == (done.code, found["kind"], found["items"][0]["kind"])


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--with-secrets"], 2, "--with-secrets says what --export writes"),
        (["--export", "-", "--plan"], 2, "--plan and --export do not go together"),
        (["--export", "/nowhere/at/all"], 2, "/nowhere/at/all cannot be written: no such file"),
        (["--export", "-", "--with-secrets"], 2, "kubeconfig"),
    ],
    ids=["secrets alone", "two verbs", "no such folder", "secrets without a cluster"],
)
def test_export_says_what_is_wrong(
    shop: Path, tmp_path: Path, flags: list[str], code: int, words: str
) -> None:
    """One message, and nothing on stdout."""
    done = run_scale(shop, *flags, kubeconfig=tmp_path / "absent")
    assert (code, "", True) == (done.code, done.out, words in done.one_message), done.err
