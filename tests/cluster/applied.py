"""Server-side apply as bare as can be, with what our own client does not show: the warnings."""

import json
from dataclasses import dataclass

import urllib3

from jac_converge.reconciler.objects import Object, kind_named
from jac_converge.reconciler.ownership import FIELD_MANAGER
from tests.servers.control_plane import ControlPlane

__all__ = ["Applied", "apply", "collection_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What the server answered to one apply."""

    obj: Object
    warnings: tuple[str, ...]
    """What kubectl would print as `Warning: ...`."""

    @property
    def version(self) -> str:
        """The resource version."""
        return str(self.obj["metadata"]["resourceVersion"])


def apply(server: ControlPlane, obj: Object, *, dry_run: bool = False) -> Applied:
    """Apply an object under our name, by force; fails the test unless the server accepts it."""
    user = json.loads(server.kubeconfig.read_text())["users"][0]["user"]
    query = f"fieldManager={FIELD_MANAGER}&force=true&fieldValidation=Strict"
    with urllib3.PoolManager(
        cert_file=user["client-certificate"],
        key_file=user["client-key"],
        ca_certs=str(server.ca),
        retries=False,
    ) as pool:
        answer = pool.request(
            "PATCH",
            f"{server.url}{collection_of(obj)}/{obj['metadata']['name']}?{query}"
            f"{'&dryRun=All' if dry_run else ''}",
            body=json.dumps(obj),
            headers={"Content-Type": "application/apply-patch+yaml"},
        )
    assert answer.status < 300, f"{obj['kind']}: {answer.data.decode()}"
    return Applied(obj=answer.json(), warnings=tuple(answer.headers.getlist("Warning")))


def collection_of(obj: Object) -> str:
    """The path of an object's siblings."""
    kind = kind_named(obj["kind"])
    root = "/api/v1" if kind.api_version == "v1" else f"/apis/{kind.api_version}"
    place = f"/namespaces/{obj['metadata']['namespace']}" if kind.namespaced else ""
    return f"{root}{place}/{kind.plural}"
