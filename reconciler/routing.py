"""One watch, many apps: each object goes to the mirror of the app whose label it carries.

To the watch this is one mirror and one trigger. It keeps what it saw, so that an app which comes
later gets a complete list without another request.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

from jac_converge.reconciler.errors import ClusterError
from jac_converge.reconciler.mirror import Mirror, Noticed
from jac_converge.reconciler.objects import Object
from jac_converge.reconciler.ownership import INSTANCE_LABEL
from jac_converge.reconciler.trigger import Trigger

__all__ = ["Router"]

type _Place = tuple[str, str]
"""Namespace and name of an object; a Namespace is in itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seat:
    mirror: Mirror
    trigger: Trigger


class Router:
    """The apps of one scope of watches. Locked inside; no app is run under the lock."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seats: dict[str, dict[str, _Seat]] = {}
        self._objects: dict[str, dict[_Place, Object]] = {}
        self._blocked: dict[str, ClusterError] = {}

    def join(self, namespace: str, app_name: str, mirror: Mirror, trigger: Trigger) -> None:
        """Feed an app from now on, beginning with all that was seen of it."""
        seat = _Seat(mirror=mirror, trigger=trigger)
        with self._lock:
            for kind, objects in self._objects.items():
                of_app = (o for p, o in objects.items() if _is_of(p, o, namespace, app_name))
                mirror.replace(kind, of_app)
            for kind, error in self._blocked.items():
                mirror.block(kind, error)
            self._seats.setdefault(namespace, {})[app_name] = seat
        trigger.poke("content")

    def leave(self, namespace: str, app_name: str) -> None:
        """Feed an app no more."""
        with self._lock:
            self._seats.get(namespace, {}).pop(app_name, None)

    def replace(self, kind: str, items: Iterable[Object]) -> Noticed:
        """See `Feed.replace`."""
        objects = {_place(obj): obj for obj in items}
        with self._lock:
            self._objects[kind] = objects
            self._blocked.pop(kind, None)
            shares: dict[int, list[Object]] = {}
            for place, obj in objects.items():
                for seat in self._seats_of(place, obj):
                    shares.setdefault(id(seat), []).append(obj)
            for seat in self._all():
                _tell(seat, seat.mirror.replace(kind, shares.get(id(seat), ())))
        return "nothing"

    def put(self, obj: Object) -> Noticed:
        """See `Feed.put`."""
        place = _place(obj)
        with self._lock:
            objects = self._objects.setdefault(obj["kind"], {})
            before = objects.get(place)
            objects[place] = obj
            seats = self._seats_of(place, obj)
            if before is not None:
                for seat in self._seats_of(place, before):
                    # Somebody relabelled it: to its former app it is gone.
                    if seat not in seats:
                        _tell(seat, seat.mirror.drop(before))
            for seat in seats:
                _tell(seat, seat.mirror.put(obj))
        return "nothing"

    def drop(self, obj: Object) -> Noticed:
        """See `Feed.drop`."""
        place = _place(obj)
        with self._lock:
            before = self._objects.get(obj["kind"], {}).pop(place, obj)
            for seat in self._seats_of(place, before):
                _tell(seat, seat.mirror.drop(obj))
        return "nothing"

    def block(self, kind: str, error: ClusterError) -> None:
        """See `Feed.block`."""
        with self._lock:
            self._blocked[kind] = error
            for seat in self._all():
                seat.mirror.block(kind, error)

    def poke(self, cause: str) -> None:
        """See `Bell.poke`: it concerns every app."""
        with self._lock:
            for seat in self._all():
                seat.trigger.poke(cause)

    def _all(self) -> list[_Seat]:
        return [seat for seats in self._seats.values() for seat in seats.values()]

    def _seats_of(self, place: _Place, obj: Object) -> list[_Seat]:
        seats = self._seats.get(place[0], {})
        if obj["kind"] == "Namespace":
            return list(seats.values())
        seat = seats.get(_instance(obj))
        return [seat] if seat else []


def _tell(seat: _Seat, noticed: Noticed) -> None:
    if noticed != "nothing":
        seat.trigger.poke(noticed)


def _place(obj: Object) -> _Place:
    metadata = obj["metadata"]
    return metadata.get("namespace") or metadata["name"], metadata["name"]


def _instance(obj: Object) -> str:
    return str((obj["metadata"].get("labels") or {}).get(INSTANCE_LABEL, ""))


def _is_of(place: _Place, obj: Object, namespace: str, app_name: str) -> bool:
    return place[0] == namespace and (obj["kind"] == "Namespace" or _instance(obj) == app_name)
