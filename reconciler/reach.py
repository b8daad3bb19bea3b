"""Where a deployed app answers, in one line for people. Pure.

It changes when the app can be exposed another way.
"""

from collections.abc import Mapping

from jac_converge.config.load import App
from jac_converge.reconciler.objects import Object, ObjectKey

__all__ = ["reach"]


def reach(app: App, live: Mapping[ObjectKey, Object]) -> str:
    """Tell where the app answers, or what to do so that it does.

    Args:
        app: its settings.
        live: what the cluster has; addresses are assigned there.
    """
    exposure = app.settings.kubernetes.exposure
    page = "/docs" if app.settings.server.docs_enabled else ""
    match exposure.kind:
        case "nodeport":
            service = live.get(ObjectKey("Service", app.name)) or {}
            ports = (service.get("spec") or {}).get("ports") or [{}]
            return f"http://NODE:{ports[0].get('nodePort')}{page}  # NODE: address of any node"
        case "loadbalancer":
            address = _address(live.get(ObjectKey("Service", app.name)))
            return f"http://{address or 'BALANCER'}{page}"
        case "ingress":
            address = exposure.host or _address(live.get(ObjectKey("Ingress", app.name)))
            scheme = "https" if exposure.tls_secret else "http"
            note = "" if address else "  # INGRESS: address of the ingress controller"
            return f"{scheme}://{address or 'INGRESS'}{page}{note}"
        case "gateway":
            return (
                f"http://{exposure.host or 'GATEWAY'}{page}"
                f"  # or https, as Gateway {exposure.gateway} listens"
            )
        case "none":
            return f"jac scale {app.file.name} --open"


def _address(live: Object | None) -> str | None:
    """What the cluster assigned: a host name, or else an IP address."""
    status = (live or {}).get("status") or {}
    for found in (status.get("loadBalancer") or {}).get("ingress") or ():
        if address := found.get("hostname") or found.get("ip"):
            return f"[{address}]" if ":" in address else str(address)
    return None
