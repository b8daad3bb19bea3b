"""Logins that end, and kubeconfigs that change, while a loop runs: on a real API server."""

import json
import secrets
import sys
import time
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jac_converge.reconciler.errors import Invalid, NoCluster, Refused
from jac_converge.reconciler.kube_cluster import KubeCluster, connect
from jac_converge.reconciler.objects import kind_named
from jac_converge.reconciler.ownership import selector_of
from jac_converge.reconciler.plain_login import plain_access
from tests.cluster.foreign_edits import EDITS, heal_seconds, path_of
from tests.cluster.running_loop import running_loop, wait_until, write_app
from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane

TOML = '[converge.kubernetes]\nnamespace = "{namespace}"\nimage = "example/shop:1"\nreplicas = 2\n'
SELECTOR = next(edit for edit in EDITS if edit.title == "selector")
CONFIG_MAP = kind_named("ConfigMap")

PLUGIN = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
with (folder / "runs").open("a") as runs:
    runs.write("x")
print((folder / "credential").read_text())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A kubeconfig whose user is an exec plugin, and what that will answer."""

    kubeconfig: Path
    folder: Path
    api: Api
    namespace: str

    def give(self, account: str, *, seconds: float | None = None) -> None:
        """Let the plugin answer the token of an account, with the end that it announces."""
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{account}/token"
        kind = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        status = {"token": self.api.post(path, kind)["status"]["token"]}
        if seconds is not None:
            end = datetime.now(UTC) + timedelta(seconds=seconds)
            status["expirationTimestamp"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
        answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
        (self.folder / "credential.new").write_text(json.dumps({**answer, "status": status}))
        (self.folder / "credential.new").replace(self.folder / "credential")

    def end(self, account: str) -> None:
        """Make its tokens worth nothing."""
        self.api.delete(f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{account}")

    @property
    def user(self) -> str:
        """The entry of the kubeconfig."""
        return str(json.loads(self.kubeconfig.read_text())["users"][0]["name"])

    @property
    def runs(self) -> int:
        """How often the plugin ran."""
        return len((self.folder / "runs").read_text())


@pytest.fixture
def login(own_control_plane: ControlPlane, tmp_path: Path) -> Login:
    """Two accounts that may do everything; the plugin answers with the first one's token."""
    server, namespace = own_control_plane, own_control_plane.new_namespace()
    folder = tmp_path / "plugin"
    folder.mkdir()
    (folder / "plugin.py").write_text(PLUGIN)
    for account in ("one", "two"):
        subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
        server.api.post(
            f"/api/v1/namespaces/{namespace}/serviceaccounts",
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}},
        )
        server.api.post(
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": f"{account}-{secrets.token_hex(4)}"},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "cluster-admin",
                },
                "subjects": [subject],
            },
        )
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(folder / "plugin.py"), str(folder)],
        "interactiveMode": "Never",
    }
    content = json.loads(server.kubeconfig.read_text())
    content["users"][0]["user"] = {"exec": plugin}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(content))
    it = Login(kubeconfig=kubeconfig, folder=folder, api=server.api, namespace=namespace)
    it.give("one")
    return it


def heals(login: Login, namespace: str) -> bool:
    """Whether an edit is put back; by another manager each time, for it is no fight."""
    who = f"kubectl-{secrets.token_hex(4)}"
    took = heal_seconds(login.api, SELECTOR, app="shop", namespace=namespace, manager=who)
    return took is not None


def connected(config_file: Path, namespace: str) -> KubeCluster:
    """Pin what the kubeconfig says now."""
    return connect(
        context=None,
        namespace=namespace,
        selector=selector_of("shop"),
        config_file=str(config_file),
    )


def test_loop_goes_on_when_its_token_ends(
    login: Login, unused_namespace: str, tmp_path: Path
) -> None:
    """A token that the server no longer takes: the plugin is asked once more, by one thread."""
    file = write_app(tmp_path, TOML.format(namespace=unused_namespace))
    with running_loop(file, login.kubeconfig) as running:
        wait_until(lambda: any(row.key.kind == "Service" for row in running.view.rows), 60)
        login.give("two")
        login.end("one")
        # The server remembers a good token for some seconds.
        wait_until(lambda: heals(login, unused_namespace) and login.runs > 1, 60)
        assert heals(login, unused_namespace)
        assert 2 == login.runs


def test_loop_logs_in_once_after_a_sleep(
    login: Login, unused_namespace: str, tmp_path: Path
) -> None:
    """Not once for each of its watches: a plugin may open a browser."""
    slept = [0.0]
    file = write_app(tmp_path, TOML.format(namespace=unused_namespace))
    with running_loop(file, login.kubeconfig, wall=lambda: time.time() + slept[0]) as running:
        wait_until(lambda: any(row.key.kind == "Service" for row in running.view.rows), 60)
        slept[0] = 3600.0
        wait_until(lambda: any("resumed after 60 min" in m for m in running.view.messages))
        assert heals(login, unused_namespace)
        assert 2 == login.runs


