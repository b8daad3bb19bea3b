"""The `restricted` pod security standard as a check, with what we ask beyond it.

Source: Kubernetes documentation, "Pod Security Standards", restricted.
"""

from collections.abc import Iterator
from typing import Any

ALLOWED_VOLUMES = {
    *("configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"),
}


def violations(pod: dict[str, Any]) -> list[str]:
    """Name every rule that a pod's spec breaks."""
    return [
        *_of_pod(pod),
        *(f"{c['name']}: {v}" for c in _containers(pod) for v in _of_container(c)),
    ]


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod["containers"], *pod.get("initContainers", ())]


def _of_pod(pod: dict[str, Any]) -> Iterator[str]:
    security = pod.get("securityContext", {})
    if security.get("runAsNonRoot") is not True:
        yield "may run as root"
    if security.get("runAsUser") == 0:
        yield "runs as root"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "no seccomp profile"
    if pod.get("automountServiceAccountToken") is not False:
        yield "gets a token of the API server"
    if pod.get("enableServiceLinks") is not False:
        yield "gets a variable for each Service"
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if key in pod:
            yield f"sets {key}"
    for volume in pod.get("volumes", ()):
        if volume.keys() - {"name"} - ALLOWED_VOLUMES:
            yield f"has a volume of a forbidden type: {volume['name']}"
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"may fill its node: {volume['name']}"


def _of_container(container: dict[str, Any]) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False:
        yield "may escalate"
    if security.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "may write to its image"
    if security.keys() & {"privileged", "procMount", "runAsUser"}:
        yield "overrides the pod's security context"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield "binds a port of its node"
    if any("name" not in port for port in container.get("ports", ())):
        yield "has a port without a name"
