"""The apps below one folder: where they are, and which file is the main one of each.

An app is a folder whose jac.toml has settings for `jac scale`. It changes when an app is recognised
by something else.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from jac_converge.config.load import written_tables
from jac_converge.config.problems import ConfigError, Problem
from jac_converge.config.sources import read_document

__all__ = ["app_folders", "main_file"]

_FOREIGN = frozenset({"__pycache__", "build", "dist", "node_modules", "site-packages", "venv"})
"""Folders that hold other people's files, jac.toml among them."""


def app_folders(workspace: Path) -> Iterator[Path]:
    """Every folder with a jac.toml, the workspace itself among them; hidden ones are left out."""
    for folder, inner, files in os.walk(workspace):
        inner[:] = sorted(n for n in inner if not n.startswith(".") and n not in _FOREIGN)
        if "jac.toml" in files:
            yield Path(folder)


def main_file(folder: Path) -> Path | None:
    """The main .jac file of an app; None: jac.toml has no settings for `jac scale`.

    Raises:
        ConfigError: jac.toml cannot be read, or leaves open which file it is.
    """
    toml = folder / "jac.toml"
    document = read_document(toml)
    if document is None or not written_tables((document,)).configured:
        return None
    project = document.table.get("project")
    named = project.get("entry-point") if isinstance(project, Mapping) else None
    if isinstance(named, str) and named:
        return folder / named
    found = sorted(folder.glob("*.jac"))
    if len(found) == 1:
        return found[0]
    if (main := folder / "main.jac") in found:
        return main
    there = ", ".join(file.name for file in found) or "none"
    message = f"the main .jac file is not clear (there is {there}); name it"
    raise ConfigError(
        Problem(file=str(toml), line=None, key="project.entry-point", message=message)
    )