def test_token_is_renewed_when_the_plugin_said_it_ends(login: Login) -> None:
    """Before the server has to refuse it."""
    login.give("one", seconds=1)
    cluster = connected(login.kubeconfig, login.namespace)
    login.give("two", seconds=3600)
    for _ in range(3):
        wait_until(lambda: cluster.get(CONFIG_MAP, "absent") is None and login.runs == 2)
    assert 2 == login.runs


def test_plugin_that_fails_is_no_login(login: Login) -> None:
    """Nobody is asked anything as nobody; the message names the plugin, its user and the file."""
    (login.folder / "credential").unlink()
    with pytest.raises(Refused) as caught:
        connected(login.kubeconfig, login.namespace)
    words = (sys.executable, f"of user {login.user} in {login.kubeconfig}", "failed (", "log in")
    assert [] == [word for word in words if word not in str(caught.value)]
    assert "FileNotFoundError" in caught.value.cause


def test_plugin_that_fails_later_is_a_login_to_renew(login: Login) -> None:
    """It says so, and works again as soon as the plugin does."""
    cluster = connected(login.kubeconfig, login.namespace)
    assert cluster.get(CONFIG_MAP, "absent") is None
    login.give("two")
    (login.folder / "credential").rename(login.folder / "kept")
    login.end("one")

    told: list[str] = []

    def refused() -> bool:
        try:
            cluster.get(CONFIG_MAP, "absent")
        except Refused as error:
            told.append(error.cause)
        return bool(told)

    # The server remembers a good token for some seconds.
    wait_until(refused, 60)
    assert f"in {login.kubeconfig} failed" in told[0]
    (login.folder / "kept").rename(login.folder / "credential")
    assert cluster.get(CONFIG_MAP, "absent") is None


def changed(kubeconfig: Path, **cluster: Any) -> None:
    """Rewrite a kubeconfig: another current context, and what the pinned one means."""
    content = json.loads(kubeconfig.read_text())
    content["clusters"][0]["cluster"] |= cluster
    content["contexts"].append({"name": "other", "context": {"cluster": "none", "user": "none"}})
    content["current-context"] = "other"
    kubeconfig.write_text(json.dumps(content))


def test_loop_stays_with_its_context_when_the_current_one_changes(
    login: Login, unused_namespace: str, tmp_path: Path
) -> None:
    """`kubectl config use-context` in another terminal redirects nothing."""
    file = write_app(tmp_path, TOML.format(namespace=unused_namespace))
    with running_loop(file, login.kubeconfig) as running:
        wait_until(lambda: any(row.key.kind == "Service" for row in running.view.rows), 60)
        changed(login.kubeconfig)
        login.give("two")
        login.end("one")
        wait_until(lambda: heals(login, unused_namespace) and login.runs > 1, 60)


def test_login_is_not_renewed_from_a_context_that_means_another_server(login: Login) -> None:
    """The token of one cluster is not sent to another one."""
    cluster = connected(login.kubeconfig, login.namespace)
    changed(login.kubeconfig, server="https://127.0.0.1:1")
    with pytest.raises(NoCluster, match="it now means https://"):
        cluster.reauthenticate()
    assert cluster.get(CONFIG_MAP, "absent") is None


def test_loop_writes_nothing_into_another_cluster_at_the_same_address(
    own_control_plane: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """A cluster that was installed anew is not the one the loop was started for."""
    server = own_control_plane
    file = write_app(tmp_path, TOML.format(namespace=unused_namespace))
    with running_loop(file, server.kubeconfig) as running:
        wait_until(lambda: any(row.key.kind == "Service" for row in running.view.rows), 60)
        written = len(running.view.outcomes)
        server.replace_cluster()
        wait_until(lambda: any("another cluster" in m for m in running.view.messages), 90)
        assert written == len(running.view.outcomes)
        names = [it["metadata"]["name"] for it in server.api.get(path_of("Namespace", ""))["items"]]
        assert unused_namespace not in names


def test_certificate_in_the_kubeconfig_itself_logs_in(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """As base64, the way most tools write it; without the official client."""
    content = json.loads(control_plane.kubeconfig.read_text())
    for entry in (content["clusters"][0]["cluster"], content["users"][0]["user"]):
        for key in ("certificate-authority", "client-certificate", "client-key"):
            if key in entry:
                entry[f"{key}-data"] = b64encode(Path(entry.pop(key)).read_bytes()).decode()
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(content))
    assert plain_access("test", str(file), 1) is not None
    assert connected(file, namespace).get(CONFIG_MAP, "absent") is None


def test_stranger_is_not_taken_for_the_server(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """Without the authority of the kubeconfig, the one of the system is asked; it knows no such."""
    content = json.loads(control_plane.kubeconfig.read_text())
    del content["clusters"][0]["cluster"]["certificate-authority"]
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(content))
    with pytest.raises(Invalid, match="not who it says it is"):
        connected(file, namespace).get(CONFIG_MAP, "absent")
