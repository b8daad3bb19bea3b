"""`jac scale --shell`: a shell in a pod of the app.

It changes when the API server carries terminals another way.

Source: apimachinery `pkg/util/remotecommand` (the channels), kubectl `cmd/exec`.
"""

import contextlib
import json
import os
import sys
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from jac_converge.config.load import App, ConfigError
from jac_converge.reconciler.app_pods import CONTAINER, app_pods, none_ready, ready_pods
from jac_converge.reconciler.console import CONVERGED, FAILED, complain, usage
from jac_converge.reconciler.kube_cluster import KubeCluster
from jac_converge.reconciler.objects import Object
from jac_converge.reconciler.terminal import raw_keys

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

__all__ = ["ending", "open_shell"]

PROTOCOL: Final = "v4.channel.k8s.io"
STDIN, STDOUT, STDERR, STATUS, RESIZE = range(5)
COMMAND: Final = ("/bin/sh", "-c", "command -v bash >/dev/null && exec bash; exec sh")


def open_shell(app: App, cluster: KubeCluster, flags: dict[str, Any]) -> int:
    """Run a shell until it ends; returns the exit code.

    Raises:
        ConfigError: there is no terminal.
        ClusterError: no pod is ready, or the server refuses.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        message = "--shell is for a terminal, and here is none; for a script: kubectl exec"
        raise ConfigError(usage(message))
    pods = app_pods(cluster)
    ready = ready_pods(pods)
    if not ready:
        raise none_ready(app, pods)
    name = ready[-1]["metadata"]["name"]
    sys.stderr.write(f"shell in pod {name}; exit or Ctrl-D ends it\n")
    query = [("container", CONTAINER), ("stdin", "true"), ("stdout", "true"), ("tty", "true")]
    query += [("command", word) for word in COMMAND]
    with cluster.dial(f"Pod/{name} exec", f"pods/{name}/exec", query, PROTOCOL) as pod:
        trouble = _Session(pod).run()
    return complain(f"shell in pod {name}: {trouble}", FAILED, flags) if trouble else CONVERGED


class _Session:
    """Keys go in, what the shell writes comes out."""

    def __init__(self, pod: "ClientConnection") -> None:
        self._pod = pod
        self._trouble = "the connection broke"
        self._size = (0, 0)

    def run(self) -> str:
        """Run until the shell ends; returns what went wrong, or nothing."""
        output = Thread(target=self._show, name="shell output")
        with raw_keys() as keys:
            output.start()
            while output.is_alive():
                self._tell_size()
                typed = keys()
                if typed is None:
                    self._pod.close()
                    break
                if typed and not self._sent(STDIN, typed):
                    break
        output.join()
        return self._trouble

    def _sent(self, channel: int, data: bytes) -> bool:
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

        try:
            self._pod.send(bytes((channel,)) + data)
        except ConnectionClosed:
            return False
        return True

    def _tell_size(self) -> None:
        size = os.get_terminal_size()
        if size != self._size:
            self._size = size
            told = {"Width": size.columns, "Height": size.lines}
            self._sent(RESIZE, json.dumps(told).encode())

    def _show(self) -> None:
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

        with contextlib.suppress(ConnectionClosed):  # told, unless the shell had ended
            for message in self._pod:
                if isinstance(message, bytes) and message:
                    self._take(message[0], message[1:])

    def _take(self, channel: int, data: bytes) -> None:
        if channel in {STDOUT, STDERR}:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        elif channel == STATUS:
            self._trouble = ending(json.loads(data))


def ending(status: Object) -> str:
    """Say what went wrong; empty where the shell ended, whatever its last command did.

    >>> ending({"status": "Success"})
    ''
    """
    if status.get("status") == "Success" or status.get("reason") == "NonZeroExitCode":
        return ""
    message = str(status.get("message", "it could not be started"))
    if "no such file" in message or "executable file not found" in message:
        return "its image has no /bin/sh"
    return message
