"""What an app is about to need of its cluster, and the cluster does not have.

Only asked when something is created that needs it, so a converged app pays nothing. Where we may
not look, nothing is said: what is missing then shows in the health of what waits for it. It
changes when the app needs something more of a cluster.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from jac_converge.reconciler.errors import ClusterError
from jac_converge.reconciler.kube_cluster import KubeCluster
from jac_converge.reconciler.kubeconfig import cluster_of
from jac_converge.reconciler.objects import (
    API_SERVICE,
    INGRESS_CLASS,
    NODE,
    STORAGE_CLASS,
    Kind,
    Object,
)
from jac_converge.reconciler.platforms import (
    Addons,
    Platform,
    addons_of,
    platform_of_node,
    recognised,
)
from jac_converge.reconciler.steps import Create, Plan, Recreate

__all__ = ["missing", "platform_of"]

METRICS_API: Final = "v1beta1.metrics.k8s.io"

_CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"

_CLASSES_OF_GKE: Final = frozenset({"gce", "gce-internal"})

_TAKES_NO_CLASS: Final = (
    f"takes no class_name; leave it out, or write annotations = {{{{ {_CLASS_ANNOTATION!r} = "
    "'gce-internal' }}"
)
"""In this form of braces, because a title is put into sentences."""

type _Lack = tuple[str, Callable[[Addons], str | None]]
"""A sentence, and the command that mends it; empty: there is none; None: nothing is missing."""


def platform_of(cluster: KubeCluster) -> Platform:
    """Recognise a cluster: by its context, else by one of its nodes, where we may look."""
    target = cluster.target
    told = recognised(target.context, *cluster_of(target.context), server=target.server)
    try:
        if not told.kind:
            node = cluster.first(NODE)
            told = platform_of_node(node) if node else told
        if told.kind == "microk8s":
            # Its tool loads an image into one of them.
            nodes = cluster.beside(namespace="", selector="").list_kind(NODE)
            told = replace(told, nodes=len(nodes.items))
    except ClusterError:
        # We may not look.
        return told
    return told


def missing(plan: Plan, cluster: KubeCluster, platform: Callable[[], Platform]) -> tuple[str, ...]:
    """Say what is missing, and how to add it.

    Args:
        plan: what is going to be created.
        cluster: to look at.
        platform: recognises it; called when something is missing.
    """
    created = [step.desired for step in plan.steps if isinstance(step, Create | Recreate)]
    lacking = tuple(_lacking(created, cluster))
    if not lacking:
        return ()
    found = platform()
    addons = addons_of(found)
    told = [(sentence.format(cluster=found.title), add(addons)) for sentence, add in lacking]
    return tuple(
        f"{sentence}: {command}" if command else sentence
        for sentence, command in told
        if command is not None
    )


def _lacking(created: Sequence[Object], cluster: KubeCluster) -> Iterator[_Lack]:
    for obj in created:
        subject = f"{obj['kind']}/{obj['metadata']['name']}"
        match obj["kind"]:
            case "StatefulSet":
                yield from _storage(subject, obj["spec"], cluster)
            case "Ingress":
                yield from _ingress(subject, obj, cluster)
            case "HorizontalPodAutoscaler" if not _measures(cluster):
                sentence = (
                    f"{subject} measures nothing, because {{cluster}} has no metrics; add them"
                )
                yield sentence, lambda addons: addons.metrics
            case "Service" if obj["spec"].get("type") == "LoadBalancer":
                yield from _balancer(subject)


def _storage(subject: str, spec: Mapping[str, Any], cluster: KubeCluster) -> Iterator[_Lack]:
    claims = spec.get("volumeClaimTemplates") or ()
    if not claims or (classes := _classes(cluster, STORAGE_CLASS)) is None:
        return
    wanted = claims[0]["spec"].get("storageClassName")
    if wanted is None and not any(map(_is_default, classes.values())):
        sentence = f"{subject} waits for a volume, because {{cluster}} has no default StorageClass"
        yield _with_choice(sentence, "storage_class", classes), lambda addons: addons.storage
    elif wanted is not None and wanted not in classes:
        sentence = f"{subject} waits for a volume, because {{cluster}} has no StorageClass {wanted}"
        yield _with_choice(sentence, "storage_class", classes), lambda _: ""


def _ingress(subject: str, ingress: Object, cluster: KubeCluster) -> Iterator[_Lack]:
    classes = _classes(cluster, INGRESS_CLASS)
    wanted = ingress["spec"].get("ingressClassName")
    if classes is None or wanted in classes:
        return
    if wanted in _CLASSES_OF_GKE:
        yield f"{subject} leads nowhere, because GKE's controller {_TAKES_NO_CLASS}", lambda _: ""
    elif wanted is not None:
        sentence = f"{subject} leads nowhere, because {{cluster}} has no IngressClass {wanted}"
        yield _with_choice(sentence, "class_name", classes), lambda addons: addons.ingress or ""
    elif not (_names_class(ingress) or any(map(_is_default, classes.values()))):
        sentence = f"{subject} leads nowhere, because {{cluster}} has no default IngressClass"
        yield _with_choice(sentence, "class_name", classes), lambda addons: addons.ingress


def _names_class(ingress: Object) -> bool:
    """Whether it names a class as one did before there were IngressClasses."""
    return _CLASS_ANNOTATION in (ingress["metadata"].get("annotations") or {})


def _balancer(subject: str) -> Iterator[_Lack]:
    # Nothing says whether somebody gives addresses out; of some kinds of clusters it is known.
    sentence = f"{subject} gets an address from {{cluster}} only while something gives them out"
    yield sentence, lambda addons: addons.balancer or None


def _with_choice(sentence: str, key: str, classes: Mapping[str, Object]) -> str:
    if not classes:
        return f"{sentence}; add one"
    return f"{sentence}; name one as {key} ({', '.join(sorted(classes))}), or add one"


def _classes(cluster: KubeCluster, kind: Kind) -> Mapping[str, Object] | None:
    """Those there are, by name; None: we may not look."""
    try:
        found = cluster.beside(namespace="", selector="").list_kind(kind)
    except ClusterError:
        return None
    return {obj["metadata"]["name"]: obj for obj in found.items}


def _is_default(obj: Object) -> bool:
    marks: Mapping[str, str] = obj["metadata"].get("annotations") or {}
    return any(
        key.endswith("/is-default-class") and value == "true" for key, value in marks.items()
    )


def _measures(cluster: KubeCluster) -> bool:
    """Whether somebody answers for metrics; where we may not look, yes."""
    try:
        service = cluster.get(API_SERVICE, METRICS_API)
    except ClusterError:
        return True
    conditions = ((service or {}).get("status") or {}).get("conditions") or ()
    return any(it["type"] == "Available" and it["status"] == "True" for it in conditions)
