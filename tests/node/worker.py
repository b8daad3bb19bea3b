"""One node: containerd and the kubelet, which run real pods.

Both are told nothing that a cluster of somebody else would not be told, but for where things are,
and what a machine without systemd, and without the right to lower anybody's oom score, needs. It
changes with what a node needs of the machine.
"""

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import Any

from tests.node.control import POD_NETWORK, Control
from tests.node.machine import CGROUP, Machine
from tests.servers.api import ApiFailed
from tests.servers.build_node import node_program
from tests.servers.process import Process

__all__ = ["DNS_ADDRESS", "Worker", "proxy"]

DNS_ADDRESS = "10.96.0.10"
PAUSE = "localhost/pause:1"


class Worker:
    """A node of a number, in a machine."""

    def __init__(self, number: int, address: str) -> None:
        """Describe it; the number makes names, ports and a network of its own.

        Raises:
            ServerMissing: a program is not on this machine.
        """
        self.name, self.address = f"node{number}", address
        self._number = number
        self._kubelet = node_program("node")
        self._containerd = node_program("containerd")
        self.ctr = node_program("containerd/ctr")
        self.socket = Path()

    def prepare(self, machine: Machine) -> None:
        """Write its configuration; the machine runs."""
        self._machine = machine
        self.folder = machine.folder / self.name
        for name in ("cni", "volumes", "logs"):
            (self.folder / name).mkdir(parents=True)
        self.socket = self.folder / "containerd.sock"
        self._root = machine.make_cgroup(self.name)
        (self.folder / "containerd.toml").write_text(self._containerd_toml())
        (self.folder / "cni" / "10-pods.conflist").write_text(json.dumps(self._pod_network()))
        (self.folder / "resolv.conf").touch()  # pods ask the cluster, and it asks nobody

    def containerd(self) -> Process:
        """Describe containerd; it finds its shim on PATH."""
        path = f"PATH={self._containerd.parent}:{os.environ['PATH']}"
        configuration = f"--config={self.folder / 'containerd.toml'}"

        def ready() -> bool:
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
                probe.connect(str(self.socket))
                return True

        command = ["env", path, str(self._containerd), configuration]
        return self._machine.process(f"{self.name}-containerd", command, ready=ready)

    def kubelet(self, control: Control) -> Process:
        """Describe the kubelet; it is ready when the cluster has a node of its name."""
        pair = control.authority.issue(
            f"{self.name}-kubelet",
            f"system:node:{self.name}",
            groups=["system:nodes"],
            addresses=[self.address, self.name],
        )
        configuration = self.folder / "kubelet.json"
        configuration.write_text(json.dumps(self._kubelet_configuration(control, pair)))
        command = [
            *(str(self._kubelet), "kubelet"),
            f"--config={configuration}",
            f"--kubeconfig={control.kubeconfig_for(f'{self.name}-kubelet', pair)}",
            f"--root-dir={self.folder / 'kubelet'}",
            f"--cert-dir={self.folder / 'certificates'}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.address}",
            "--housekeeping-interval=5s",
        ]

        def ready() -> bool:
            with contextlib.suppress(ApiFailed):
                conditions = control.api.get(f"/api/v1/nodes/{self.name}")["status"]["conditions"]
                return any(it["type"] == "Ready" and it["status"] == "True" for it in conditions)
            return False

        return self._machine.process(f"{self.name}-kubelet", command, ready=ready)

    def image_command(self, *arguments: str) -> list[str]:
        """The command line of containerd's own tool, for the images of pods."""
        where = ["--address", str(self.socket), "--namespace", "k8s.io"]
        return [str(self.ctr), *where, "images", *arguments]

    def _pod_network(self) -> dict[str, Any]:
        network = f"10.244.{self._number}.0/24"
        addresses = {
            "type": "host-local",
            "dataDir": str(self.folder / "addresses"),
            "ranges": [[{"subnet": network}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        bridge = {
            "type": "bridge",
            "bridge": f"pods{self._number}",
            "isGateway": True,
            "hairpinMode": True,
            "ipMasq": False,
            "ipam": addresses,
        }
        return {"cniVersion": "1.0.0", "name": self.name, "plugins": [bridge]}

    def _containerd_toml(self) -> str:
        runtime = "plugins.'io.containerd.cri.v1.runtime'"
        images = "plugins.'io.containerd.cri.v1.images'"
        needless = (
            *("io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp"),
            *("io.containerd.internal.v1.tracing", "io.containerd.snapshotter.v1.erofs"),
            *("io.containerd.differ.v1.erofs", "io.containerd.snapshotter.v1.blockfile"),
        )
        lines = (
            "version = 3",
            f"root = '{self.folder}/containerd'",
            f"state = '{self.folder}/containerd-state'",
            "imports = []",
            f"disabled_plugins = {json.dumps(needless)}",
            "[grpc]",
            f"address = '{self.socket}'",
            "[plugins.'io.containerd.internal.v1.opt']",
            f"path = '{self.folder}/opt'",
            f"[{images}]",
            "snapshotter = 'overlayfs'",
            f"[{images}.pinned_images]",
            f"sandbox = '{PAUSE}'",
            f"[{runtime}]",
            # Else every sandbox ends at its start where nobody may lower an oom score.
            "restrict_oom_score_adj = true",
            "cdi_spec_dirs = []",
            f"[{runtime}.cni]",
            "bin_dirs = ['/usr/lib/cni']",
            f"conf_dir = '{self.folder}/cni'",
            f"[{runtime}.containerd]",
            "default_runtime_name = 'runc'",
            f"[{runtime}.containerd.runtimes.runc]",
            "runtime_type = 'io.containerd.runc.v2'",
            f"[{runtime}.containerd.runtimes.runc.options]",
            "BinaryName = '/usr/sbin/runc'",
            f"Root = '{self.folder}/runc'",
            "SystemdCgroup = false",
            f"ShimCgroup = '/{CGROUP}/{self.name}'",
        )
        return "\n".join(lines) + "\n"

    def _kubelet_configuration(self, control: Control, pair: tuple[Path, Path]) -> dict[str, Any]:
        ca = str(control.authority.certificate)
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "failCgroupV1": False,
            "failSwapOn": False,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": self._root,
            "address": self.address,
            "port": 10250 + self._number,
            "healthzPort": 0,
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "clusterDNS": [DNS_ADDRESS],
            "clusterDomain": "cluster.local",
            "resolvConf": str(self.folder / "resolv.conf"),
            "podLogsDir": str(self.folder / "logs"),
            "volumePluginDir": str(self.folder / "volumes"),
            "tlsCertFile": str(pair[0]),
            "tlsPrivateKeyFile": str(pair[1]),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": ca},
            },
            "authorization": {"mode": "Webhook"},
            # kube-proxy makes what it needs itself.
            "makeIPTablesUtilChains": False,
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "imagefs.available": "1%",
                "nodefs.inodesFree": "1%",
            },
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
            "maxPods": 60,
            "oomScoreAdj": 0,
        }


def proxy(machine: Machine, control: Control, worker: Worker) -> Process:
    """Describe kube-proxy: one for all nodes, for they share the machine's network."""
    pair = control.authority.issue("proxy", "system:kube-proxy")
    configuration = machine.folder / "proxy.json"
    content = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(control.kubeconfig_for("proxy", pair))},
        "hostnameOverride": worker.name,
        "clusterCIDR": POD_NETWORK,
        "bindAddress": worker.address,
        "oomScoreAdj": 0,
        "nodePortAddresses": [f"{worker.address}/32"],
        # Zeros: what the kernel has stays.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }
    configuration.write_text(json.dumps(content))
    command = [str(node_program("node")), "kube-proxy", f"--config={configuration}"]
    return machine.process("kube-proxy", command, ready=lambda: True)
