"""A Kubernetes control plane of one's own: etcd, kube-apiserver and, on demand, the controllers.

No kubelet runs: Pods do not, unless `pod_marker.PodMarker` says so. Ready in 2 to 3 s, 0.5 GB.
"""

import contextlib
import json
import secrets
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.servers import build
from tests.servers.api import Api, ApiFailed
from tests.servers.certificates import Authority
from tests.servers.control_commands import Place, write_kubeconfig
from tests.servers.process import Process, free_port, wait_until

__all__ = ["ControlPlane", "Request"]

HOST = "127.0.0.1"
AUDIT_LOG = "audit.log"
SERVICE_RANGE = "10.96.0.0/16"
# What a kubelet would have to feed: without heartbeats these would call a node dead after 40 s,
# and evict what "runs" on it.
NOT_WITHOUT_KUBELET = ("node-lifecycle-controller", "taint-eviction-controller")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One line of the audit log."""

    verb: str
    """As RBAC has it: list, watch, patch, ..."""
    resource: str
    """Plural."""
    path: str
    """With the query."""


class ControlPlane:
    """A control plane as a context manager.

    `etcd`, `apiserver` and `controllers` are processes to look at or to hurt.
    """

    def __init__(self, *, controllers: bool = False, audit: bool = False) -> None:
        """Describe it; nothing runs before `with`.

        Args:
            controllers: run kube-controller-manager and kube-scheduler as well.
            audit: keep a log of every request, for `requests`.

        Raises:
            ServerMissing: a program is not on this machine.
        """
        self._commands = {name: build.component(name) for name in ("etcd", "kube-apiserver")}
        if controllers:
            for name in ("kube-controller-manager", "kube-scheduler"):
                self._commands[name] = build.component(name)
        self._etcd_port, self._peer_port, self._port = free_port(), free_port(), free_port()
        self.url = f"https://{HOST}:{self._port}"
        self._audit = audit
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Start everything and wait until it serves.

        Raises:
            ServerFailed: a process ended or was not ready in time.
        """
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="control-plane-"))
            self._directory = Path(directory)
            self._authority = Authority(self._directory)
            self._place = Place(
                host=HOST,
                port=self._port,
                etcd_port=self._etcd_port,
                peer_port=self._peer_port,
                folder=self._directory,
                authority=self._authority,
            )
            self.ca = self._authority.certificate
            admin = self._authority.issue("admin", "admin", groups=["system:masters"])
            self.api = Api(self.url, ca=self.ca, certificate=admin[0], key=admin[1])
            self.kubeconfig = self._write_kubeconfig("admin", admin, self.url)
            self.etcd = stack.enter_context(self._make_etcd())
            self.apiserver = self._make_apiserver()
            stack.callback(self.apiserver.terminate)
            self.start_apiserver()
            self.controllers = tuple(
                stack.enter_context(self._make_controller(name))
                for name in self._commands
                if name in {"kube-controller-manager", "kube-scheduler"}
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every process and remove every file."""
        self._stack.close()

    def kubeconfig_for(
        self, user: str, *, groups: Sequence[str] = (), url: str | None = None
    ) -> Path:
        """Write a kubeconfig with a client certificate for a user.

        Args:
            user: any name; RBAC gives it nothing until a binding says so.
            groups: its groups; system:masters may do everything.
            url: another than ours, such as that of a proxy on 127.0.0.1.
        """
        pair = self._issue_user(user, groups)
        return self._write_kubeconfig(pair[0].stem, pair, url or self.url)

    def api_for(self, user: str, *, groups: Sequence[str] = (), url: str | None = None) -> Api:
        """Return a client that is another user; arguments as of `kubeconfig_for`."""
        certificate, key = self._issue_user(user, groups)
        return Api(url or self.url, ca=self.ca, certificate=certificate, key=key)

    def new_namespace(self) -> str:
        """Create a namespace with a name nobody else has, and return the name."""
        name = f"test-{secrets.token_hex(4)}"
        self.api.post(
            "/api/v1/namespaces",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        )
        return name

    def kill_apiserver(self) -> None:
        """End the API server as a crash would."""
        self.apiserver.kill9()

    def start_apiserver(self) -> None:
        """Start the API server, on the same port and with the same data, and wait for it."""
        self.apiserver.start()
        # Bootstrap goes on after /readyz: a first object needs its namespace.
        wait_until(
            self._has_default_namespace,
            within=30,
            what="namespace default",
            unless=self.apiserver.check_alive,
        )

    def replace_cluster(self) -> None:
        """Let an empty cluster answer under the same URL and certificate, as after a re-install."""
        self.kill_apiserver()
        # From the first key on, to the last one.
        self._ask_etcd("/v3/kv/deleterange", {"key": "AA==", "range_end": "AA=="})
        self.start_apiserver()

    def compact(self) -> None:
        """Make every resource version there is now too old to watch or to continue a list from.

        Compacts etcd and restarts the API server, for that remembers the latest events itself and
        would still serve them. So every open watch breaks, and the client that comes back with
        its old version gets a 410.
        """
        # A revision of its own, so that even the newest object's version is behind the horizon.
        written = self._ask_etcd("/v3/kv/put", {"key": "Y29tcGFjdGVk", "value": ""})
        revision = written["header"]["revision"]
        self.kill_apiserver()
        self._ask_etcd("/v3/kv/compaction", {"revision": revision, "physical": True})
        self.start_apiserver()

    def _ask_etcd(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        certificate, key = self._authority.issue(f"etcd-{secrets.token_hex(4)}", "test")
        url = f"https://{HOST}:{self._etcd_port}"
        return Api(url, ca=self.ca, certificate=certificate, key=key).post(path, body)

    def requests(self, user_agent: str, *, stage: str = "RequestReceived") -> list[Request]:
        """Return what a client has sent so far, in the order of arrival; needs `audit`.

        Args:
            user_agent: how the client calls itself, whole.
            stage: RequestReceived: each one once, also a watch that is still open.
        """
        lines = (self._directory / AUDIT_LOG).read_text().splitlines(keepends=True)
        # The last line may be half written.
        events = [json.loads(line) for line in lines if line.endswith("\n")]
        return [
            Request(
                verb=event["verb"],
                resource=event.get("objectRef", {}).get("resource", ""),
                path=event["requestURI"],
            )
            for event in events
            if event["stage"] == stage and event.get("userAgent") == user_agent
        ]

    def _issue_user(self, user: str, groups: Sequence[str]) -> tuple[Path, Path]:
        return self._authority.issue(f"user-{secrets.token_hex(4)}", user, groups=groups)

    def _has_default_namespace(self) -> bool:
        with contextlib.suppress(ApiFailed):
            self.api.get("/api/v1/namespaces/default")
            return True
        return False

    def _answers_ready(self) -> bool:
        with contextlib.suppress(ApiFailed):
            return self.api.text("/readyz") == "ok"
        return False

    def _write_kubeconfig(self, name: str, pair: tuple[Path, Path], server: str) -> Path:
        path = self._directory / f"{name}.kubeconfig"
        return write_kubeconfig(path, server, self.ca, pair, context="test", cluster="test")

    def _make_etcd(self) -> Process:
        command = [*self._commands["etcd"], *self._place.etcd()]
        ready = self._place.etcd_listens()
        return Process("etcd", command, log=self._directory / "etcd.log", ready=ready, grace=0)

    def _make_apiserver(self) -> Process:
        issuer = "https://kubernetes.default.svc"
        command = [
            *self._commands["kube-apiserver"],
            *self._place.apiserver(SERVICE_RANGE, ["kubernetes.default.svc"], issuer),
            "--authorization-mode=RBAC",
            "--endpoint-reconciler-type=none",  # it refuses a loopback address
            "--profiling=false",
        ]
        if self._audit:
            policy = self._directory / "audit-policy.json"
            rule = {"level": "Metadata"}
            kind = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy"}
            policy.write_text(json.dumps({**kind, "rules": [rule]}))
            command += [
                f"--audit-policy-file={policy}",
                f"--audit-log-path={self._directory / AUDIT_LOG}",
                "--audit-log-mode=blocking",  # a request that was answered is in the log
            ]
        log = self._directory / "kube-apiserver.log"
        return Process(
            "kube-apiserver", command, log=log, ready=self._answers_ready, ready_within=60, grace=0
        )

    def _make_controller(self, name: str) -> Process:
        pair = self._authority.issue(name, f"system:{name}")
        health = free_port()
        command = [
            *self._commands[name],
            f"--kubeconfig={self._write_kubeconfig(name, pair, self.url)}",
            f"--bind-address={HOST}",
            f"--secure-port={health}",
            f"--tls-cert-file={pair[0]}",
            f"--tls-private-key-file={pair[1]}",
            "--leader-elect=false",
        ]
        if name == "kube-controller-manager":
            command += [
                f"--controllers=*,{','.join(f'-{c}' for c in NOT_WITHOUT_KUBELET)}",
                f"--service-account-private-key-file={self._place.accounts}",
                f"--root-ca-file={self.ca}",
                f"--service-cluster-ip-range={SERVICE_RANGE}",
                "--use-service-account-credentials",
                # Else it makes its default directory, below /usr/libexec.
                f"--flex-volume-plugin-dir={self._directory}",
            ]

        def ready() -> bool:
            with socket.create_connection((HOST, health), timeout=1):
                return True

        return Process(name, command, log=self._directory / f"{name}.log", ready=ready, grace=0)
