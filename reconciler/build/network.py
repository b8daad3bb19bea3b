"""How pods are reached: Services. Pure. It changes when the app is to be reached another way."""

from typing import Any

from jac_converge.config.load import App
from jac_converge.reconciler.build.manifest import manifest, selector_labels
from jac_converge.reconciler.objects import Object

__all__ = ["service"]


def service(
    app: App, component: str, *, port_name: str, port: int, headless: bool = False
) -> Object:
    """A Service inside the cluster, with one named port.

    Args:
        app: whose it is.
        component: whose pods it finds.
        port_name: name of the container's port, and of its own.
        port: TCP, as clients see it.
        headless: resolve to the pod itself, instead of to an address that stands for it.
    """
    spec: dict[str, Any] = {
        # Said although it is the default: what is ours leads where somebody changes it.
        "type": "ClusterIP",
        "selector": selector_labels(app, component),
        # Protocol is half of the list's merge key, so it is said although it is the default.
        "ports": [{"name": port_name, "port": port, "protocol": "TCP", "targetPort": port_name}],
    }
    if headless:
        spec["clusterIP"] = "None"
    return manifest("Service", app, component, spec=spec)
