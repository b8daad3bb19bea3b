"""Users who may not do everything: what they are told, and that nothing is left half done."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from jac_converge.reconciler.objects import KINDS
from tests.cluster.foreign_edits import EDITS, heal_seconds, path_of
from tests.cluster.running_loop import running_loop, wait_until
from tests.e2e.scale_command import run_scale, running_scale, write_app
from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane

RBAC = "rbac.authorization.k8s.io"
READ = ("get", "list", "watch")
WRITTEN = ("leases", *sorted(kind.plural for kind in KINDS if kind.namespaced))
GROUPS = (
    "",
    "apps",
    "autoscaling",
    "batch",
    "coordination.k8s.io",
    "networking.k8s.io",
    "policy",
    RBAC,
)


def toml(namespace: str) -> str:
    """An app without stores."""
    return (
        f'[converge.kubernetes]\nnamespace = "{namespace}"\nimage = "example/shop:1"\n'
        "[converge.kubernetes.redis]\nenabled = false\n"
        "[converge.kubernetes.mongodb]\nenabled = false\n"
    )


def allow(
    api: Api,
    user: str,
    namespace: str | None,
    verbs: Iterable[str],
    resources: Iterable[str] = ("*",),
) -> None:
    """Let a user do this; in one namespace, or in the whole cluster."""
    kind = "Role" if namespace else "ClusterRole"
    scope = f"/namespaces/{namespace}" if namespace else ""
    name = f"{user}-{'-'.join(resources)}".replace("*", "all")[:60]
    rule = {"apiGroups": list(GROUPS), "resources": list(resources), "verbs": list(verbs)}
    head: Mapping[str, object] = {"apiVersion": f"{RBAC}/v1", "metadata": {"name": name}}
    path = f"/apis/{RBAC}/v1{scope}/{kind.lower()}"
    api.post(f"{path}s", {**head, "kind": kind, "rules": [rule]})
    binding = {
        **head,
        "kind": f"{kind}Binding",
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
    }
    api.post(f"{path}bindings", binding)
    resource = next(iter(resources)).replace("*", "pods")
    group = {"leases": "coordination.k8s.io"}.get(resource, "")
    asked = {"verb": "list", "resource": resource, "group": group, "namespace": namespace or ""}
    wait_until(lambda: may(api, user, asked))


def may(api: Api, user: str, asked: Mapping[str, str]) -> bool:
    """Whether the server knows by now: it learns of a binding a moment after it is written."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": asked},
    }
    answer = api.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def names_in(api: Api, namespace: str) -> set[str]:
    """What the app has in the cluster."""
    return {
        f"{kind.name}/{obj['metadata']['name']}"
        for kind in KINDS
        if kind.namespaced and not kind.needs
        for obj in api.get(path_of(kind.name, namespace))["items"]
        if "shop" in obj["metadata"]["name"]
    }


@pytest.mark.parametrize("flags", [[], ["--watch"], ["--status"], ["--destroy", "--yes"]])
def test_scale_without_any_right_names_verb_and_resource(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, flags: list[str]
) -> None:
    """One message, exit code 1."""
    kubeconfig = control_plane.kubeconfig_for("nobody")
    done = run_scale(write_app(tmp_path, toml(namespace)), *flags, kubeconfig=kubeconfig)
    words = ('User "nobody" cannot list resource "serviceaccounts"', "permission")
    assert (1, []) == (done.code, [word for word in words if word not in done.one_message])


def test_scale_with_a_wrong_login_says_so(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """A token that the server does not accept is no missing permission."""
    content = json.loads(control_plane.kubeconfig.read_text())
    content["users"][0]["user"] = {"token": "expired"}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(content))
    done = run_scale(write_app(tmp_path, toml(namespace)), kubeconfig=kubeconfig)
    assert (1, True) == (done.code, "log in again" in done.one_message)


