"""The kubeconfig as files: where they are, what is in them, which context is meant."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from jac_converge.reconciler.errors import NoCluster

__all__ = ["cluster_of", "context_name", "documents", "entry_of", "first_line", "place_of"]

_ADVICE: Final = "point KUBECONFIG to the kubeconfig of your cluster"

_DEFAULT: Final = "~/.kube/config"

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C is not on every machine."""


def place_of(config_file: str | None) -> str:
    """Where the kubeconfig is: one file, or more of them behind each other.

    An empty KUBECONFIG counts as none, as it does to kubectl.
    """
    return config_file or os.environ.get("KUBECONFIG") or _DEFAULT


def context_name(context: str | None, config_file: str | None) -> str:
    """Resolve the name of a context; None: the current one.

    Raises:
        NoCluster: there is no kubeconfig, or no such context in it.
    """
    place = place_of(config_file)
    found = [content for _, content in documents(place)]
    if not found:
        raise NoCluster(
            "kubeconfig load", f"{place}: there is no such file, or it is empty", _ADVICE
        )
    names = {entry["name"] for content in found for entry in content.get("contexts") or ()}
    current = [content["current-context"] for content in found if "current-context" in content]
    chosen = context or (current[-1] if current else None)
    if chosen not in names:
        raise NoCluster(
            f"context {chosen or '(none)'} lookup",
            f"{place} has no such context",
            "give --context, or [converge.kubernetes] context, as one of: "
            f"{', '.join(sorted(names)) or '(none)'}",
        )
    return str(chosen)


def cluster_of(
    context: str, config_file: str | None = None
) -> tuple[str, dict[str, dict[str, Any]]]:
    """What a context calls its cluster, and what tools noted about both, by name of the note."""
    found = [*documents(place_of(config_file))]
    _, its = entry_of(found, "contexts", context)
    cluster = str((its or {}).get("cluster", ""))
    try:
        _, theirs = entry_of(found, "clusters", cluster)
    except KeyError:
        theirs = {}
    notes = [
        *((its or {}).get("extensions") or ()),
        *((theirs or {}).get("extensions") or ()),
    ]
    told = {str(note.get("name")): note.get("extension") for note in notes}
    return cluster, {name: it for name, it in told.items() if isinstance(it, dict)}


def entry_of(found: Iterable[tuple[Path, Any]], section: str, name: str) -> tuple[Path, Any]:
    """What a cluster, context or user says, with its file; the first one of a name counts.

    Args:
        found: `documents`.
        section: clusters, contexts or users.
        name: of the entry.

    Raises:
        KeyError: there is none.
    """
    for file, content in found:
        for entry in content.get(section) or ():
            if entry["name"] == name:
                return file, entry[section.removesuffix("s")]
    raise KeyError(name)


def documents(place: str) -> Iterator[tuple[Path, Any]]:
    """What is in each file of a kubeconfig that is there and not empty."""
    for file in (Path(part).expanduser() for part in place.split(os.pathsep) if part):
        try:
            text = file.read_text() if file.exists() else ""
            content = yaml.load(text, _LOADER)  # noqa: S506 - a safe one
        except (yaml.YAMLError, OSError, ValueError) as exc:
            raise NoCluster("kubeconfig load", f"{file}: {first_line(exc)}", _ADVICE) from exc
        if content is not None:
            _check_shape(file, content)
            yield file, content


def _check_shape(file: Path, content: Any) -> None:
    """Complain about what the client would stumble over, with the name of the file."""
    if not isinstance(content, dict):
        cause = f"{file}: it has no clusters, users and contexts; is it a kubeconfig?"
        raise NoCluster("kubeconfig load", cause, _ADVICE)
    for section in ("clusters", "contexts", "users"):
        entries = content.get(section) or []
        if not isinstance(entries, list) or not all(
            isinstance(entry, dict) and "name" in entry for entry in entries
        ):
            cause = f"{file}: {section} is no list of entries with a name"
            raise NoCluster("kubeconfig load", cause, _ADVICE)


def first_line(exc: Exception) -> str:
    """What of an error fits into a sentence."""
    return str(exc).partition("\n")[0] or type(exc).__name__
