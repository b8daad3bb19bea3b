"""`jac scale --open`: the app on a port of this machine."""

import json
import os
import sys
import webbrowser
from threading import Event
from typing import Any

from jac_converge.config.load import App
from jac_converge.reconciler.app_pods import app_pods, none_ready, ready_pods
from jac_converge.reconciler.commands.running import stop_on_signal
from jac_converge.reconciler.console import CONVERGED
from jac_converge.reconciler.kube_cluster import KubeCluster
from jac_converge.reconciler.port_forward import Forward, listening

__all__ = ["open_app"]


def open_app(app: App, cluster: KubeCluster, flags: dict[str, Any]) -> int:
    """Forward until a signal comes; returns the exit code.

    Raises:
        ClusterError: no pod is ready.
    """
    pods = app_pods(cluster)
    if not ready_pods(pods):
        raise none_ready(app, pods)
    stop = Event()
    with listening() as listener:
        page = "/docs" if app.settings.server.docs_enabled else "/"
        url = f"http://127.0.0.1:{listener.getsockname()[1]}{page}"
        if flags["json"]:
            print(json.dumps({"event": "open", "app": app.name, "url": url}), flush=True)  # noqa: T201
        else:
            print(f"{app.name}: {url}  (Ctrl-C ends it)", flush=True)  # noqa: T201
            if sys.stdout.isatty() and _has_windows():
                webbrowser.open(url)
        stop_on_signal(stop.set)
        Forward(cluster, app.settings.kubernetes.container_port, stop, say=_say).serve(listener)
    return CONVERGED


def _has_windows() -> bool:
    """Whether a browser would get one; one of text would take the terminal."""
    if sys.platform in {"darwin", "win32"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _say(message: str) -> None:
    sys.stderr.write(f"jac scale: {message}\n")
    sys.stderr.flush()
