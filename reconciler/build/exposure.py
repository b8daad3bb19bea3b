"""How the app is reached from outside: its Service, and an Ingress or HTTPRoute before it. Pure.

No controller comes along: an Ingress is served by the one that the cluster has, an HTTPRoute by the
Gateway that it names. It changes when the app is to be exposed another way.

Source: Kubernetes documentation, "Ingress"; Gateway API, HTTPRoute v1.
"""

from typing import Any

from jac_converge.config.load import App
from jac_converge.reconciler.build.manifest import manifest, name_of
from jac_converge.reconciler.build.network import service
from jac_converge.reconciler.objects import Object

__all__ = ["exposure_objects"]

_PORT = 80
_PORT_NAME = "http"
_SERVICE_TYPES = {"nodeport": "NodePort", "loadbalancer": "LoadBalancer"}


def exposure_objects(app: App) -> tuple[Object, ...]:
    """The app's Service, and what leads to it."""
    match app.settings.kubernetes.exposure.kind:
        case "ingress":
            return (_service(app), _ingress(app))
        case "gateway":
            return (_service(app), _route(app))
        case _:
            return (_service(app),)


def _service(app: App) -> Object:
    exposure = app.settings.kubernetes.exposure
    described = service(app, "app", port_name=_PORT_NAME, port=_PORT)
    if kind := _SERVICE_TYPES.get(exposure.kind):
        described["spec"]["type"] = kind
        _annotate(described, exposure.annotations)
    if exposure.node_port is not None:
        described["spec"]["ports"][0]["nodePort"] = exposure.node_port
    return described


def _ingress(app: App) -> Object:
    exposure = app.settings.kubernetes.exposure
    backend = {"service": {"name": name_of(app, "app"), "port": {"name": _PORT_NAME}}}
    rule: dict[str, Any] = {
        "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}
    }
    spec: dict[str, Any] = {"rules": [rule]}
    if exposure.host is not None:
        rule["host"] = exposure.host
    if exposure.class_name is not None:
        spec["ingressClassName"] = exposure.class_name
    if exposure.tls_secret is not None:
        spec["tls"] = [{"hosts": [exposure.host], "secretName": exposure.tls_secret}]
    return _annotate(manifest("Ingress", app, "app", spec=spec), exposure.annotations)


def _route(app: App) -> Object:
    exposure = app.settings.kubernetes.exposure
    gateway = {"name": exposure.gateway}
    if exposure.gateway_namespace is not None:
        gateway["namespace"] = exposure.gateway_namespace
    spec: dict[str, Any] = {
        "parentRefs": [gateway],
        "rules": [{"backendRefs": [{"name": name_of(app, "app"), "port": _PORT}]}],
    }
    if exposure.host is not None:
        spec["hostnames"] = [exposure.host]
    return _annotate(manifest("HTTPRoute", app, "app", spec=spec), exposure.annotations)


def _annotate(described: Object, annotations: dict[str, str]) -> Object:
    # None rather than an empty table: the server does not store that.
    if annotations:
        described["metadata"]["annotations"] = dict(sorted(annotations.items()))
    return described
