"""The to-do list of the examples on a cluster: deployed by `jac scale`, looked at from outside."""

import base64
import http.client
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymongo

from tests.cluster.foreign_edits import path_of
from tests.e2e.image_places import FIRST, cache
from tests.e2e.scale_command import Done, Running, run_scale, running_scale
from tests.node import images
from tests.node.cluster import Cluster
from tests.node.load import Client, Load
from tests.servers.process import wait_until

__all__ = ["Todo"]

EXAMPLE = Path(__file__).parents[2] / "examples" / "todo" / "todo.jac"
TOML = """
[project]
name = "todo"
[converge.kubernetes]
namespace = "{namespace}"
replicas = 2
[converge.kubernetes.image_build]
base = "{base}"
{build}
[converge.kubernetes.redis]
image = "{redis}"
[converge.kubernetes.mongodb]
image = "{mongodb}"
storage = "128Mi"
memory = "256Mi"
"""


class Todo:
    """The app in a namespace of its own."""

    def __init__(self, cluster: Cluster, folder: Path, *, namespace: str = "") -> None:
        """Write the app; nothing is deployed before `scale`.

        Args:
            cluster: takes it.
            folder: where to write.
            namespace: empty: one that nobody else has.
        """
        self.cluster = cluster
        self.namespace = namespace or f"test-{secrets.token_hex(4)}"
        self.folder = folder / "todo"
        self.folder.mkdir()
        self.file = self.folder / EXAMPLE.name
        shutil.copy(EXAMPLE, self.folder)
        self.env: Mapping[str, str] = {**cache(), **cluster.image_tool(folder / "tools")}
        self.configure()

    def configure(self, tables: str = "", *, build: str = "") -> None:
        """Write jac.toml as an editor does: another file takes its place.

        Args:
            tables: further ones.
            build: further lines of the table of the image's build.
        """
        text = TOML.format(
            namespace=self.namespace,
            base=images.base(),
            build=build,
            redis=images.REDIS,
            mongodb=images.MONGODB,
        )
        new = self.folder / "jac.toml.new"
        new.write_text(text + tables)
        new.replace(self.folder / "jac.toml")

    def scale(self, *flags: str) -> Done:
        """Run `jac scale` to its end, which has to be a good one."""
        done = run_scale(
            self.file, *flags, kubeconfig=self.cluster.kubeconfig, env=self.env, timeout=FIRST
        )
        assert 0 == done.code, (done.out, done.err, self.state())
        return done

    def plan(self) -> str:
        """Show the plan, for which the image is built."""
        env, kubeconfig = self.env, self.cluster.kubeconfig
        return run_scale(self.file, "--plan", kubeconfig=kubeconfig, env=env, timeout=FIRST).out

    @contextmanager
    def scaling(self, *flags: str) -> Iterator[Running]:
        """Run `jac scale` beside the block, which it does not outlive."""
        with running_scale(
            self.file, *flags, kubeconfig=self.cluster.kubeconfig, env=self.env
        ) as running:
            yield running

    def destroy(self) -> None:
        """Remove all of it, with its data."""
        self.scale("--destroy", "--data", "--yes")

    def state(self) -> str:
        """What somebody would look at who wonders."""
        where = ("--namespace", self.namespace)
        return self.cluster.kubectl("get", "pods,pvc,events", "--output=wide", *where)

    @property
    def address(self) -> str:
        """Where the Service answers, inside the cluster."""
        spec = self.object("Service", "todo")["spec"]
        return f"{spec['clusterIP']}:{spec['ports'][0]['port']}"

    def wait_until_it_answers(self) -> None:
        """Wait for a 200: pods are ready a moment before everybody has heard of it."""
        client = Client(self.address, keep=False)

        def answers() -> bool:
            try:
                return client.call("/walker/visit_site", name="somebody")[0] == 200
            except http.client.HTTPException:
                return False

        wait_until(answers, within=120, what="a first answer", unless=self.cluster.check_alive)

    def load(self, *, clients: int = 4, pause: float = 0.1) -> Load:
        """Give clients that have accounts of their own."""
        return Load(self.address, f"load-{secrets.token_hex(4)}", clients=clients, pause=pause)

    def object(self, kind: str, name: str) -> dict[str, Any]:
        """Read an object of the app's namespace."""
        return self.cluster.api.get(path_of(kind, self.namespace, name))

    def pods(self, component: str = "app") -> dict[str, dict[str, Any]]:
        """The pods of a component that are not leaving, by UID."""
        found = self.cluster.pods(self.namespace, component)
        return {pod["metadata"]["uid"]: pod for pod in found}

    def ready(self, component: str = "app") -> set[str]:
        """The UIDs of those pods that take requests."""
        return {uid for uid, pod in self.pods(component).items() if _is_ready(pod)}

    def wait_for_pods(self, count: int, *, other_than: frozenset[str] = frozenset()) -> None:
        """Wait until so many pods of the app are ready, none of these is left, and no other."""

        def settled() -> bool:
            there = set(self.pods())
            return len(there) == count and there == self.ready() and not there & other_than

        wait_until(settled, within=240, what=f"{count} pods", unless=self.cluster.check_alive)

    def kill(self, component: str, *, grace_seconds: int | None = None) -> str:
        """Delete a pod, and return its UID once another one is ready.

        Args:
            component: whose.
            grace_seconds: None: its own; 0: at once, as a crash.
        """
        uid, pod = next(iter(self.pods(component).items()))
        options = {} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
        name = pod["metadata"]["name"]
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}"
        self.cluster.api.delete(path, {"kind": "DeleteOptions", "apiVersion": "v1", **options})
        wait_until(
            lambda: bool(self.ready(component) - {uid}),
            within=180,
            what=f"another pod of {component}",
            unless=self.cluster.check_alive,
        )
        return uid

    def stored(self) -> set[str]:
        """The names of all projects, as the database itself has them."""
        data = self.object("Secret", "todo-credentials")["data"]
        password = base64.b64decode(data["mongodb-password"]).decode()
        (pod,) = self.pods("mongodb").values()
        host = pod["status"]["podIP"]
        uri = f"mongodb://root:{password}@{host}/todo?authSource=admin"
        with pymongo.MongoClient[dict[str, Any]](uri, directConnection=True) as client:
            rows = client["todo"]["documents"].find()
            return {
                name for row in rows for name in re.findall(r"load-[0-9a-f]+-\d+-\d+\.", str(row))
            }


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(it["type"] == "Ready" and it["status"] == "True" for it in conditions)
