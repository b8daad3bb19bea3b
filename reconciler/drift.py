"""What others did to the fields of an object, and who they are. Pure.

Ownership comes first: when somebody else writes a field of ours, the API server takes it out of
our entry in `managedFields` and puts it into theirs. So a set difference tells exactly what was
lost, and the other entries tell who, when and through which subresource, with no normalising of
values: those are what `differences` compares. Additions beside our fields lose nothing of ours;
they show as foreign entries.

Source: KEP-555 (server-side apply), structured-merge-diff's FieldsV1 encoding.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from jac_converge.reconciler.objects import Object
from jac_converge.reconciler.ownership import FIELD_MANAGER, HANDOVER_MANAGER

__all__ = [
    "KUBECTL_NOTES",
    "Drift",
    "FieldPath",
    "Left",
    "additions",
    "drift_of",
    "entries_of",
    "key_matches",
    "leaves_of",
    "owned_fields",
    "readable",
    "spelled_key",
    "taken_over",
    "value_at",
    "writers_of",
]

type FieldPath = tuple[str, ...]
"""A path in FieldsV1 steps: `("f:spec", "f:ports", 'k:{"name":"http"}', "f:port")`."""

type Left = Callable[[str, FieldPath], bool]
"""Whether a field may stay as this manager made it."""

CONTROLLERS: Final = frozenset(
    {
        HANDOVER_MANAGER,
        "cloud-controller-manager",
        "horizontal-pod-autoscaler",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "vpa-recommender",
        "vpa-updater",
    }
)
"""Managers whose additions belong to a working cluster."""

_RESTARTED_AT: Final = "f:kubectl.kubernetes.io/restartedAt"
"""Left by `kubectl rollout restart`, on purpose; removing it would roll the pods again."""

_KUBECTL_APPLY: Final = "kubectl-client-side-apply"
KUBECTL_NOTES: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""Annotation in which `kubectl apply` keeps what it was given, to compare with the next time."""

_ABSENT: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What foreign writers did to one object."""

    lost: tuple[FieldPath, ...]
    """Fields of ours that somebody else changed or removed."""
    added: tuple[FieldPath, ...]
    """Fields that somebody put beside ours."""
    rivals: tuple[str, ...]
    """The managers that did it; empty when the server did not record any."""
    at: str | None
    """When the latest of them wrote: RFC 3339, seconds, the server's clock."""


def _nothing_left(_manager: str, _path: FieldPath) -> bool:
    return False


def owned_fields(obj: Object, manager: str = FIELD_MANAGER) -> frozenset[FieldPath]:
    """The leaf fields that a manager's apply entry owns."""
    return _shared_set(
        frozenset(
            _shared(path)
            for entry in entries_of(obj)
            if entry.get("manager") == manager
            and entry.get("operation") == "Apply"
            and not entry.get("subresource")
            for path in _leaves(entry.get("fieldsV1") or {})
        )
    )


# They are kept for each object, and those of most objects are the same.


@lru_cache(maxsize=4096)
def _shared(path: FieldPath) -> FieldPath:
    return path


@lru_cache(maxsize=512)
def _shared_set(fields: frozenset[FieldPath]) -> frozenset[FieldPath]:
    return fields


def drift_of(
    live: Object,
    expected: frozenset[FieldPath],
    left: Left = _nothing_left,
    *,
    earlier: frozenset[FieldPath] = frozenset(),
) -> Drift | None:
    """Compare an object with the fields that our last apply owned.

    Args:
        live: as the server has it, with managedFields.
        expected: `owned_fields` of the answer to our last apply.
        left: what others may add.
        earlier: fields that we applied before, and may still own.

    Returns:
        None when nothing of ours was touched and nothing was added beside it.
    """
    own = owned_fields(live)
    lost = expected - own
    # What we own but did not apply: somebody applied under our name.
    added = (own - expected - earlier).union(*(paths for _, paths in additions(live, left))) - (
        own & expected
    )
    # A field we lost is not an addition too: their entry holds it now.
    added -= lost
    if not lost and not added:
        return None
    authors = _authors(live, lost | added)
    return Drift(
        lost=tuple(sorted(lost)),
        added=tuple(sorted(added)),
        rivals=tuple(dict.fromkeys(entry["manager"] for entry in authors)),
        at=max((entry["time"] for entry in authors if entry.get("time")), default=None),
    )


def additions(
    live: Object, left: Left = _nothing_left
) -> Iterator[tuple[dict[str, Any], tuple[FieldPath, ...]]]:
    """Each foreign entry that put something beside our fields, and what it put there.

    To the server, who creates an object without server-side apply owns its defaults too. Of what
    `kubectl apply` owns, only that is an addition which it was given.

    Known controllers are left alone. Metadata is left to whoever writes it, unless a person did
    with kubectl: controllers keep their notes there. `spec.replicas` is the autoscaler's when it
    is not ours, whoever wrote it.
    """
    for entry in entries_of(live):
        manager = str(entry.get("manager", ""))
        if manager == FIELD_MANAGER and entry.get("operation") == "Apply":
            continue
        if manager in CONTROLLERS or entry.get("subresource"):
            continue
        person = manager.startswith("kubectl")
        given = _given_to_kubectl(live) if manager == _KUBECTL_APPLY else None
        paths = tuple(
            path
            for path in _leaves(entry.get("fieldsV1") or {})
            if (person or path[0] != "f:metadata")
            and path[0] != "f:status"
            and path[:2] != ("f:spec", "f:replicas")
            and _RESTARTED_AT not in path
            and path[-1] != "."
            and (
                given is None
                or value_at(given, path) is not None
                or path[-1] == f"f:{KUBECTL_NOTES}"
            )
            and not left(manager, path)
        )
        if paths:
            yield entry, paths


