"""The command lines of etcd and kube-apiserver, and a kubeconfig for them.

Wherever a control plane of the tests listens, it is the same one: each part is let in by a
certificate of its own authority. It changes with what every control plane of ours is told.
"""

import json
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers.certificates import Authority, write_key

__all__ = ["Place", "write_kubeconfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a control plane listens, and keeps its files."""

    host: str
    port: int
    etcd_port: int
    peer_port: int
    folder: Path
    authority: Authority

    @property
    def url(self) -> str:
        """Of the API server."""
        return f"https://{self.host}:{self.port}"

    @property
    def accounts(self) -> Path:
        """The key that tokens of service accounts are signed with."""
        key = self.folder / "service-accounts.key"
        return key if key.exists() else write_key(key)

    def etcd(self) -> list[str]:
        """Arguments of etcd."""
        ca = self.authority.certificate
        certificate, key = self.authority.issue("etcd", "etcd", addresses=[self.host])
        client = f"https://{self.host}:{self.etcd_port}"
        peer = f"https://{self.host}:{self.peer_port}"
        return [
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            *("--client-cert-auth", f"--trusted-ca-file={ca}"),
            *(f"--cert-file={certificate}", f"--key-file={key}"),
            *("--peer-client-cert-auth", f"--peer-trusted-ca-file={ca}"),
            *(f"--peer-cert-file={certificate}", f"--peer-key-file={key}"),
            "--unsafe-no-fsync",  # a test's data may die with the machine
            "--log-level=warn",
        ]

    def etcd_listens(self) -> Callable[[], bool]:
        """A question for `Process`."""

        def ready() -> bool:
            with socket.create_connection((self.host, self.etcd_port), timeout=1):
                return True

        return ready

    def apiserver(self, services: str, names: Sequence[str], issuer: str) -> list[str]:
        """Arguments of the API server that all have.

        Args:
            services: network of the Services.
            names: host names and addresses that clients know it by, beside its own.
            issuer: of the tokens of service accounts.
        """
        ca = self.authority.certificate
        addresses = [self.host, "localhost", *names]
        server, server_key = self.authority.issue(
            "apiserver", "kube-apiserver", addresses=addresses
        )
        client, client_key = self.authority.issue("etcd-client", "kube-apiserver")
        return [
            f"--etcd-servers=https://{self.host}:{self.etcd_port}",
            f"--etcd-cafile={ca}",
            f"--etcd-certfile={client}",
            f"--etcd-keyfile={client_key}",
            f"--bind-address={self.host}",
            f"--advertise-address={self.host}",
            f"--secure-port={self.port}",
            f"--tls-cert-file={server}",
            f"--tls-private-key-file={server_key}",
            f"--client-ca-file={ca}",
            f"--service-account-key-file={self.accounts}",
            f"--service-account-signing-key-file={self.accounts}",
            f"--service-account-issuer={issuer}",
            f"--service-cluster-ip-range={services}",
            "--allow-privileged",
        ]


def write_kubeconfig(
    path: Path, server: str, ca: Path, pair: tuple[Path, Path], *, context: str, cluster: str
) -> Path:
    """Write one with a client certificate; returns its path.

    Args:
        path: of the file, whose stem names the user.
        server: URL.
        ca: certificate of the server's authority.
        pair: the user's certificate and key.
        context: its name.
        cluster: what the context calls its cluster.
    """
    user = {"client-certificate": str(pair[0]), "client-key": str(pair[1])}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": cluster, "cluster": {"server": server, "certificate-authority": str(ca)}}
        ],
        "users": [{"name": path.stem, "user": user}],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": path.stem}}],
        "current-context": context,
    }
    path.write_text(json.dumps(content))  # JSON is YAML
    return path
