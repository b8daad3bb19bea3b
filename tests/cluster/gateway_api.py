"""The part of the Gateway API's HTTPRoute that we write, as a CRD: its names, types and defaults.

Source: Gateway API v1.2, config/crd/standard/gateway.networking.k8s.io_httproutes.yaml.
"""

from typing import Any

from tests.servers.api import Api

__all__ = ["install"]

GROUP = "gateway.networking.k8s.io"
_TEXT = {"type": "string"}
_GENERATION = {"type": "integer", "format": "int64"}
_REFERENCE = {
    "group": {**_TEXT, "default": GROUP},
    "kind": {**_TEXT, "default": "Gateway"},
    "name": _TEXT,
    "namespace": _TEXT,
}
_BACKEND = {
    "group": {**_TEXT, "default": ""},
    "kind": {**_TEXT, "default": "Service"},
    "name": _TEXT,
    "port": {"type": "integer", "format": "int32"},
    "weight": {"type": "integer", "format": "int32", "default": 1},
}
_MATCHES = [{"path": {"type": "PathPrefix", "value": "/"}}]


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required) or ["name"]}


def _list(items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, "x-kubernetes-list-type": "atomic", **more}


def _rule() -> dict[str, Any]:
    path = {"type": "object", "properties": {"type": _TEXT, "value": _TEXT}}
    match = {"type": "object", "properties": {"path": path}}
    properties = {
        "backendRefs": _list(_object(_BACKEND)),
        "matches": _list(match, default=_MATCHES),
    }
    return {"type": "object", "properties": properties}


def _schema() -> dict[str, Any]:
    spec = {
        "parentRefs": _list(_object(_REFERENCE)),
        "hostnames": _list(_TEXT),
        "rules": _list(_rule()),
    }
    condition = {"type": _TEXT, "status": _TEXT, "reason": _TEXT, "message": _TEXT}
    told = _object({**condition, "observedGeneration": _GENERATION}, "type", "status")
    parent = {
        "parentRef": _object(_REFERENCE),
        "controllerName": _TEXT,
        "conditions": _list(told),
    }
    status = {"parents": _list(_object(parent, "parentRef"))}
    whole = {"spec": _object(spec, "rules"), "status": _object(status, "parents")}
    return {"type": "object", "properties": whole}


def install(api: Api) -> None:
    """Teach a cluster the kind; it is there when the CRD says that it is established."""
    api.post(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": f"httproutes.{GROUP}",
                # Without a word of the group's owners, the server takes no CRD of theirs.
                "annotations": {"api-approved.kubernetes.io": "unapproved, an excerpt for tests"},
            },
            "spec": {
                "group": GROUP,
                "scope": "Namespaced",
                "names": {
                    "kind": "HTTPRoute",
                    "listKind": "HTTPRouteList",
                    "plural": "httproutes",
                    "singular": "httproute",
                },
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "subresources": {"status": {}},
                        "schema": {"openAPIV3Schema": _schema()},
                    }
                ],
            },
        },
    )
