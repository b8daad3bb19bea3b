"""The pods of the app itself, without its stores: which there are, and which may be talked to.

It changes when something else decides which pod is asked.
"""

from collections.abc import Sequence
from typing import Final

from jac_converge.config.load import App
from jac_converge.reconciler.cluster import Cluster
from jac_converge.reconciler.errors import Missing
from jac_converge.reconciler.objects import POD, Object
from jac_converge.reconciler.ownership import COMPONENT_LABEL
from jac_converge.reconciler.pod_trouble import condition_of, trouble_of

__all__ = ["CONTAINER", "app_pods", "none_ready", "ready_pods"]

CONTAINER: Final = "app"
"""What the app's container is called."""


def app_pods(cluster: Cluster) -> tuple[Object, ...]:
    """List the app's pods, those that leave too, the oldest first.

    Raises:
        ClusterError: the server refuses, or does not answer.
    """
    pods = cluster.list_kind(POD).items
    its = [pod for pod in pods if pod["metadata"]["labels"].get(COMPONENT_LABEL) == CONTAINER]
    return tuple(sorted(its, key=_age))


def ready_pods(pods: Sequence[Object]) -> tuple[Object, ...]:
    """Those that take requests, and stay."""
    return tuple(
        pod
        for pod in pods
        if condition_of(pod, "Ready").get("status") == "True"
        and "deletionTimestamp" not in pod["metadata"]
    )


def none_ready(app: App, pods: Sequence[Object]) -> Missing:
    """Say why nobody can be asked."""
    subject = f"{app.name} in namespace {app.namespace} pod lookup"
    if not pods:
        return Missing(subject, "it has no pods", f"deploy it: jac scale {app.file.name}")
    found = [trouble for pod in pods if (trouble := trouble_of(pod))]
    told = f": {found[0].pod}: {found[0].sentence}" if found else ""
    return Missing(subject, f"none of its {len(pods)} pods is ready{told}", "see --status, --logs")


def _age(pod: Object) -> tuple[str, str]:
    metadata = pod["metadata"]
    return str(metadata.get("creationTimestamp")), metadata["name"]
