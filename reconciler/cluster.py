"""The seam to the API server: what the rest of the reconciler may ask of a cluster."""

from collections.abc import Iterator
from typing import Any, Protocol

from jac_converge.reconciler.objects import Kind, Object
from jac_converge.reconciler.ownership import FIELD_MANAGER
from jac_converge.reconciler.position import Bookmark, Changed, Listed

__all__ = ["Cluster", "WatchStream"]


class WatchStream(Protocol):
    """What happens to the objects of one kind, as it happens."""

    def __iter__(self) -> Iterator[Changed | Bookmark]:
        """Yield until the server ends the stream.

        Raises:
            Gone: the version is too old.
            Unreachable: the connection broke, or stayed mute for too long.
        """
        ...

    def close(self) -> None:
        """End it from any thread, at once."""
        ...


class Cluster(Protocol):
    """One namespace of one cluster, seen through one app's label selector.

    Every call raises `ClusterError`.
    """

    def get(self, kind: Kind, name: str) -> Object | None:
        """One object, labels or not; None when it is not there."""
        ...

    def list_kind(self, kind: Kind, version: str = "") -> Listed:
        """Every object of a kind that carries the app's labels."""
        ...

    def watch(self, kind: Kind, version: str, seconds: int) -> WatchStream:
        """What happens to those objects after `version`, for about `seconds`."""
        ...

    def apply(self, obj: Object, *, manager: str = FIELD_MANAGER, dry_run: bool = False) -> Object:
        """Server-side apply, by force; the answer is the whole object."""
        ...

    def create(self, obj: Object) -> Object:
        """Create, and raise `Conflict` if it is there already."""
        ...

    def patch_ownership(self, obj: Object, fields: list[dict[str, Any]]) -> Object:
        """Write managedFields anew, as far as they differ from those that `obj` was read with.

        Raises:
            Invalid: somebody changed one of those entries meanwhile, or moved them.
        """
        ...

    def patch(self, obj: Object, operations: list[dict[str, Any]]) -> Object:
        """Apply a JSON patch; `Invalid` when it does not fit what is there now."""
        ...

    def delete(self, obj: Object, *, unchanged: bool = False, alone: bool = False) -> None:
        """Delete exactly this object (by UID), in the background.

        Args:
            obj: as read before.
            unchanged: only in the version that was read; else `Conflict`.
            alone: what belongs to it stays, and belongs to nobody then.
        """
        ...

    def reauthenticate(self) -> None:
        """Read the credentials of the pinned context again."""
        ...

    def check_identity(self) -> None:
        """Pin the cluster that answers, the first time; then raise `NoCluster` for another one."""
        ...
