"""What a Kubernetes object is to us, and the closed table of every kind we may ever write.

An `Object` is plain JSON, as the API server speaks it: no models, so nothing is lost in a round
trip. A kind that is not in `KINDS` cannot be written, watched or pruned. This module changes when
the product starts to write, or to read, a new kind.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

__all__ = [
    "API_SERVICE",
    "CLAIM",
    "INGRESS_CLASS",
    "KINDS",
    "LEASE",
    "NODE",
    "POD",
    "STORAGE_CLASS",
    "Kind",
    "Object",
    "ObjectKey",
    "key_of",
    "keyed",
    "kind_named",
]

type Object = dict[str, Any]
"""One API object as JSON: `apiVersion`, `kind`, `metadata`, and the rest."""

CLAIM: Final = "PersistentVolumeClaim"

type PrunePolicy = Literal["prune", "keep-data"]
"""prune: deleted once it leaves the desired state. keep-data: only by an explicit `--data`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One row of the table: where objects of a kind live, and what may happen to them."""

    name: str
    """`Deployment`"""
    api_version: str
    """`apps/v1`"""
    plural: str
    """`deployments`, as it stands in the URL."""
    rank: int
    """Creates go in ascending rank, deletes in descending."""
    namespaced: bool = True
    prune: PrunePolicy = "prune"
    needs: str = ""
    """What a cluster must have installed to know the kind; empty: every cluster knows it."""


class ObjectKey(NamedTuple):
    """Names one object of an app. An app lives in one namespace, so that is not part of the key.

    A tuple, because it is hashed some twenty times an object and pass.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


_RBAC = "rbac.authorization.k8s.io/v1"

KINDS: tuple[Kind, ...] = (
    Kind(
        name="Namespace",
        api_version="v1",
        plural="namespaces",
        rank=0,
        namespaced=False,
        prune="keep-data",
    ),
    Kind(name="ServiceAccount", api_version="v1", plural="serviceaccounts", rank=1),
    Kind(name="Role", api_version=_RBAC, plural="roles", rank=2),
    Kind(name="RoleBinding", api_version=_RBAC, plural="rolebindings", rank=3),
    Kind(name="ConfigMap", api_version="v1", plural="configmaps", rank=2),
    Kind(name="Secret", api_version="v1", plural="secrets", rank=2, prune="keep-data"),
    Kind(name="Service", api_version="v1", plural="services", rank=3),
    Kind(
        # The stores' are written by their controller, others by `extra` alone. Deleted by an
        # explicit `--data` only.
        name=CLAIM,
        api_version="v1",
        plural="persistentvolumeclaims",
        rank=3,
        prune="keep-data",
    ),
    Kind(
        # Before the first pod: none is open, not even for a moment.
        name="NetworkPolicy",
        api_version="networking.k8s.io/v1",
        plural="networkpolicies",
        rank=3,
    ),
    Kind(name="StatefulSet", api_version="apps/v1", plural="statefulsets", rank=4),
    Kind(name="Deployment", api_version="apps/v1", plural="deployments", rank=5),
    Kind(
        name="HorizontalPodAutoscaler",
        api_version="autoscaling/v2",
        plural="horizontalpodautoscalers",
        rank=6,
    ),
    Kind(
        name="PodDisruptionBudget",
        api_version="policy/v1",
        plural="poddisruptionbudgets",
        rank=6,
    ),
    Kind(name="Job", api_version="batch/v1", plural="jobs", rank=6),
    Kind(name="CronJob", api_version="batch/v1", plural="cronjobs", rank=6),
    Kind(name="Ingress", api_version="networking.k8s.io/v1", plural="ingresses", rank=7),
    Kind(
        name="HTTPRoute",
        api_version="gateway.networking.k8s.io/v1",
        plural="httproutes",
        rank=7,
        needs="the Gateway API (https://gateway-api.sigs.k8s.io), and a controller for it",
    ),
)

POD = Kind(name="Pod", api_version="v1", plural="pods", rank=8)
"""Read for the reasons why something is not healthy; one that no workload has is deleted."""

LEASE = Kind(name="Lease", api_version="coordination.k8s.io/v1", plural="leases", rank=1)
"""Held by the one process that writes; neither watched nor pruned."""

# Read only, of the cluster itself: what it has that an app may need.

NODE = Kind(name="Node", api_version="v1", plural="nodes", rank=0, namespaced=False)
STORAGE_CLASS = Kind(
    name="StorageClass",
    api_version="storage.k8s.io/v1",
    plural="storageclasses",
    rank=0,
    namespaced=False,
)
INGRESS_CLASS = Kind(
    name="IngressClass",
    api_version="networking.k8s.io/v1",
    plural="ingressclasses",
    rank=0,
    namespaced=False,
)
API_SERVICE = Kind(
    name="APIService",
    api_version="apiregistration.k8s.io/v1",
    plural="apiservices",
    rank=0,
    namespaced=False,
)

_BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in (*KINDS, POD)}


def kind_named(name: str) -> Kind:
    """Look up a kind by its name.

    Raises:
        KeyError: the kind is neither one we write, nor Pod.

    >>> kind_named("Deployment").plural
    'deployments'
    """
    return _BY_NAME[name]


def key_of(obj: Object) -> ObjectKey:
    """Name an object.

    >>> str(key_of({"kind": "Service", "metadata": {"name": "shop"}}))
    'Service/shop'
    """
    return ObjectKey(obj["kind"], obj["metadata"]["name"])


def keyed(objects: Iterable[Object]) -> dict[ObjectKey, Object]:
    """Objects by key, in the same order."""
    return {key_of(obj): obj for obj in objects}
