"""A port of this machine that leads to a pod of the app, whichever is ready.

Each connection asks anew which pods are ready, so it outlives the pods. Kubernetes has no way to a
Service from outside: what `kubectl port-forward service/...` does is to choose a pod, once. It
changes when the API server forwards ports another way.

Source: client-go `tools/portforward`, kubelet `pkg/cri/streaming/portforward/websocket.go`.
"""

import contextlib
import socket
from collections.abc import Callable
from itertools import count
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

from websockets.exceptions import ConnectionClosed

from jac_converge.reconciler.app_pods import app_pods, ready_pods
from jac_converge.reconciler.errors import ClusterError, Transient, Unreachable
from jac_converge.reconciler.kube_cluster import KubeCluster

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

__all__ = ["Forward", "listening"]

HOST: Final = "127.0.0.1"
PORTS: Final = range(8000, 8020)
"""Tried in this order, before any other that is free."""

PROTOCOL: Final = "v4.channel.k8s.io"
DATA, ERROR = 0, 1
"""Channels of the one port that is asked for; the first message on each repeats its number."""

PATIENCE: Final = 15.0
"""s to wait for a pod that is ready, as in the middle of a roll-out."""
LOOK: Final = 0.5
LINGER: Final = 30.0
"""s that an answer may still take to come after the client has said all it wanted to."""


def listening() -> socket.socket:
    """Listen on a port of this machine, for this machine only."""
    for port in (*PORTS, 0):
        with contextlib.suppress(OSError):
            return socket.create_server((HOST, port))
    raise OSError(f"no port of {HOST} is free")


class Forward:
    """Takes connections of a listening socket to the app's pods, in turn.

    Args:
        cluster: the app's.
        port: of the pods.
        stop: ends it.
        say: tells what is wrong with a connection.
    """

    def __init__(
        self, cluster: KubeCluster, port: int, stop: Event, *, say: Callable[[str], None]
    ) -> None:
        self._cluster = cluster
        self._port = port
        self._stop = stop
        self._say = say
        self._turn = count()

    def serve(self, listener: socket.socket) -> None:
        """Take connections until `stop`."""
        listener.settimeout(0.2)
        while not self._stop.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            # A daemon: a connection that is kept open must not hold up the end.
            Thread(target=self._carry, args=(client,), name="forward", daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client:
            try:
                with self._pod() as pod:
                    self._exchange(client, pod)
            except ClusterError as error:
                self._say(str(error))
            except (OSError, ConnectionClosed):
                pass  # one side left

    def _pod(self) -> "ClientConnection":
        """Open a way into a pod that is ready."""
        waited = 0.0
        while True:
            try:
                if pods := ready_pods(app_pods(self._cluster)):
                    name = pods[next(self._turn) % len(pods)]["metadata"]["name"]
                    port = [("ports", str(self._port))]
                    subject = f"Pod/{name} port-forward"
                    return self._cluster.dial(subject, f"pods/{name}/portforward", port, PROTOCOL)
            except Transient:
                if waited >= PATIENCE:
                    raise  # what is wrong, rather than that nobody is there
            if waited >= PATIENCE or self._stop.wait(LOOK):
                raise Unreachable("port-forward", "no pod is ready")
            waited += LOOK

    def _exchange(self, client: socket.socket, pod: "ClientConnection") -> None:
        sending = Thread(target=_send, args=(client, pod), name="forward send", daemon=True)
        sending.start()
        begun: set[int] = set()
        try:
            for message in pod:
                if not isinstance(message, bytes) or not message:
                    continue
                channel, data = message[0], message[1:]
                if channel not in begun:
                    begun.add(channel)
                elif channel == DATA:
                    client.sendall(data)
                elif data:
                    self._say(f"the pod's port: {data.decode(errors='replace').strip()}")
                    return
        finally:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)


def _send(client: socket.socket, pod: "ClientConnection") -> None:
    """Pass on what the client says; the protocol has no word for "that was all"."""
    try:
        while data := client.recv(1 << 16):
            pod.send(bytes((DATA,)) + data)
        # It may wait for an answer still.
        Thread(target=_close_later, args=(pod,), name="forward close", daemon=True).start()
    except (OSError, ConnectionClosed):
        pod.close()


def _close_later(pod: "ClientConnection") -> None:
    Event().wait(LINGER)
    pod.close()
