"""The user's own manifests as objects of the app: checked, labelled, in its namespace. Pure.

They are kept as everything else is: healed, and pruned once they leave the files. So only kinds can
be among them that live in a namespace, and that nothing here reads a meaning into. It changes when
another kind turns out to be wanted.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jac_converge.config.load import App
from jac_converge.config.manifests import Manifest
from jac_converge.config.problems import ConfigError, Problem
from jac_converge.reconciler.objects import Object, ObjectKey, key_of, kind_named
from jac_converge.reconciler.ownership import (
    COMPONENT_LABEL,
    EXTRA,
    INSTANCE_LABEL,
    MANAGED_BY_LABEL,
    labels_of,
)

__all__ = ["EXTRA_KINDS", "extra_objects"]

EXTRA_KINDS = (
    "ConfigMap",
    "CronJob",
    "HTTPRoute",
    "Ingress",
    "Job",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "Role",
    "RoleBinding",
    "Secret",
    "Service",
    "ServiceAccount",
)
"""What a manifest may be. No workloads that run for ever: the app's autoscaler, its roll-outs and
its health would have to be told from theirs."""

_OURS = (COMPONENT_LABEL, INSTANCE_LABEL, MANAGED_BY_LABEL)
_OF_THE_CLUSTER = (
    "creationTimestamp",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "uid",
)


def extra_objects(app: App, ours: Iterable[Object]) -> tuple[Object, ...]:
    """Turn the manifests into objects.

    Args:
        app: with its manifests.
        ours: every other object of the app, whose names are taken.

    Raises:
        ConfigError: with every problem of every manifest.
    """
    taken = {key_of(obj): "the app" for obj in ours}
    problems: list[Problem] = []
    found: list[Object] = []
    for manifest in app.manifests:
        messages = list(_shape(manifest.content)) or list(_place(app, manifest.content, taken))
        problems += [_problem(manifest, message) for message in messages]
        if not messages:
            found.append(_object(app, manifest.content))
            taken[key_of(found[-1])] = f"{manifest.file}:{manifest.line}"
    if problems:
        raise ConfigError(*problems)
    return tuple(found)


def _shape(content: Mapping[str, Any]) -> Iterator[str]:
    """What makes it no object that could be ours at all."""
    kind, metadata = content.get("kind"), content.get("metadata")
    if kind not in EXTRA_KINDS:
        yield f"kind {kind!r} cannot be an extra manifest; it must be {_either(EXTRA_KINDS)}"
        return
    version = kind_named(kind).api_version
    if content.get("apiVersion") != version:
        yield f"apiVersion is {content.get('apiVersion')!r}; write {version!r}"
    if not isinstance(metadata, Mapping):
        yield "metadata is not given; write at least a name"
        return
    name = metadata.get("name")
    if not isinstance(name, str) or not name or "/" in name:
        yield "metadata.name is not a name; write one, without /"
    for table in ("labels", "annotations"):
        if not isinstance(metadata.get(table) or {}, Mapping):
            yield f"metadata.{table} is not a table; write name: value"
    for table in ("data", "stringData"):
        values = content.get(table) or {}
        if kind == "Secret" and not (
            isinstance(values, Mapping) and all(isinstance(v, str) for v in values.values())
        ):
            yield f"{table} is not a table of text; put its values in quotes"


def _place(app: App, content: Mapping[str, Any], taken: Mapping[ObjectKey, str]) -> Iterator[str]:
    """What keeps it from being one of this app."""
    metadata = content["metadata"]
    namespace = metadata.get("namespace", app.namespace)
    if namespace != app.namespace:
        yield (
            f"metadata.namespace is {namespace!r}, and the app's is {app.namespace!r}; leave it out"
        )
    for key in _OF_THE_CLUSTER:
        if key in metadata:
            yield f"metadata.{key} is the cluster's to say; leave it out"
    labels = metadata.get("labels") or {}
    for label, value in _labels(app).items():
        if label in _OURS and labels.get(label, value) != value:
            yield f"the label {label} is ours, and must be {value!r}; leave it out"
    if content["kind"] == "Job" and "ttlSecondsAfterFinished" in (content.get("spec") or {}):
        yield "spec.ttlSecondsAfterFinished deletes it, and then it would run again; leave it out"
    if owner := taken.get(ObjectKey(content["kind"], metadata["name"])):
        yield f"belongs to {owner} already; choose another name"


def _object(app: App, content: Mapping[str, Any]) -> Object:
    metadata = content["metadata"]
    body = {key: value for key, value in content.items() if key not in {"status", "stringData"}}
    if content["kind"] == "Secret" and content.get("stringData"):
        # The server would turn it into `data` that nobody owns.
        encoded = {
            name: base64.b64encode(value.encode()).decode()
            for name, value in content["stringData"].items()
        }
        body["data"] = {**(body.get("data") or {}), **encoded}
    return {
        **body,
        "metadata": {
            **metadata,
            "namespace": app.namespace,
            "labels": {**_labels(app), **(metadata.get("labels") or {})},
        },
    }


def _labels(app: App) -> dict[str, str]:
    return labels_of(app.name, EXTRA)


def _problem(manifest: Manifest, message: str) -> Problem:
    metadata = manifest.content.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    key = f"{manifest.content.get('kind')}/{name}" if name else None
    return Problem(file=manifest.file, line=manifest.line, key=key, message=message)


def _either(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}"
