"""The control plane of a node: like that of the other tests, but real pods have to reach it.

So it listens on an address of the machine that it runs in, knows nodes by their certificates, and
serves what metrics-server adds. It changes with what real nodes and pods need of a control plane.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.node.machine import ADDRESS, Machine
from tests.servers import build
from tests.servers.api import Api, ApiFailed
from tests.servers.certificates import Authority
from tests.servers.control_commands import Place, write_kubeconfig
from tests.servers.process import Process

__all__ = ["POD_NETWORK", "SERVICE_NETWORK", "Control"]

POD_NETWORK, SERVICE_NETWORK = "10.244.0.0/16", "10.96.0.0/24"
API_ADDRESS = "10.96.0.1"
PORT, ETCD, ETCD_PEER = 6443, 2379, 2380
"""Nobody else's: the machine's network is its own."""

FRONT = "front-proxy-client"


class Control:
    """etcd, API server, controllers and scheduler in a machine."""

    def __init__(self, machine: Machine) -> None:
        """Describe it.

        Raises:
            ServerMissing: a program is not on this machine.
        """
        names = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
        self._commands = {name: build.component(name) for name in names}
        self._machine = machine
        self.url = f"https://{ADDRESS}:{PORT}"

    def prepare(self) -> None:
        """Make certificates; the machine runs."""
        self.folder = self._machine.folder / "control"
        self.folder.mkdir()
        self.authority = Authority(self.folder)
        self._place = Place(
            host=ADDRESS,
            port=PORT,
            etcd_port=ETCD,
            peer_port=ETCD_PEER,
            folder=self.folder,
            authority=self.authority,
        )
        admin = self.authority.issue("admin", "admin", groups=["system:masters"])
        self.api = Api(self.url, ca=self.authority.certificate, certificate=admin[0], key=admin[1])
        self.kubeconfig = self.kubeconfig_for("admin", admin)

    def processes(self) -> Iterator[Process]:
        """Describe all of it, in the order of start."""
        yield self._etcd()
        yield self._apiserver()
        yield self._controllers()
        pair = self.authority.issue("scheduler", "system:kube-scheduler")
        yield self._machine.process(
            "kube-scheduler",
            [
                *self._commands["kube-scheduler"],
                f"--kubeconfig={self.kubeconfig_for('scheduler', pair)}",
                "--secure-port=0",
                "--leader-elect=false",
            ],
            ready=lambda: True,
        )

    def kubeconfig_for(self, name: str, pair: tuple[Path, Path]) -> Path:
        """Write a kubeconfig; as that of MicroK8s, whose tool loads images."""
        ca = self.authority.certificate
        names = {"context": "microk8s", "cluster": "microk8s-cluster"}
        return write_kubeconfig(self.folder / f"{name}.kubeconfig", self.url, ca, pair, **names)

    def _etcd(self) -> Process:
        command = [*self._commands["etcd"], *self._place.etcd()]
        return self._machine.process("etcd", command, ready=self._place.etcd_listens())

    def _apiserver(self) -> Process:
        names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
        issuer = "https://kubernetes.default.svc.cluster.local"
        kubelet, kubelet_key = self.authority.issue(
            "kubelet-client", "kube-apiserver-kubelet-client", groups=["system:masters"]
        )
        command = [
            *self._commands["kube-apiserver"],
            *self._place.apiserver(SERVICE_NETWORK, [API_ADDRESS, *names], issuer),
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--kubelet-client-certificate={kubelet}",
            f"--kubelet-client-key={kubelet_key}",
            f"--kubelet-certificate-authority={self.authority.certificate}",
            "--kubelet-preferred-address-types=InternalIP",
            *self._front(),
        ]
        return self._machine.process("kube-apiserver", command, ready=self._answers_ready)

    def _front(self) -> Iterator[str]:
        """What the API server passes on to metrics-server, and how that knows it by."""
        certificate, key = self.authority.issue("front", FRONT)
        yield f"--requestheader-client-ca-file={self.authority.certificate}"
        yield f"--requestheader-allowed-names={FRONT}"
        yield "--requestheader-extra-headers-prefix=X-Remote-Extra-"
        yield "--requestheader-group-headers=X-Remote-Group"
        yield "--requestheader-username-headers=X-Remote-User"
        yield f"--proxy-client-cert-file={certificate}"
        yield f"--proxy-client-key-file={key}"

    def _controllers(self) -> Process:
        pair = self.authority.issue("controllers", "system:kube-controller-manager")
        command = [
            *self._commands["kube-controller-manager"],
            f"--kubeconfig={self.kubeconfig_for('controllers', pair)}",
            f"--service-account-private-key-file={self._place.accounts}",
            f"--root-ca-file={self.authority.certificate}",
            "--use-service-account-credentials",
            "--secure-port=0",
            "--leader-elect=false",
            f"--flex-volume-plugin-dir={self.folder}",
            # An autoscaler that looks often, for tests of minutes instead of quarters of an hour.
            "--horizontal-pod-autoscaler-sync-period=5s",
            "--horizontal-pod-autoscaler-initial-readiness-delay=5s",
            "--horizontal-pod-autoscaler-cpu-initialization-period=15s",
            "--pvclaimbinder-sync-period=5s",
        ]
        return self._machine.process("kube-controller-manager", command, ready=lambda: True)

    def _answers_ready(self) -> bool:
        with contextlib.suppress(ApiFailed):
            if self.api.text("/readyz") == "ok":
                self.api.get("/api/v1/namespaces/kube-system")
                return True
        return False
