"""A whole cluster with two nodes that run real pods, as a context manager.

Control plane, containerd, kubelet, kube-proxy, CoreDNS, a default StorageClass and metrics-server,
in a `Machine`. Two nodes, so that one can be drained. Up in about half a minute, 1.2 GB.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.node import images
from tests.node.control import POD_NETWORK, SERVICE_NETWORK, Control
from tests.node.machine import ADDRESS, Machine
from tests.node.worker import DNS_ADDRESS, Worker, proxy
from tests.servers import build, build_node
from tests.servers.api import ApiFailed
from tests.servers.process import Process, ServerFailed, wait_until

__all__ = ["Cluster"]

SECOND_ADDRESS = "172.30.98.1"
ADDONS = ("coredns", "local-path-provisioner", "metrics-server")
OF_THE_FIRST = frozenset(f"localhost/{name}:1" for name in ADDONS)
METRICS = "/apis/metrics.k8s.io/v1beta1/nodes"

_TOOL = """#!/bin/sh
# MicroK8s' words to load an image; its own tool loads it into one node, this one into all.
set -e
[ "$1 $2 $3" = "ctr image import" ]
{imports}
"""


class Cluster:
    """The cluster; `api` and `kubeconfig` are an administrator's."""

    def __init__(self, kubectl: Path) -> None:
        """Describe it; nothing runs before `with`.

        Args:
            kubectl: the program.

        Raises:
            ServerMissing: it cannot run here, or something is not built.
        """
        if reason := build_node.missing():
            raise build.ServerMissing(reason)
        self._kubectl = kubectl
        self._archives = images.archives()
        self.workers = (Worker(1, ADDRESS), Worker(2, SECOND_ADDRESS))
        self._machine = Machine(addresses=[SECOND_ADDRESS], routes=[POD_NETWORK, SERVICE_NETWORK])
        self._control = Control(self._machine)
        self._processes: list[Process] = []
        self._stack = ExitStack()
        self.seconds: dict[str, float] = {}
        """How long each step of the start took."""

    def __enter__(self) -> Self:
        """Start it, until pods run, are found by name, get volumes, and can be measured.

        Raises:
            ServerFailed: something ended, or was not ready in time.
        """
        with ExitStack() as stack:
            stack.enter_context(self._machine)
            self._control.prepare()
            self.api, self.kubeconfig = self._control.api, self._control.kubeconfig
            for worker in self.workers:
                worker.prepare(self._machine)
                self._start(stack, worker.containerd())
            with ThreadPoolExecutor(len(self.workers)) as pool:
                loading = [pool.submit(self._load, worker) for worker in self.workers]
                for process in self._control.processes():
                    self._start(stack, process)
                _results(loading)
            self._start(stack, proxy(self._machine, self._control, self.workers[0]))
            for worker in self.workers:
                self._start(stack, worker.kubelet(self._control))
            self._add_addons()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End everything, and leave nothing behind."""
        self._stack.close()

    def check_alive(self) -> None:
        """Raise ServerFailed if a part has ended."""
        for process in self._processes:
            process.check_alive()

    def kubectl(self, *arguments: str, timeout: float = 120) -> str:
        """Run kubectl as an administrator, and return what it wrote."""
        done = subprocess.run(
            [self._kubectl, *arguments],
            env=os.environ | {"KUBECONFIG": str(self.kubeconfig)},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            raise ServerFailed(f"kubectl {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    def pods(self, namespace: str, component: str) -> list[dict[str, Any]]:
        """List the pods of a component of an app, but those that are leaving."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        selector = f"app.kubernetes.io/component={component}"
        found = self.api.get(f"{path}?labelSelector={selector}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def image_tool(self, folder: Path) -> Mapping[str, str]:
        """Write the program that loads images, and return an environment that finds it."""
        folder.mkdir(parents=True, exist_ok=True)
        imports = "\n".join(
            f'{" ".join(worker.image_command("import"))} "$4"' for worker in self.workers
        )
        program = folder / "microk8s"
        program.write_text(_TOOL.format(imports=imports))
        program.chmod(0o755)
        return {"PATH": f"{folder}:{os.environ['PATH']}"}

    def _start(self, stack: ExitStack, process: Process) -> None:
        began = time.monotonic()
        stack.enter_context(process)
        self._processes.append(process)
        self.seconds[process.name] = time.monotonic() - began

    def _load(self, worker: Worker) -> None:
        for name, archive in self._archives.items():
            if worker is self.workers[0] or name not in OF_THE_FIRST:
                _run(worker.image_command("import", str(archive)))
                # Else the kubelet may remove what nobody could bring back.
                labels = ("io.cri-containerd.image=managed", "io.cri-containerd.pinned=pinned")
                _run(worker.image_command("label", name, *labels))

    def _add_addons(self) -> None:
        began = time.monotonic()
        volumes = self._machine.folder / "pod-volumes"
        text = (Path(__file__).parent / "addons.yaml").read_text()
        text = text.replace("@VOLUMES@", str(volumes)).replace("@DNS@", DNS_ADDRESS)
        manifest = self._machine.folder / "addons.yaml"
        manifest.write_text(text)
        self.kubectl("apply", "--filename", str(manifest))
        for name in ADDONS:
            self._wait(lambda name=name: self._available(name), f"the deployment of {name}")  # type: ignore[misc]
        # Until it answers, no namespace ends: nobody knows what may be in it.
        self._wait(self._has_metrics, "the API of metrics")
        self.seconds["add-ons"] = time.monotonic() - began

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        try:
            wait_until(condition, within=120, what=what, unless=self.check_alive)
        except TimeoutError as late:
            pods = self.kubectl("get", "pods,events", "--all-namespaces", "--output=wide")
            raise ServerFailed(f"{late}\n{pods}") from late

    def _available(self, name: str) -> bool:
        path = f"/apis/apps/v1/namespaces/kube-system/deployments/{name}"
        return bool(self.api.get(path).get("status", {}).get("availableReplicas"))

    def _has_metrics(self) -> bool:
        with contextlib.suppress(ApiFailed):
            return "items" in self.api.get(METRICS)
        return False


def _results(futures: list[Future[None]]) -> None:
    for future in futures:
        future.result()


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise ServerFailed(f"{' '.join(command)}: {done.stderr or done.stdout}")