def taken_over(live: Object, left: Left = _nothing_left) -> list[dict[str, Any]]:
    """The managedFields that result when every foreign addition becomes ours.

    An apply leaves alone what it never owned. Once it is ours, the next apply, which does not name
    it, removes it. This also heals a foreign edit of a list's merge key (a Service's port number),
    which an apply alone answers with a 422 for ever.

    Returns:
        The new list; what stays foreign (controllers, statuses, replicas) is as it was, but for
        what `kubectl apply` owns.
    """
    taken = {id(entry): frozenset(paths) for entry, paths in additions(live, left)}
    ours: dict[str, Any] = {}
    others: list[dict[str, Any]] = []
    gained: set[FieldPath] = set()
    for entry in entries_of(live):
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply":
            ours = entry
            continue
        moved = taken.get(id(entry), frozenset())
        leaves = set(_leaves(entry.get("fieldsV1") or {}))
        items = {
            p for p in leaves if p[-1] == "." and any(q[: len(p) - 1] == p[:-1] for q in moved)
        }
        gained |= moved | items
        rest = leaves - moved - items
        if moved and entry.get("manager") == _KUBECTL_APPLY:
            # Its notes go, and without them what is left could not be told from additions: they
            # are defaults, which nobody has to own.
            rest = set()
        if rest:
            others.append({**entry, "fieldsV1": _nested(rest)} if moved else entry)
    if not ours:
        ours = {"manager": FIELD_MANAGER, "operation": "Apply", "apiVersion": live["apiVersion"]}
    leaves = set(_leaves(ours.get("fieldsV1") or {})) | gained
    return [{**ours, "fieldsType": "FieldsV1", "fieldsV1": _nested(leaves)}, *others]


def readable(path: FieldPath) -> str:
    """Spell a path the way people write it.

    >>> readable(("f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}', "f:name"))
    'spec.ports[80,TCP].name'
    """
    spelled = ""
    for step in path:
        if step.startswith("k:"):
            spelled += spelled_key(step)
        elif step.startswith(("v:", "i:")):
            spelled += f"[{step[2:]}]"
        elif step != ".":
            spelled += f".{step[2:]}" if spelled else step[2:]
    return spelled


def spelled_key(step: str) -> str:
    """Spell the step that selects one item of a list.

    >>> spelled_key('k:{"port":80,"protocol":"TCP"}')
    '[80,TCP]'
    """
    return f"[{','.join(str(v) for v in json.loads(step[2:]).values())}]"


def value_at(obj: Object, path: FieldPath) -> Any:
    """The value under a path; None when it is not there."""
    here: Any = obj
    for step in path:
        if step == ".":
            continue
        here = _descend(here, step)
        if here is _ABSENT:
            return None
    return here


def writers_of(live: Object, path: FieldPath) -> tuple[str, ...]:
    """The foreign managers that hold a field, or something above or below it; latest first."""
    return tuple(dict.fromkeys(str(entry["manager"]) for entry in _authors(live, (path,))))


def entries_of(obj: Object) -> Iterable[dict[str, Any]]:
    """What the server recorded about who owns what."""
    return obj["metadata"].get("managedFields") or ()


def leaves_of(entry: Mapping[str, Any]) -> Iterator[FieldPath]:
    """The leaf fields of one entry of managedFields."""
    return _leaves(entry.get("fieldsV1") or {})


def _given_to_kubectl(live: Object) -> Object | None:
    """What `kubectl apply` was given; None when its notes are gone, or cannot be read."""
    notes = (live["metadata"].get("annotations") or {}).get(KUBECTL_NOTES)
    try:
        given = json.loads(notes or "null")
    except ValueError:
        return None
    return given if isinstance(given, dict) else None


def _leaves(fields: Mapping[str, Any], prefix: FieldPath = ()) -> Iterator[FieldPath]:
    for step, inner in fields.items():
        path = (*prefix, step)
        if inner:
            yield from _leaves(inner, path)
        else:
            yield path


def _nested(leaves: Iterable[FieldPath]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path in sorted(leaves):
        here = root
        for step in path:
            here = here.setdefault(step, {})
    return root


def _authors(live: Object, paths: Iterable[FieldPath]) -> list[dict[str, Any]]:
    """The foreign entries that hold one of the paths, or something around it; newest first."""
    wanted = tuple(path[:-1] if path[-1] == "." else path for path in paths)
    found = [
        entry
        for entry in entries_of(live)
        if entry.get("manager") != FIELD_MANAGER
        and entry.get("subresource") != "status"
        and any(
            _related(own, path) for own in _leaves(entry.get("fieldsV1") or {}) for path in wanted
        )
    ]
    return sorted(found, key=lambda entry: str(entry.get("time")), reverse=True)


def _related(one: FieldPath, other: FieldPath) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _descend(here: Any, step: str) -> Any:
    kind, _, name = step.partition(":")
    if kind == "f" and isinstance(here, dict):
        return here.get(name, _ABSENT)
    if kind == "k" and isinstance(here, list):
        wanted = json.loads(name)
        for item in here:
            if isinstance(item, dict) and all(key_matches(item, k, v) for k, v in wanted.items()):
                return item
    return _ABSENT


def key_matches(item: Mapping[str, Any], key: str, value: Any) -> bool:
    """Whether an item of a list has this value under one of the list's merge keys."""
    # `protocol` is a merge key with a default that a manifest may leave out.
    return bool(item.get(key, "TCP" if key == "protocol" else None) == value)
