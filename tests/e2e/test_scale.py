"""`jac-converge scale` as a user meets it, on a real control plane."""

import base64
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jac_converge.reconciler.objects import KINDS, LEASE
from tests.cluster.foreign_edits import path_of
from tests.e2e.scale_command import COMMAND, JAC, Done, run_scale, running_scale, write_app
from tests.servers.api import Api, ApiFailed
from tests.servers.control_plane import ControlPlane

TOML = """
[converge.kubernetes]
namespace = "{namespace}"
image = "example/shop:1"

[converge.kubernetes.redis]
enabled = false

[converge.kubernetes.mongodb]
enabled = false
"""
WATCHABLE = [kind for kind in KINDS if kind.namespaced and not kind.needs]
MAIL_PASSWORD = "correct-horse-battery-staple"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """An app that was deployed by a command that ended well."""

    file: Path
    kubeconfig: Path
    namespace: str
    api: Api
    first: Done
    env: dict[str, str]

    def scale(self, *flags: str, timeout: float = 60.0, typed: bytes | None = None) -> Done:
        """Run the command on it again."""
        return run_scale(
            self.file,
            *flags,
            kubeconfig=self.kubeconfig,
            env=self.env,
            timeout=timeout,
            typed=typed,
        )


@pytest.fixture
def api(cluster_with_controllers: ControlPlane) -> Api:
    """An admin's client that is not the project's own."""
    return cluster_with_controllers.api


