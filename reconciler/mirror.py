"""The last seen state of every object of one app, fed by the watches, read by the planner.

Locked inside; no callback runs under the lock. A write of ours enters the mirror with the server's
answer, and what the watch still sends from before that write is held back, so that no plan is made
on a state older than our own writes.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Final, Literal

from jac_converge.reconciler.errors import ClusterError
from jac_converge.reconciler.objects import Object, ObjectKey, key_of

__all__ = ["DISPENSABLE", "Mirror", "Noticed"]

type Noticed = Literal["nothing", "status", "content"]
"""What an event changed, as far as a plan is concerned."""

READ_OWN_WRITES: Final = 5.0
"""Seconds to hold back older events of an object we wrote; then the watch is believed again."""

DISPENSABLE: Final = frozenset(
    {
        "CronJob",
        "HTTPRoute",
        "Ingress",
        "Job",
        "Namespace",
        "NetworkPolicy",
        "Role",
        "RoleBinding",
    }
)
"""Kinds without which an app can be deployed, so that not being shown them is no end: the cluster
does not know one, or we have rights inside one namespace only. Where one is desired all the same,
the plan says what the server says to that; but a namespace is used as it is."""

_REMEMBERED: Final = 16
"""Resource versions kept per object, to tell an echo that came before its answer."""

_GONE: Final = 256
"""Deleted objects whose versions are kept: the answer to a create may come after the deletion."""


@dataclass(slots=True)
class _Pending:
    version: str
    deadline: float
    held: Object | Literal["nothing", "deleted"] = "nothing"
    """The latest that the watch sent meanwhile."""


class Mirror:
    """Live objects by key.

    Args:
        kinds: names of the kinds that have to be listed before `synced`.
        clock: monotonic seconds.
    """

    def __init__(self, kinds: Iterable[str], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = Lock()
        self._objects: dict[ObjectKey, Object] = {}
        self._unsynced = set(kinds)
        self._blocked: dict[str, ClusterError] = {}
        self._pending: dict[ObjectKey, _Pending] = {}
        self._removed: deque[str] = deque(maxlen=_GONE)
        """UIDs of what we deleted last."""
        self._versions: dict[ObjectKey, tuple[str, ...]] = {}
        self._noticed: dict[ObjectKey, float] = {}
        self._gone: dict[ObjectKey, None] = {}
        """The last ones that were deleted, latest last."""

    @property
    def synced(self) -> bool:
        """Whether every kind was listed once, or refused where we can do without."""
        with self._lock:
            return self._unsynced <= self._blocked.keys() & DISPENSABLE

    @property
    def blocked(self) -> dict[str, ClusterError]:
        """Kinds that the server refuses to show, and its words."""
        with self._lock:
            return dict(self._blocked)

    def block(self, kind: str, error: ClusterError) -> None:
        """Note that a kind cannot be read."""
        with self._lock:
            self._blocked[kind] = error

    def snapshot(self) -> dict[ObjectKey, Object]:
        """Every object but pods, as of now; the objects are not to be changed."""
        with self._lock:
            return {key: obj for key, obj in self._objects.items() if key.kind != "Pod"}

    def pods(self) -> tuple[Object, ...]:
        """Every pod of the app."""
        with self._lock:
            return tuple(obj for key, obj in self._objects.items() if key.kind == "Pod")

    def noticed_at(self, key: ObjectKey) -> float | None:
        """When the latest change of content of an object was seen, in monotonic seconds."""
        with self._lock:
            return self._noticed.get(key)

    def replace(self, kind: str, items: Iterable[Object]) -> Noticed:
        """Take a complete list of a kind."""
        listed = {key_of(obj): obj for obj in items}
        with self._lock:
            gone = [key for key in self._objects if key.kind == kind and key not in listed]
            noticed = [self._drop(key) for key in gone]
            noticed += [self._put(key, obj) for key, obj in listed.items()]
            first = kind in self._unsynced
            self._unsynced.discard(kind)
            self._blocked.pop(kind, None)
        return "content" if first else _strongest(noticed)

    def put(self, obj: Object) -> Noticed:
        """Take an object from a watch."""
        with self._lock:
            return self._put(key_of(obj), obj)

    def drop(self, obj: Object) -> Noticed:
        """Take a deletion from a watch."""
        key, uid = key_of(obj), obj["metadata"]["uid"]
        with self._lock:
            current = self._objects.get(key)
            # The deletion of a predecessor may come after the answer to our create.
            if current is None or current["metadata"]["uid"] != uid:
                return "nothing"
            return self._drop(key)

    def expect(self, obj: Object) -> None:
        """Take the answer to a write of ours, and hold back what is older until its echo comes."""
        key, version = key_of(obj), obj["metadata"]["resourceVersion"]
        with self._lock:
            if version in self._versions.get(key, ()):
                return
            self._objects[key] = obj
            self._pending[key] = _Pending(version, self._clock() + READ_OWN_WRITES)

    def forget(self, obj: Object) -> None:
        """Take a deletion of ours, and ignore what the watch still sends from before it."""
        key, uid = key_of(obj), obj["metadata"]["uid"]
        with self._lock:
            self._removed.append(uid)
            current = self._objects.get(key)
            if current is None or current["metadata"]["uid"] != uid:
                return
            # The watch was quicker than the answer, and will tell the end of what finalizers hold.
            if not current["metadata"].get("deletionTimestamp"):
                self._pending.pop(key, None)
                self._drop(key)

    def settle(self) -> Noticed:
        """Believe the watch again where an echo did not come in time."""
        now = self._clock()
        with self._lock:
            late = [key for key, pending in self._pending.items() if pending.deadline <= now]
            noticed: list[Noticed] = []
            for key in late:
                held = self._pending.pop(key).held
                if held == "deleted":
                    noticed.append(self._drop(key))
                elif held != "nothing":
                    noticed.append(self._put(key, held))
        return _strongest(noticed)

    def _put(self, key: ObjectKey, obj: Object) -> Noticed:
        if key.kind == "Pod":
            # Never written by us, and a CronJob makes new names for ever.
            self._objects[key] = obj
            return "status"
        metadata = obj["metadata"]
        if metadata["uid"] in self._removed and not metadata.get("deletionTimestamp"):
            return "nothing"
        version = metadata["resourceVersion"]
        self._gone.pop(key, None)
        self._versions[key] = (*self._versions.get(key, ())[1 - _REMEMBERED :], version)
        pending = self._pending.get(key)
        if pending and version != pending.version:
            pending.held = obj
            return "nothing"
        self._pending.pop(key, None)
        before = self._objects.get(key)
        self._objects[key] = obj
        if before is not None and _content(before) == _content(obj):
            return "nothing" if before.get("status") == obj.get("status") else "status"
        self._noticed[key] = self._clock()
        return "content"

    def _drop(self, key: ObjectKey) -> Noticed:
        if pending := self._pending.get(key):
            pending.held = "deleted"
            return "nothing"
        if self._objects.pop(key, None) is None:
            return "nothing"
        if key.kind == "Pod":
            return "status"
        self._noticed[key] = self._clock()
        self._gone[key] = None
        if len(self._gone) > _GONE:
            forgotten = next(iter(self._gone))
            for remembered in (self._gone, self._versions, self._noticed):
                remembered.pop(forgotten, None)
        return "content"


def _content(obj: Object) -> Object:
    """What a plan may depend on: everything but status and its bookkeeping."""
    metadata = {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}
    metadata["managedFields"] = [
        (entry.get("manager"), entry.get("operation"), entry.get("fieldsV1"))
        for entry in metadata.get("managedFields") or ()
        if entry.get("subresource") != "status"
    ]
    return {**{k: v for k, v in obj.items() if k != "status"}, "metadata": metadata}


def _strongest(noticed: Iterable[Noticed]) -> Noticed:
    seen = set(noticed)
    return "content" if "content" in seen else "status" if "status" in seen else "nothing"