def test_scale_for_a_reader_writes_nothing(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """The plan says what the server would refuse; --status works."""
    allow(control_plane.api, "reader", namespace, READ)
    kubeconfig = control_plane.kubeconfig_for("reader")
    file = write_app(tmp_path, toml(namespace))
    done = run_scale(file, kubeconfig=kubeconfig)
    assert (1, set()) == (done.code, names_in(control_plane.api, namespace))
    assert 'User "reader" cannot patch resource "serviceaccounts"' in done.out
    status = run_scale(file, "--status", kubeconfig=kubeconfig)
    assert (1, "") == (status.code, status.err)


def test_scale_leaves_nothing_half_applied_when_one_kind_is_forbidden(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """All but Deployments may be written: so nothing is."""
    allow(control_plane.api, "half", namespace, READ)
    kinds = ["serviceaccounts", "configmaps", "secrets", "services", "leases"]
    allow(control_plane.api, "half", namespace, ["*"], kinds)
    kubeconfig = control_plane.kubeconfig_for("half")
    done = run_scale(write_app(tmp_path, toml(namespace)), kubeconfig=kubeconfig)
    assert (1, set()) == (done.code, names_in(control_plane.api, namespace))
    assert 'User "half" cannot patch resource "deployments"' in done.out


def test_scale_without_leases_says_so_at_once(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """Without the right to be the only writer nothing is written, and nobody waits."""
    allow(control_plane.api, "leaseless", namespace, READ)
    allow(control_plane.api, "leaseless", namespace, ["*"], WRITTEN[1:])
    kubeconfig = control_plane.kubeconfig_for("leaseless")
    file = write_app(tmp_path, toml(namespace))
    done = run_scale(file, kubeconfig=kubeconfig, timeout=30)
    assert (1, set()) == (done.code, names_in(control_plane.api, namespace))
    assert 'User "leaseless" cannot create resource "leases"' in done.one_message


def test_scale_uses_the_namespace_as_it_is_when_it_may_not_read_it(
    cluster_with_controllers: ControlPlane, tmp_path: Path
) -> None:
    """Rights inside one namespace are enough: to deploy, to watch, to destroy."""
    server = cluster_with_controllers
    namespace = server.new_namespace()
    allow(server.api, "tenant", namespace, ["*"])
    kubeconfig = server.kubeconfig_for("tenant")
    file = write_app(tmp_path, toml(namespace))
    note = 'the namespace is used as it is: namespaces .* is forbidden: User "tenant" cannot list'

    first = run_scale(file, kubeconfig=kubeconfig)
    assert (0, "") == (first.code, first.err)
    with running_scale(file, "--watch", kubeconfig=kubeconfig) as watching:
        watching.wait_for(note)
        watching.wait_for("Deployment/shop: ready")
        edit = next(e for e in EDITS if (e.kind, e.title) == ("Deployment", "image"))
        manager = "kubectl-edit"
        healed = heal_seconds(server.api, edit, app="shop", namespace=namespace, manager=manager)
        assert healed is not None
        assert 0 == watching.end()
    before = server.api.get(path_of("Namespace", namespace, namespace))
    gone = run_scale(file, "--destroy", "--data", "--yes", kubeconfig=kubeconfig)
    assert (0, set()) == (gone.code, names_in(server.api, namespace))
    assert before == server.api.get(path_of("Namespace", namespace, namespace))


def test_destroy_tells_what_it_may_not_look_for(
    cluster_with_controllers: ControlPlane, tmp_path: Path
) -> None:
    """A Service without labels is found by its name alone; else all would seem to be gone."""
    server = cluster_with_controllers
    api, namespace = server.api, server.new_namespace()
    file = write_app(tmp_path, toml(namespace))
    assert 0 == run_scale(file, kubeconfig=server.kubeconfig).code
    api.patch(
        path_of("Service", namespace, "shop"),
        {"metadata": {"labels": {"app.kubernetes.io/instance": None}}},
    )
    kinds = [plural for plural in WRITTEN if plural != "services"]
    allow(api, "sightless", namespace, ["*"], ["pods", *kinds])
    allow(api, "sightless", namespace, ["list", "watch", "delete"], ["services"])
    kubeconfig = server.kubeconfig_for("sightless")
    for code, *flags in ((1, "--status"), (0, "--destroy", "--yes")):
        done = run_scale(file, *map(str, flags), kubeconfig=kubeconfig)
        assert (code, "") == (done.code, done.err)
        assert "a Service that lost its labels is not seen: " in done.out
        assert 'User "sightless" cannot get resource "services"' in done.out


def test_scale_needs_no_right_to_kinds_that_the_app_has_not(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """Who may not touch policies deploys without them, and is told which right is missing else."""
    user = "unpolitical"
    allow(control_plane.api, user, namespace, READ, ["pods"])
    needless = {"cronjobs", "ingresses", "jobs", "networkpolicies", "rolebindings", "roles"}
    kinds = [plural for plural in WRITTEN if plural not in needless]
    allow(control_plane.api, user, namespace, ["*"], kinds)
    kubeconfig = control_plane.kubeconfig_for(user)
    with_policies = toml(namespace)
    refused = run_scale(write_app(tmp_path, with_policies), kubeconfig=kubeconfig)
    assert (1, set()) == (refused.code, names_in(control_plane.api, namespace))
    assert f'User "{user}" cannot get resource "networkpolicies"' in refused.one_message

    without = with_policies.replace("image =", "network_policies = false\nimage =")
    plan = run_scale(write_app(tmp_path, without), "--plan", kubeconfig=kubeconfig)
    assert (3, "") == (plan.code, plan.err)


def test_scale_uses_our_namespace_as_it_is_when_it_may_not_change_it(
    control_plane: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """An admin deployed first; whoever may only write inside goes on from there."""
    namespace = unused_namespace
    file = write_app(tmp_path, toml(namespace))
    admin = run_scale(file, "--timeout", "1", kubeconfig=control_plane.kubeconfig)
    assert "Namespace/" in admin.out
    allow(control_plane.api, "guest", namespace, ["*"], ("pods", *WRITTEN))
    allow(control_plane.api, "guest", None, READ, ["namespaces"])
    kubeconfig = control_plane.kubeconfig_for("guest")
    other = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}
    control_plane.api.patch(f"/api/v1/namespaces/{namespace}", other)
    plan = run_scale(file, "--plan", "--image", "example/shop:2", kubeconfig=kubeconfig)
    assert (3, "") == (plan.code, plan.err)
    assert f"keep     Namespace/{namespace}: we may not change it" in plan.out
    assert "update   Deployment/shop" in plan.out


def test_loop_says_when_a_right_is_taken_away_and_goes_on_when_it_is_back(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """A refused write ends no watch: it says so once, and heals as soon as it may."""
    api = control_plane.api
    allow(api, "fickle", namespace, READ)
    allow(api, "fickle", namespace, ["*"], WRITTEN)
    role = f"/apis/{RBAC}/v1/namespaces/{namespace}/rolebindings"
    binding = next(b for b in api.get(role)["items"] if b["metadata"]["name"] != "fickle-all")
    file = write_app(tmp_path, toml(namespace))
    config = path_of("ConfigMap", namespace, "shop-config")
    with running_loop(file, control_plane.kubeconfig_for("fickle")) as running:
        wait_until(lambda: "Deployment/shop" in names_in(api, namespace))
        before = api.get(config).get("data")
        api.delete(f"{role}/{binding['metadata']['name']}")
        api.patch(config, {"data": {"EVIL": "1"}})
        wait_until(lambda: any(outcome.errors for outcome in running.view.outcomes))
        errors = [str(e) for outcome in running.view.outcomes for e in outcome.errors]
        assert 'cannot patch resource "configmaps"' in errors[0]
        del binding["metadata"]["resourceVersion"], binding["metadata"]["uid"]
        api.post(role, binding)
        wait_until(lambda: before == api.get(config).get("data"), 40)