@pytest.fixture(scope="module")
def shop(
    cluster_with_controllers: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Deployed:
    """An app with every kind of object, and a secret of the user's."""
    server, namespace = cluster_with_controllers, "shop-e2e"
    toml = (
        f'[converge.kubernetes]\nnamespace = "{namespace}"\nimage = "example/shop:1"\n'
        "[converge.kubernetes.autoscaling]\nmin_replicas = 2\nmax_replicas = 5\n"
        '[converge.secrets]\nMAIL_PASSWORD = "${MAIL_PASSWORD}"\n'
    )
    file = write_app(tmp_path_factory.mktemp("shop"), toml)
    env = {"MAIL_PASSWORD": MAIL_PASSWORD}
    plan = run_scale(file, "--plan", kubeconfig=server.kubeconfig, env=env)
    assert (3, "") == (plan.code, plan.err)
    first = run_scale(file, kubeconfig=server.kubeconfig, env=env)
    assert (0, "") == (first.code, first.err)
    return Deployed(
        file=file,
        kubeconfig=server.kubeconfig,
        namespace=namespace,
        api=server.api,
        first=first,
        env=env,
    )


def objects(api: Api, namespace: str) -> dict[str, dict[str, Any]]:
    """Every object of every kind that we write, and the leases."""
    paths = {kind.name: path_of(kind.name, namespace) for kind in WATCHABLE}
    paths[LEASE.name] = f"/apis/{LEASE.api_version}/namespaces/{namespace}/{LEASE.plural}"
    return {
        f"{kind}/{obj['metadata']['name']}": obj
        for kind, path in paths.items()
        for obj in api.get(path)["items"]
    }


def versions(api: Api, namespace: str) -> dict[str, Any]:
    """Their resource versions, but of what the autoscaler writes by itself all but its part."""
    found = objects(api, namespace)
    return {
        key: _others_parts(obj)
        if key.startswith("HorizontalPodAutoscaler/")
        else obj["metadata"]["resourceVersion"]
        for key, obj in found.items()
    }


def _others_parts(obj: dict[str, Any]) -> list[Any]:
    fields = obj["metadata"]["managedFields"]
    return [entry for entry in fields if entry["manager"] != "kube-controller-manager"]


def lives(api: Api, namespace: str) -> dict[str, tuple[str, bool]]:
    """Which objects there are, by uid, and whether they are about to go; controllers may write."""
    return {
        key: (obj["metadata"]["uid"], "deletionTimestamp" in obj["metadata"])
        for key, obj in objects(api, namespace).items()
    }


def test_scale_shows_each_change_before_it_makes_it(shop: Deployed) -> None:
    """The plan stands above the first write, and names every object."""
    plan, _, work = shop.first.out.partition(" unchanged\n")
    created = re.findall(r"^(\S+/\S+) created$", work, re.MULTILINE)
    assert created
    assert set(created) == set(re.findall(r"^\+ create +(\S+)$", plan, re.MULTILINE)) | {
        key for key in created if key == "Deployment/shop"
    }
    assert "reach it:  jac scale shop.jac --open" in work


def test_scale_writes_nothing_the_second_time(shop: Deployed) -> None:
    """No write, no lease, the same resource versions; the plan says so with exit code 0."""
    before = versions(shop.api, shop.namespace)
    again = shop.scale()
    assert (0, "") == (again.code, again.err)
    assert "nothing to do" in again.out
    plan = shop.scale("--plan")
    assert (0, True) == (plan.code, "nothing to do" in plan.out)
    assert before == versions(shop.api, shop.namespace)


def test_scale_plans_in_json_with_exit_code_3(shop: Deployed) -> None:
    """Programs read which field of which object changes, and whether pods restart."""
    done = shop.scale("--image", "example/shop:2", "--plan", "--json")
    steps = [step for step in json.loads(done.out)["steps"] if step["verb"] != "keep"]
    path = "spec.template.spec.containers[app].image"
    assert 3 == done.code
    assert [("update", "Deployment", "shop", "rolling restart")] == [
        (s["verb"], s["kind"], s["name"], s["effect"]) for s in steps
    ]
    change = {"path": path, "before": "example/shop:1", "after": "example/shop:2"}
    assert change in steps[0]["changes"]


def test_scale_status_tells_health_by_its_exit_code(shop: Deployed) -> None:
    """0 when all is well, 1 when an object is gone, with its name."""
    well = shop.scale("--status")
    assert (0, True) == (well.code, "Deployment/shop" in well.out)
    listed = json.loads(shop.scale("--status", "--json").out)["objects"]
    assert {"current"} == {row["health"] for row in listed}
    shop.api.delete(path_of("PodDisruptionBudget", shop.namespace, "shop"))
    unwell = shop.scale("--status")
    assert 1 == unwell.code
    assert re.search(r"PodDisruptionBudget/shop .*it is not there yet", unwell.out)
    assert 0 == shop.scale().code


def test_scale_replaces_what_cannot_change_in_place(shop: Deployed) -> None:
    """It is done when the new object is there, not when the old one is about to go."""
    path = path_of("ConfigMap", shop.namespace, "shop-config")
    before = shop.api.get(path)
    shop.api.patch(path, {"immutable": True, "data": {"EVIL": "1"}})
    done = shop.scale()
    after = shop.api.get(path)
    assert (0, "") == (done.code, done.err)
    assert "! recreate ConfigMap/shop-config" in done.out
    assert (before.get("data"), None) == (after.get("data"), after.get("immutable"))


def test_scale_never_shows_a_secret(shop: Deployed) -> None:
    """Neither text nor JSON, neither a plan nor an annotation has any; a redeploy keeps them."""
    secrets = {
        name: shop.api.get(path_of("Secret", shop.namespace, name))["data"]
        for name in ("shop-credentials", "shop-secrets")
    }
    values = {value for data in secrets.values() for value in data.values()}
    plain = {base64.b64decode(value).decode() for value in values}
    assert MAIL_PASSWORD in plain
    patch = {"data": dict.fromkeys(secrets["shop-secrets"], "aGFoYQ==")}
    shop.api.patch(path_of("Secret", shop.namespace, "shop-secrets"), patch)
    told = [shop.first, shop.scale("--plan"), shop.scale("--plan", "--json")]
    told += [shop.scale("--json"), shop.scale("--status", "--json")]
    assert [3, 3, 0, 0] == [done.code for done in told[1:]]
    text = "".join(done.out + done.err for done in told)
    for key, obj in objects(shop.api, shop.namespace).items():
        bare = {k: v for k, v in obj.items() if not (k == "data" and key.startswith("Secret/"))}
        text += json.dumps(bare)
    assert [] == [secret for secret in values | plain if len(secret) > 8 and secret in text]
    assert secrets == {
        name: shop.api.get(path_of("Secret", shop.namespace, name))["data"] for name in secrets
    }


def test_scale_destroy_asks_first(shop: Deployed) -> None:
    """With nobody to answer: exit code 2, the flag's name, and nothing deleted."""
    before = lives(shop.api, shop.namespace)
    done = shop.scale("--destroy")
    assert (2, True) == (done.code, "--yes" in done.one_message)
    assert "- delete   Deployment/shop" in done.out
    assert before == lives(shop.api, shop.namespace)


@pytest.mark.parametrize("typed", [b"\x04", b"n\n"], ids=["ctrl-d", "no"])
def test_scale_destroy_takes_no_answer_for_a_no(shop: Deployed, typed: bytes) -> None:
    """At a terminal; exit code 2, and nothing is deleted."""
    before = lives(shop.api, shop.namespace)
    done = shop.scale("--destroy", typed=typed)
    assert (2, True, "") == (done.code, "[y/N]" in done.out, done.err)
    assert before == lives(shop.api, shop.namespace)


def test_scale_destroy_leaves_the_neighbour_and_the_data(
    cluster_with_controllers: ControlPlane, api: Api, unused_namespace: str, tmp_path: Path
) -> None:
    """Of two apps in a namespace one goes; the other stays byte for byte, and so does all data."""
    kubeconfig, ns = cluster_with_controllers.kubeconfig, unused_namespace
    stores = TOML.format(namespace=ns).replace("mongodb]\nenabled = false", "mongodb]")
    first = write_app(tmp_path / "a", stores, name="ann")
    second = write_app(tmp_path / "b", TOML.format(namespace=ns), name="bob")
    for file in (first, second):
        assert 0 == run_scale(file, kubeconfig=kubeconfig).code
    api.post(
        path_of("ConfigMap", ns),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ann-by-hand"}},
    )
    strangers = {
        key: obj for key, obj in objects(api, ns).items() if "ann" not in re.split("[/-]", key)
    }

    done = run_scale(first, "--destroy", "--yes", kubeconfig=kubeconfig)
    left = objects(api, ns)
    assert 0 == done.code
    kept = {
        "Secret/ann-credentials",
        "Secret/ann-secrets",
        "PersistentVolumeClaim/data-ann-mongodb-0",
    }
    assert kept | {"ConfigMap/ann-by-hand"} == left.keys() - strangers.keys()
    assert strangers == {key: left[key] for key in strangers}
    told = re.findall(r"^= keep +(\S+): it holds data", done.out, re.MULTILINE)
    assert kept | {f"Namespace/{ns}"} == set(told)
    status = run_scale(first, "--status", kubeconfig=kubeconfig)
    assert (1, f"ann is not deployed in namespace {ns}\n") == (status.code, status.out)


def test_scale_destroy_data_deletes_all_and_waits(
    cluster_with_controllers: ControlPlane, api: Api, unused_namespace: str, tmp_path: Path
) -> None:
    """Volumes, secrets and the namespace are gone when the command ends."""
    ns = unused_namespace
    file = write_app(tmp_path, f'[converge.kubernetes]\nnamespace = "{ns}"\nimage = "a/b:1"\n')
    kubeconfig = cluster_with_controllers.kubeconfig
    assert 0 == run_scale(file, kubeconfig=kubeconfig).code
    claims = path_of("PersistentVolumeClaim", ns)
    config = path_of("ConfigMap", ns, "shop-config")
    api.patch(config, {"metadata": {"finalizers": ["test.example/stay"]}})
    flags = ("--destroy", "--yes", "--json", "--timeout", "2")
    stuck = run_scale(file, *flags, kubeconfig=kubeconfig)
    told = json.loads(stuck.out)
    assert (1, False, ["ConfigMap/shop-config"]) == (stuck.code, told["gone"], told["left"])
    assert {"delete", "keep"} == {step["verb"] for step in told["plan"]}
    still = run_scale(file, "--destroy", "--yes", "--timeout", "1", kubeconfig=kubeconfig)
    named = "still there after 1 s: ConfigMap/shop-config (finalizers: test.example/stay)"
    assert (1, True) == (still.code, named in still.one_message), still.err
    api.patch(config, {"metadata": {"finalizers": None}})
    assert api.get(claims)["items"]
    done = run_scale(file, "--destroy", "--data", "--yes", "--json", kubeconfig=kubeconfig)
    assert (0, True) == (done.code, json.loads(done.out)["gone"])
    assert [] == api.get(claims)["items"]
    with pytest.raises(ApiFailed, match="404"):
        api.get(path_of("Namespace", ns, ns))
    again = run_scale(file, "--destroy", "--data", "--yes", kubeconfig=kubeconfig)
    assert (0, True) == (again.code, "nothing to do" in again.out)
    nothing = run_scale(file, "--destroy", "--yes", "--json", kubeconfig=kubeconfig)
    told = json.loads(nothing.out)
    assert (0, True, [], []) == (nothing.code, told["gone"], told["plan"], told["steps"])


def test_scale_ends_quietly_when_nobody_reads_on(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """As with `| head`: neither a traceback nor a word about the pipe."""
    file = write_app(tmp_path, TOML.format(namespace=namespace))
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*COMMAND, str(file), "--status", "--json"],
            env={**os.environ, "KUBECONFIG": str(control_plane.kubeconfig)},
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    assert (1, "") == (done.returncode, done.stderr)


def test_scale_destroy_refuses_while_a_watch_holds_the_lease(
    cluster_with_controllers: ControlPlane, api: Api, unused_namespace: str, tmp_path: Path
) -> None:
    """It names the holder, and deletes nothing; so does a deploy of something else."""
    ns, kubeconfig = unused_namespace, cluster_with_controllers.kubeconfig
    file = write_app(tmp_path, TOML.format(namespace=ns))
    with running_scale(file, "--watch", kubeconfig=kubeconfig) as watching:
        watching.wait_for("Deployment/shop: ready")
        before = objects(api, ns).keys()
        with running_scale(file, "--image", "example/shop:9", kubeconfig=kubeconfig) as deploy:
            destroy = run_scale(file, "--destroy", "--yes", kubeconfig=kubeconfig)
            deploy.wait_for(f":{watching.process.pid} keeps this app converged; end it there")
            assert 1 == deploy.wait()
        assert 1 == destroy.code
        (error,) = [line for line in destroy.err.splitlines() if "failed" in line]
        assert f":{watching.process.pid} keeps this app converged; end it there" in error
        assert before == objects(api, ns).keys()
        assert 0 == watching.end()
        assert watching.lines[-1].endswith("watch ended; shop stays on the cluster as it is")


def test_scale_deploys_an_app_of_jac_scale(
    control_plane: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """Its `[plugins.scale]` table is read as it is, and the plan says what was used."""
    toml = (
        '[project]\nname = "Old Shop"\n[plugins.scale.kubernetes]\n'
        f'app_name = "oldshop"\nnamespace = "{unused_namespace}"\ncontainer_port = 8000\n'
    )
    file = write_app(tmp_path, toml)
    kubeconfig = control_plane.kubeconfig
    done = run_scale(file, "--plan", "--image", "example/shop:1", kubeconfig=kubeconfig)
    assert (3, "") == (done.code, done.err)
    assert "[plugins.scale] used:" in done.out
    assert "create   Service/oldshop" in done.out


def test_scale_needs_no_jac_toml(control_plane: ControlPlane, tmp_path: Path) -> None:
    """The names come from the file's."""
    file = write_app(tmp_path, None, name="My_Shop")
    kubeconfig = control_plane.kubeconfig
    done = run_scale(file, "--plan", "--image", "example/shop:1", kubeconfig=kubeconfig)
    assert (3, "") == (done.code, done.err)
    assert {"Namespace/my-shop", "Service/my-shop"} <= set(re.findall(r"\S+/\S+", done.out))


def test_scale_is_a_command_of_jac_too(
    control_plane: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """`jac scale` says and returns the same."""
    file = write_app(tmp_path, TOML.format(namespace=unused_namespace))
    kubeconfig = control_plane.kubeconfig
    ours = run_scale(file, "--plan", kubeconfig=kubeconfig)
    theirs = run_scale(file, "--plan", kubeconfig=kubeconfig, command=JAC)
    assert (3, ours.out) == (theirs.code, theirs.out)


def test_scale_runs_where_no_jaclang_is(
    control_plane: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """Beside any Jac runtime, from an environment of its own."""
    blocker = tmp_path / "without" / "sitecustomize.py"
    blocker.parent.mkdir()
    blocker.write_text(
        "import sys\n"
        "class Blocker:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in {'jaclang', 'jac_scale'}:\n"
        "            raise ImportError(f'{name} is not here')\n"
        "sys.modules.pop('jaclang', None)\n"
        "sys.meta_path.insert(0, Blocker())\n"
    )
    file = write_app(tmp_path, TOML.format(namespace=unused_namespace))
    env = {"PYTHONPATH": str(blocker.parent)}
    proof = [sys.executable, "-c", "import jaclang"]
    failed = subprocess.run(
        proof, env=os.environ | env, capture_output=True, text=True, check=False
    )
    assert "jaclang is not here" in failed.stderr
    done = run_scale(file, "--plan", kubeconfig=control_plane.kubeconfig, env=env, command=COMMAND)
    assert (3, "") == (done.code, done.err)
