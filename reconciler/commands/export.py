"""`jac scale --export OUT`: the desired state for kubectl, to a file or to stdout."""

import os
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from jac_converge.config.load import App
from jac_converge.config.problems import ConfigError
from jac_converge.reconciler.console import CONVERGED, usage
from jac_converge.reconciler.export import as_json, as_yaml, left_out, without_secrets
from jac_converge.reconciler.objects import Object

__all__ = ["export_with_secrets", "export_without_secrets"]


def export_without_secrets(app: App, flags: dict[str, Any]) -> int:
    """Write it without asking a cluster; returns the exit code."""
    missing = left_out(app)
    names = ", ".join(f"Secret/{secret['metadata']['name']}" for secret in missing)
    _write(app, without_secrets(app), missing, flags)
    for note in (*app.notes, f"left out: {names}; see --with-secrets"):
        print(f"jac scale: {note}", file=sys.stderr)  # noqa: T201
    return CONVERGED


def export_with_secrets(
    app: App, objects: tuple[Object, ...], notes: tuple[str, ...], flags: dict[str, Any]
) -> int:
    """Write what is desired on this cluster, which keeps its secrets; returns the exit code."""
    _write(app, objects, (), flags)
    for note in (*app.notes, *notes):
        print(f"jac scale: {note}", file=sys.stderr)  # noqa: T201
    return CONVERGED


def _write(
    app: App, objects: tuple[Object, ...], missing: tuple[Object, ...], flags: dict[str, Any]
) -> None:
    text = as_json(objects) if flags["json"] else as_yaml(app, objects, missing)
    if flags["export"] == "-":
        print(text, end="", flush=True)  # noqa: T201
        return
    try:
        _replace(Path(flags["export"]), text)
    except OSError as exc:
        cause = (exc.strerror or str(exc)).lower()
        raise ConfigError(usage(f"--export {flags['export']} cannot be written: {cause}")) from exc


def _replace(file: Path, text: str) -> None:
    """Write the whole file or nothing, and for its owner's eyes only: it may hold secrets."""
    with NamedTemporaryFile(
        "w", encoding="utf-8", dir=file.parent, prefix=f".{file.name}-", delete=False
    ) as new:
        try:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
            Path(new.name).replace(file)
        except BaseException:
            Path(new.name).unlink(missing_ok=True)
            raise
