"""What kind of cluster a context leads to, and the one command that adds what such a one may lack.

Recognised by what the kubeconfig says, and where that says nothing, by a node. Pure. It changes
when another way to run clusters becomes usual, or one of these names its add-ons anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from jac_converge.reconciler.objects import Object

__all__ = ["UNKNOWN", "Addons", "Platform", "addons_of", "platform_of_node", "recognised"]

_METRICS: Final = (
    "kubectl apply -f "
    "https://github.com/kubernetes-sigs/metrics-server/releases/latest/download/components.yaml"
)
_METRICS_OF_SELF_SIGNED_KUBELETS: Final = (
    "helm upgrade --install metrics-server metrics-server --namespace kube-system "
    "--repo https://kubernetes-sigs.github.io/metrics-server "
    "--set args={--kubelet-insecure-tls}"
)
_INGRESS: Final = (
    "helm upgrade --install traefik traefik --namespace traefik --create-namespace "
    "--repo https://traefik.github.io/charts"
)
_STORAGE: Final = (
    "kubectl apply -f https://raw.githubusercontent.com/rancher/local-path-provisioner/master/"
    "deploy/local-path-storage.yaml && kubectl annotate storageclass local-path "
    "storageclass.kubernetes.io/is-default-class=true"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A kind of cluster, and which one of them."""

    kind: str
    """`kind`, `k3d`, `microk8s`, `docker-desktop`, `minikube`, `k3s`, `eks`, `gke`, `aks`,
    `doks`, or nothing."""
    cluster: str = ""
    """What its own tool calls it."""
    nodes: int = 0
    """How many it has, where that matters; 0: nobody knows."""

    @property
    def title(self) -> str:
        """As people call it."""
        return _TITLES.get(self.kind, "this cluster").format(cluster=self.cluster)


UNKNOWN: Final = Platform(kind="")

_TITLES: Final = {
    "kind": "kind cluster {cluster}",
    "k3d": "k3d cluster {cluster}",
    "k3s": "k3s",
    "microk8s": "MicroK8s",
    "docker-desktop": "Docker Desktop",
    "minikube": "minikube profile {cluster}",
    "eks": "EKS cluster {cluster}",
    "gke": "GKE cluster {cluster}",
    "aks": "AKS cluster {cluster}",
    "doks": "DigitalOcean cluster {cluster}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Addons:
    """The commands that add what a cluster lacks."""

    storage: str = _STORAGE
    """A default StorageClass."""
    ingress: str | None = _INGRESS
    """An ingress controller; None: there is one, which no IngressClass tells of."""
    metrics: str = _METRICS
    """What an autoscaler measures by."""
    balancer: str = ""
    """What gives Services of type LoadBalancer an address; empty: there is something already, or
    no way to tell."""


def recognised(
    context: str, cluster: str, extensions: Mapping[str, Mapping[str, Any]], server: str = ""
) -> Platform:
    """Recognise a cluster by its kubeconfig.

    Args:
        context: its name.
        cluster: the name that the context gives to its cluster: people rename contexts.
        extensions: of the context and the cluster, by name.
        server: URL of the API server.

    >>> recognised("work", "k3d-dev", {})
    Platform(kind='k3d', cluster='dev')
    """
    names = tuple(dict.fromkeys((cluster, context)))
    for name in names:
        if found := _of_this_machine(name):
            return found
    # minikube's profiles may have any name, but it says what it is.
    theirs = any("minikube" in str(it.get("provider", "")) for it in extensions.values())
    if theirs or "minikube" in names:
        return Platform(kind="minikube", cluster=cluster)
    return _managed(names, urlsplit(server).hostname or "")


def _of_this_machine(name: str) -> Platform | None:
    kind, _, rest = name.partition("-")
    if kind in {"kind", "k3d"} and rest:
        return Platform(kind=kind, cluster=rest)
    if kind == "microk8s":
        return Platform(kind="microk8s", cluster=name)
    if name in {"docker-desktop", "docker-for-desktop"}:
        return Platform(kind="docker-desktop", cluster=name)
    return None


def _managed(names: tuple[str, ...], host: str) -> Platform:
    for name in names:
        if name.startswith("arn:aws:eks:"):
            return Platform(kind="eks", cluster=name.rpartition("/")[2])
        if name.endswith(".eksctl.io"):
            return Platform(kind="eks", cluster=name.rpartition("@")[2].partition(".")[0])
        if name.startswith("gke_"):
            return Platform(kind="gke", cluster=name.split("_", 3)[-1])
    hosts = {
        ".eks.amazonaws.com": "eks",
        ".azmk8s.io": "aks",
        ".k8s.ondigitalocean.com": "doks",
    }
    for end, kind in hosts.items():
        if host.endswith(end):
            return Platform(kind=kind, cluster=names[0])
    return UNKNOWN


def platform_of_node(node: Object) -> Platform:
    """Recognise a cluster by one of its nodes, when nothing else told.

    >>> platform_of_node({"metadata": {}, "spec": {"providerID": "kind://docker/dev/dev-worker"}})
    Platform(kind='kind', cluster='dev')
    """
    labels: Mapping[str, str] = node["metadata"].get("labels") or {}
    scheme, _, rest = str((node.get("spec") or {}).get("providerID", "")).partition("://")
    if labels.get("microk8s.io/cluster") == "true":
        return Platform(kind="microk8s", cluster="microk8s")
    if profile := labels.get("minikube.k8s.io/name"):
        return Platform(kind="minikube", cluster=profile)
    if node["metadata"].get("name") == "docker-desktop":
        return Platform(kind="docker-desktop", cluster="docker-desktop")
    if scheme == "kind":
        return Platform(kind="kind", cluster=rest.split("/")[1])
    if scheme == "k3s":
        inside = rest.removeprefix("k3d-").rpartition("-server-")[0]
        k3d = rest.startswith("k3d-") and inside
        return Platform(kind="k3d", cluster=inside) if k3d else Platform(kind="k3s")
    if name := labels.get("alpha.eksctl.io/cluster-name"):
        return Platform(kind="eks", cluster=name)
    managed = {"gce": "gke", "azure": "aks", "digitalocean": "doks"}
    if kind := managed.get(scheme):
        return Platform(kind=kind, cluster="")
    return UNKNOWN


def addons_of(platform: Platform) -> Addons:
    """Name the commands that add what such a cluster lacks."""
    cluster = platform.cluster or "NAME"
    match platform.kind:
        case "microk8s":
            enable = "microk8s enable"
            return Addons(
                storage=f"{enable} hostpath-storage",
                ingress=f"{enable} ingress",
                metrics=f"{enable} metrics-server",
                balancer=f"{enable} metallb",
            )
        case "minikube":
            enable = f"minikube addons enable --profile {cluster}"
            return Addons(
                storage=f"{enable} default-storageclass",
                ingress=f"{enable} ingress",
                metrics=f"{enable} metrics-server",
                balancer=f"minikube tunnel --profile {cluster}",
            )
        case "kind":
            return Addons(metrics=_METRICS_OF_SELF_SIGNED_KUBELETS, balancer="cloud-provider-kind")
        case "docker-desktop":
            return Addons(metrics=_METRICS_OF_SELF_SIGNED_KUBELETS)
        case "eks":
            add = f"aws eks create-addon --cluster-name {cluster} --addon-name"
            return Addons(storage=f"{add} aws-ebs-csi-driver", metrics=f"{add} metrics-server")
        case "gke":
            return Addons(ingress=None)
        case "aks":
            enable = f"az aks approuting enable --name {cluster} --resource-group GROUP"
            return Addons(ingress=enable)
        case _:
            return Addons()
