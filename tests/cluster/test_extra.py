"""Manifests of the user's own, on a real cluster: kept as everything else is, and pruned."""

from pathlib import Path
from typing import Any

import pytest

from tests.cluster.foreign_edits import path_of
from tests.cluster.running_loop import running_loop, wait_until, write_app
from tests.e2e.scale_command import run_scale
from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane

TOML = """
[converge.kubernetes]
namespace = "{namespace}"
image = "example/shop:1"
redis.enabled = false
mongodb.enabled = false
extra = ["k8s/*.yaml"]
"""
SETTINGS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: colours}
data: {sky: blue}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {door: open-sesame}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reads}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reads}
subjects: [{kind: ServiceAccount, name: reader}]
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reads}
---
apiVersion: v1
kind: Service
metadata: {name: metrics}
spec: {selector: {app.kubernetes.io/instance: shop}, ports: [{port: 9090}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: jobs}
spec: {podSelector: {matchLabels: {job: "yes"}}, policyTypes: [Ingress]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: metrics}
spec: {defaultBackend: {service: {name: metrics, port: {number: 9090}}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: uploads}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}
"""
JOBS = """
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: migrate, image: "example/migrate:1"}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: report}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: report, image: "example/report:1"}]
"""
OBJECTS = {
    ("ConfigMap", "colours"),
    ("Secret", "keys"),
    ("ServiceAccount", "reader"),
    ("Role", "reads"),
    ("RoleBinding", "reads"),
    ("Service", "metrics"),
    ("NetworkPolicy", "jobs"),
    ("Ingress", "metrics"),
    ("PersistentVolumeClaim", "uploads"),
    ("Job", "migrate"),
    ("CronJob", "report"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with all manifests in it."""
    (tmp_path / "k8s").mkdir()
    (tmp_path / "k8s/settings.yaml").write_text(SETTINGS)
    (tmp_path / "k8s/jobs.yaml").write_text(JOBS)
    return tmp_path


def there(api: Api, namespace: str) -> set[tuple[str, str]]:
    """Which of them the namespace has."""
    found = {
        (kind, obj["metadata"]["name"])
        for kind in {kind for kind, _ in OBJECTS}
        for obj in api.get(path_of(kind, namespace))["items"]
        if not obj["metadata"].get("deletionTimestamp")
    }
    return found & OBJECTS


def get(api: Api, namespace: str, kind: str, name: str) -> Any:
    """Read one."""
    return api.get(path_of(kind, namespace, name))


def test_manifests_are_applied_healed_and_pruned(
    control_plane: ControlPlane, namespace: str, folder: Path
) -> None:
    """Every kind of them; an edit of a file is seen, and so is a file that goes."""
    api = control_plane.api
    file = write_app(folder, TOML.format(namespace=namespace))
    with running_loop(file, control_plane.kubeconfig) as running:
        wait_until(lambda: there(api, namespace) == OBJECTS, what=str(running.view.messages))

        evil = {"data": {"sky": "green", "sea": "red"}}
        path = path_of("ConfigMap", namespace, "colours")
        api.patch(f"{path}?fieldManager=kubectl-edit", evil)
        wait_until(lambda: {"sky": "blue"} == get(api, namespace, "ConfigMap", "colours")["data"])
        assert ["kubectl-edit"] == [heal.who for heal in running.view.heals]

        (folder / "k8s/settings.yaml").write_text(SETTINGS.replace("blue", "grey"))
        wait_until(lambda: {"sky": "grey"} == get(api, namespace, "ConfigMap", "colours")["data"])

        (folder / "k8s/settings.yaml").unlink()
        left = {("Job", "migrate"), ("CronJob", "report"), ("PersistentVolumeClaim", "uploads")}
        wait_until(lambda: there(api, namespace) == left, what=str(there(api, namespace)))
        assert "open-sesame" not in str(running.view)


def test_manifests_are_stored_as_they_are_sent(
    control_plane: ControlPlane, namespace: str, folder: Path
) -> None:
    """A second process over the same files has nothing to do."""
    file = write_app(folder, TOML.format(namespace=namespace))
    with running_loop(file, control_plane.kubeconfig):
        wait_until(lambda: there(control_plane.api, namespace) == OBJECTS)
        wait_until(lambda: 0 == plan_code(file, control_plane), 30, "it would write again")


def plan_code(file: Path, server: ControlPlane) -> int:
    """The exit code of `--plan`."""
    return run_scale(file, "--plan", kubeconfig=server.kubeconfig).code


def test_job_that_changes_is_made_anew(
    cluster_with_controllers: ControlPlane, unused_namespace: str, folder: Path
) -> None:
    """What a Job runs cannot be changed in place; the run waits until it is done."""
    api, namespace = cluster_with_controllers.api, unused_namespace
    file = write_app(folder, TOML.format(namespace=namespace))
    with running_loop(file, cluster_with_controllers.kubeconfig) as running:

        def health() -> str:
            rows = {str(row.key): row.health for row in running.view.rows}
            found = rows.get("Job/migrate")
            return f"{found.state}: {found.sentence}" if found else ""

        wait_until(lambda: health().startswith("progressing: waiting for its end"), 30)
        first = get(api, namespace, "Job", "migrate")["metadata"]["uid"]
        (folder / "k8s/jobs.yaml").write_text(JOBS.replace("migrate:1", "migrate:2"))

        def image() -> str:
            jobs = api.get(path_of("Job", namespace))["items"]
            images = [j["spec"]["template"]["spec"]["containers"][0]["image"] for j in jobs]
            return images[0] if images else ""

        wait_until(lambda: "example/migrate:2" == image(), 30)
        assert first != get(api, namespace, "Job", "migrate")["metadata"]["uid"]


def test_manifest_that_is_no_good_stops_the_command(
    control_plane: ControlPlane, namespace: str, folder: Path
) -> None:
    """With file and line, as a mistake in the configuration; nothing is written."""
    (folder / "k8s/jobs.yaml").write_text(JOBS + "---\nkind: Pod\n")
    file = write_app(folder, TOML.format(namespace=namespace))
    done = run_scale(file, kubeconfig=control_plane.kubeconfig)
    assert 2 == done.code
    assert "k8s/jobs.yaml:23: kind 'Pod' cannot be an extra manifest" in done.one_message
    assert set() == there(control_plane.api, namespace)
