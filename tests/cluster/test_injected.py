"""What an admission policy of the cluster adds or changes, as a mesh or a cloud does: it stays."""

from pathlib import Path
from typing import Any

from tests.cluster.foreign_edits import path_of
from tests.cluster.running_loop import running_loop, wait_until, write_app
from tests.e2e.scale_command import run_scale
from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
TOML = (
    '[converge.kubernetes]\nnamespace = "{namespace}"\nimage = "example/shop:{tag}"\n'
    "redis.enabled = false\nmongodb.enabled = false\n"
)
CONTAINERS = "object.spec.template.spec.containers"
PATH = "/spec/template/spec/containers"
SIDECAR = (
    f"{CONTAINERS}.exists(c, c.name == 'mesh') ? [] : "
    f'[JSONPatch{{op: "add", path: "{PATH}/-", value: '
    'Object.spec.template.spec.containers{name: "mesh", image: "example/mesh:1"}}]'
)
MORE_MEMORY = (
    f'[JSONPatch{{op: "replace", path: "{PATH}/0/resources/limits/memory", value: "2Gi"}}]'
)


def inject(api: Api, namespace: str) -> tuple[str, str]:
    """Put the policy into force for one namespace; returns what to delete."""
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["deployments"],
    }
    spec: dict[str, Any] = {
        "reinvocationPolicy": "Never",
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [
            {"name": "here", "expression": f"object.metadata.namespace == '{namespace}'"}
        ],
        "mutations": [
            {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}
            for expression in (SIDECAR, MORE_MEMORY)
        ],
    }
    paths = []
    for kind, body in (("Policy", spec), ("PolicyBinding", {"policyName": namespace})):
        name = f"MutatingAdmission{kind}"
        path = f"{ADMISSION}/mutatingadmissionpolic{'ies' if kind == 'Policy' else 'ybindings'}"
        head = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": name}
        api.post(path, {**head, "metadata": {"name": namespace}, "spec": body})
        paths.append(f"{path}/{namespace}")
    return paths[0], paths[1]


def shape(api: Api, namespace: str) -> tuple[dict[str, str], str]:
    """The image of each container, and the memory of the app's."""
    spec = api.get(path_of("Deployment", namespace, "shop"))["spec"]["template"]["spec"]
    memory = spec["containers"][0]["resources"]["limits"]["memory"]
    return {it["name"]: it["image"] for it in spec["containers"]}, memory


def test_loop_keeps_what_the_cluster_injects_and_heals_beside_it(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """No fight, no write in a steady state; a person's sidecar beside the injector's goes."""
    api, file = control_plane.api, write_app(tmp_path, TOML.format(namespace=namespace, tag=1))
    deployment = path_of("Deployment", namespace, "shop")
    policies = inject(api, namespace)
    try:
        with running_loop(file, control_plane.kubeconfig) as running:
            mesh = {"app": "example/shop:1", "mesh": "example/mesh:1"}

            def injected() -> bool:
                # The server learns of a policy late: until then it takes what we write.
                api.patch(deployment, {"metadata": {"annotations": {"test.example/poke": "x"}}})
                api.patch(deployment, {"metadata": {"annotations": {"test.example/poke": None}}})
                return shape(api, namespace) == (mesh, "2Gi")

            wait_until(lambda: "Deployment/shop" in {str(r.key) for r in running.view.rows}, 60)
            wait_until(injected, 60)
            spec = api.get(deployment)["spec"]["template"]["spec"]["containers"]
            spy = [*spec, {"name": "spy", "image": "example/spy:1"}]
            patch = {"spec": {"template": {"spec": {"containers": spy}}}}
            api.patch(f"{deployment}?fieldManager=kubectl-edit", patch)
            wait_until(lambda: shape(api, namespace) == (mesh, "2Gi"))
            write_app(tmp_path, TOML.format(namespace=namespace, tag=2))
            mesh["app"] = "example/shop:2"
            wait_until(lambda: shape(api, namespace) == (mesh, "2Gi"))
            assert not any("not healed" in message for message in running.view.messages)
        before = api.get(deployment)["metadata"]["generation"]
        plan = run_scale(file, "--plan", kubeconfig=control_plane.kubeconfig)
        assert (0, before) == (plan.code, api.get(deployment)["metadata"]["generation"]), plan
    finally:
        for path in policies:
            api.delete(path)
