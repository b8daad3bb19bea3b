"""Writes that a real API server does not take: told once, not sent again and again."""

from pathlib import Path
from typing import Any

from jac_converge.reconciler.ownership import FIELD_MANAGER
from tests.cluster.foreign_edits import path_of
from tests.cluster.running_loop import running_loop, wait_until, write_app
from tests.servers.api import ApiFailed
from tests.servers.control_plane import ControlPlane

TOML = '[converge.kubernetes]\nnamespace = "{namespace}"\nimage = "example/shop:{tag}"\n'
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
REASON = "only images that were scanned"
KEPT = 10
"""Denied writes that may be sent before the wait between two is long: it doubles up to 30 s."""


def deny_image(image: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A policy against one image, and its binding."""
    head = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "scanned"}}
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["deployments"],
    }
    expression = f"object.spec.template.spec.containers.all(c, c.image != '{image}')"
    policy = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": expression, "message": REASON}],
    }
    binding = {"policyName": "scanned", "validationActions": ["Deny"]}
    return (
        {**head, "kind": "ValidatingAdmissionPolicy", "spec": policy},
        {**head, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
    )


def test_loop_tells_a_denied_write_once_and_makes_no_storm(
    audited_control_plane: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """The policy's own words, once; the rest of the app is kept; it goes on when it is allowed."""
    server, ns = audited_control_plane, unused_namespace
    policy, binding = deny_image("example/shop:2")
    server.api.post(f"{ADMISSION}/validatingadmissionpolicies", policy)
    server.api.post(f"{ADMISSION}/validatingadmissionpolicybindings", binding)
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "probe"}}
    container = {"name": "a", "image": "example/shop:2"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}

    def denied() -> bool:
        try:
            path = path_of("Deployment", "default", "probe")
            server.api.apply(path, {**deployment, "spec": spec})
        except ApiFailed as failed:
            return REASON in str(failed)
        return False

    wait_until(denied, 60, "the policy was never in force")
    more = "[converge.database]\nmongodb_uri = 'mongodb://x/y'\nredis_url = 'redis://x'\n"
    file = write_app(tmp_path, TOML.format(namespace=ns, tag=1) + more)
    with running_loop(file, server.kubeconfig) as running:
        wait_until(lambda: any(row.key.kind == "Deployment" for row in running.view.rows), 60)
        wait_until(lambda: "example/shop:1" in str(server.api.get(path_of("Deployment", ns))), 30)
        before = len(server.requests(FIELD_MANAGER))
        write_app(tmp_path, TOML.format(namespace=ns, tag=2) + more)
        wait_until(lambda: REASON in running.view.screen.getvalue())
        write_app(tmp_path, TOML.format(namespace=ns, tag=3) + more)
        wait_until(lambda: "example/shop:3" in str(server.api.get(path_of("Deployment", ns))), 60)
        sent = [r for r in server.requests(FIELD_MANAGER)[before:] if r.verb == "patch"]
        assert 0 < len(sent) <= KEPT
        assert 1 == running.view.screen.getvalue().count(REASON), running.view.screen.getvalue()


def test_loop_tells_a_refused_create_once_and_keeps_the_rest(
    audited_control_plane: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """Also while other passes are made; a new name is tried at once."""
    server, ns = audited_control_plane, unused_namespace
    more = "redis.enabled = false\nmongodb.enabled = false\nextra = ['*.yaml']\n"
    file = write_app(tmp_path, TOML.format(namespace=ns, tag=1) + more)
    odd = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n"
    (tmp_path / "odd.yaml").write_text(odd.format(name="No_Name"))
    service = path_of("Service", ns, "shop")
    before = len(server.requests(FIELD_MANAGER))
    with running_loop(file, server.kubeconfig) as running:
        screen = running.view.screen
        wait_until(lambda: "ConfigMap/No_Name: refused" in screen.getvalue())
        for port in range(81, 84):
            server.api.patch(service, {"spec": {"ports": [{"name": "http", "port": port}]}})
            wait_until(lambda: 80 == server.api.get(service)["spec"]["ports"][0]["port"])
        sent = server.requests(FIELD_MANAGER)[before:]
        assert 1 == sum("No_Name" in r.path for r in sent if r.verb == "patch")
        assert 1 == screen.getvalue().count("No_Name apply failed"), screen.getvalue()
        (tmp_path / "odd.yaml").write_text(odd.format(name="a-name"))
        wait_until(lambda: "a-name" in str(server.api.get(path_of("ConfigMap", ns))))


def test_loop_rolls_no_pod_for_a_configuration_that_is_refused(
    control_plane: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """They would read the old one; they roll once it is taken."""
    api, ns = control_plane.api, unused_namespace
    toml = TOML.format(namespace=ns, tag=1) + "redis.enabled = false\nmongodb.enabled = false\n"
    file = write_app(tmp_path, toml)
    deployment = path_of("Deployment", ns, "shop")

    def rolls() -> object:
        return api.get(deployment)["spec"]["template"]["metadata"]["annotations"]

    with running_loop(file, control_plane.kubeconfig) as running:
        wait_until(lambda: any(row.key.kind == "Deployment" for row in running.view.rows))
        wait_until(lambda: "shop" in str(api.get(deployment)["metadata"]))
        before = rolls()
        write_app(tmp_path, f"{toml}env.HUGE = '{'x' * ((1 << 20) + 1)}'\n")
        waits = "waits for ConfigMap/shop-config, which its pods read and was refused"
        screen = running.view.screen
        wait_until(lambda: waits in screen.getvalue())
        assert before == rolls()
        write_app(tmp_path, f"{toml}env.SMALL = 'x'\n")
        wait_until(lambda: before != rolls())
        assert {"SMALL": "x"} == api.get(path_of("ConfigMap", ns, "shop-config"))["data"]
