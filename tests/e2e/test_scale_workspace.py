"""`jac-converge scale FOLDER --watch`: many apps, one process, as a user meets it."""

import json
import re
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from jac_converge.reconciler.objects import KINDS
from jac_converge.reconciler.ownership import FIELD_MANAGER
from tests.cluster.foreign_edits import path_of
from tests.e2e.scale_command import Running, run_scale, running_scale, write_app
from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane
from tests.servers.process import wait_until

TOML = """
[converge.kubernetes]
app_name = "{name}"
namespace = "{namespace}"
image = "example/{name}:1"

[converge.kubernetes.redis]
enabled = false

[converge.kubernetes.mongodb]
enabled = false
"""
APPS = {"shop": "front", "blog": "front", "mail": "back"}
KNOWN = [kind for kind in KINDS if not kind.needs]


def write(workspace: Path, name: str, namespace: str) -> Path:
    """Write one app into a folder of its own."""
    return write_app(workspace / name, TOML.format(name=name, namespace=namespace), name=name)


def wait_for_apps(api: Api, apps: dict[str, str]) -> None:
    """Wait until the last object of each app is there."""
    paths = {name: path_of("Deployment", namespace) for name, namespace in apps.items()}
    wait_until(
        lambda: all(name in names(api, path) for name, path in paths.items()),
        within=60,
        what="every app is there",
    )


def names(api: Api, path: str) -> set[str]:
    """The names of what stands under a path."""
    return {obj["metadata"]["name"] for obj in api.get(path)["items"]}


def delete_and_wait(api: Api, name: str, namespace: str) -> None:
    """Delete an app's Service, and wait until it is there anew."""
    path = path_of("Service", namespace, name)
    before = api.get(path)["metadata"]["uid"]
    api.delete(path)
    services = path_of("Service", namespace)
    wait_until(
        lambda: any(
            obj["metadata"]["name"] == name and obj["metadata"]["uid"] != before
            for obj in api.get(services)["items"]
        ),
        within=20,
        what=f"Service/{name} is there anew",
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Three apps in two namespaces, and a folder that is none of ours."""
    for name, namespace in APPS.items():
        write(tmp_path, name, namespace)
    (tmp_path / "library").mkdir()
    (tmp_path / "library/jac.toml").write_text('[project]\nname = "library"\n')
    return tmp_path


@pytest.fixture
def watching(audited_control_plane: ControlPlane, workspace: Path) -> Iterator[Running]:
    """Watch them, until all are there."""
    server = audited_control_plane
    with running_scale(workspace, "--watch", kubeconfig=server.kubeconfig) as running:
        wait_for_apps(server.api, APPS)
        yield running


def test_watch_of_a_workspace_shares_its_watches(
    audited_control_plane: ControlPlane, watching: Running
) -> None:
    """Heals in each app, and there is one watch per kind and namespace, not per app."""
    server = audited_control_plane
    for name, namespace in APPS.items():
        delete_and_wait(server.api, name, namespace)
        place = re.escape(f"{namespace}/{name}: Service/{name} deleted, created again healed in")
        watching.wait_for(place)
    leases = {name for space in ("front", "back") for name in names(server.api, leases_of(space))}
    assert {"shop-writer", "blog-writer", "mail-writer"} == leases
    sent = [request for request in server.requests(FIELD_MANAGER) if request.verb == "watch"]
    watches = Counter(request.resource for request in sent)
    assert Counter({kind.plural: 2 for kind in KNOWN} | {"pods": 2}) == watches
    assert 0 == watching.end(signal.SIGINT)
    assert set() == names(server.api, leases_of("front"))


def leases_of(namespace: str) -> str:
    """Where leases are."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def test_watch_of_a_workspace_goes_on_beside_a_broken_app(
    audited_control_plane: ControlPlane, watching: Running, workspace: Path
) -> None:
    """It names the file; the others, and the last good state of that one, are kept."""
    (workspace / "shop/jac.toml").write_text("[converge.kubernetes\n")
    watching.wait_for(r"front/shop: .*shop/jac.toml:1")
    for name, namespace in APPS.items():
        delete_and_wait(audited_control_plane.api, name, namespace)


def test_watch_of_a_workspace_sees_folders_come_and_go(
    audited_control_plane: ControlPlane, watching: Running, workspace: Path
) -> None:
    """A new one is deployed, beside a broken one that is told; one that went is left as it is."""
    api = audited_control_plane.api
    write_app(workspace / "broken", "[converge.kubernetes]\nreplica = 1\n")
    write_app(workspace / "twin", TOML.format(name="mail", namespace="back"))
    write(workspace, "wiki", "front")
    wait_for_apps(api, {"wiki": "front"})
    watching.wait_for("broken: not watched: .*replica")
    watching.wait_for("twin: not watched: .*back/mail is already the app of .*mail")
    delete_and_wait(api, "wiki", "front")

    shutil.rmtree(workspace / "blog")
    watching.wait_for("blog: jac.toml is gone, so it is no longer watched; nothing is deleted")
    assert "blog" in names(api, path_of("Deployment", "front"))
    wait_until(
        lambda: "blog-writer" not in names(api, leases_of("front")), within=10, what="free lease"
    )
    delete_and_wait(api, "shop", "front")


def test_watch_of_many_namespaces_is_one_watch_per_kind(
    audited_control_plane: ControlPlane, tmp_path: Path
) -> None:
    """Cluster-wide, by our label; each app gets what is its own."""
    server, apps = audited_control_plane, {f"app-{n}": f"space-{n}" for n in range(6)}
    for name, namespace in apps.items():
        write(tmp_path, name, namespace)
    with running_scale(tmp_path, "--watch", "--json", kubeconfig=server.kubeconfig) as running:
        wait_for_apps(server.api, apps)
        for name, namespace in apps.items():
            delete_and_wait(server.api, name, namespace)
        assert 0 == running.end(signal.SIGTERM)
    sent = [request for request in server.requests(FIELD_MANAGER) if request.verb == "watch"]
    watches = Counter(request.resource for request in sent)
    assert Counter({kind.plural: 1 for kind in KNOWN} | {"pods": 1}) == watches
    events = [json.loads(line) for line in running.lines]
    assert set(apps.items()) == {(e["app"], e["namespace"]) for e in events if "app" in e}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--watch", "--image", "a/b:1"], "--image is for one app"),
        (["--watch", "--namespace", "x"], "--namespace is for one app"),
        (["--watch"], "there is no app below"),
        (["--plan"], "is a folder; name the app's main .jac file in it"),
    ],
    ids=["image", "namespace", "no app", "another verb"],
)
def test_scale_of_a_folder_says_what_is_wrong(tmp_path: Path, flags: list[str], words: str) -> None:
    """As usage, before a cluster is asked."""
    done = run_scale(tmp_path, *flags, kubeconfig=tmp_path / "absent")
    assert (2, True) == (done.code, words in done.one_message), done.err
