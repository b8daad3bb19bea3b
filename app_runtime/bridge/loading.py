"""Import a Jac app: where its modules and settings are looked for, and what keeps it from loading.

It changes with how jaclang imports.
"""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaclang.jac0core.runtime import JacRuntime as Jac
from jaclang.project.config import get_config
from jaclang.project.dependencies import add_venv_to_path

from jac_converge.app_runtime.bridge.memory import RequestMemory
from jac_converge.app_runtime.stores import Document, WriteBatch

__all__ = ["AppBroken", "import_app", "import_module"]


class AppBroken(Exception):
    """The app cannot be loaded; the text says where and why, without a traceback of ours."""


def _use_project(folder: Path, profile: str | None) -> None:
    """Have jaclang, and with it the app, read the app's own jac.toml, as `jac start` does."""
    config = get_config(start_path=folder, force_discover=True)
    if config is None:
        return
    chosen = profile or os.environ.get("JAC_PROFILE") or config.environment.default_profile
    config.apply_profile_overlay(chosen or None)
    add_venv_to_path(config)  # what `jac add` has installed for the app


def import_app(file: Path, profile: str | None, context_over: Callable[[Any], Any]) -> Any:
    """Import the module of an app; code at module level runs.

    Args:
        file: of the app.
        profile: of jac.toml, for what jaclang reads there; None: its default one.
        context_over: makes a context of the runtime over a memory.

    Raises:
        AppBroken: it does not compile, or its own code raised.
    """
    _use_project(file.parent, profile)
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # for good: a walker may import a neighbour when it runs
    Jac.set_base_path(folder)
    Jac.set_full_target_path(str(file))
    # Code at module level would otherwise open jaclang's own SQLite file, as its superuser.
    Jac.set_context(context_over(RequestMemory(_NoStore())))  # type: ignore[arg-type]
    return import_module(file)


def import_module(file: Path) -> Any:
    """Import a module of the app.

    Raises:
        AppBroken: it does not compile, or its own code raised.
    """
    level = logging.getLogger().level
    try:
        (module,) = Jac.jac_import(target=file.stem, base_path=str(file.parent), lng="jac")
    except ImportError as error:
        errors = Jac.get_program().errors_had
        if not errors:
            raise AppBroken(_told(file, error)) from error
        text = "\n".join(problem.pretty_print() for problem in errors)
        raise AppBroken(f"{file} does not compile:\n{text}") from error
    except Exception as error:
        raise AppBroken(_told(file, error)) from error
    except SystemExit as error:
        text = f"its own code ends the process, with sys.exit({error.code})"
        raise AppBroken(f"{file} load failed{_at(file, error)}: {text}") from error
    finally:
        logging.getLogger().setLevel(level)
    return module


def _told(file: Path, error: Exception) -> str:
    return f"{file} load failed{_at(file, error)} ({type(error).__name__}): {error}"


def _at(file: Path, error: BaseException) -> str:
    """Say where the app's own code was last, as ` at FILE:LINE`: it may be in another module."""
    config = get_config()
    folder = config.project_root if config else file.parent
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_absolute() and path.is_relative_to(folder):
            name = path.relative_to(folder)
            # Not what `jac add` has put there, in .jac/venv.
            if not any(part.startswith(".") or part == "site-packages" for part in name.parts):
                return f" at {name}:{frame.lineno}"
    return ""


class _NoStore:
    """The store of code at module level: it has none, and no user either."""

    def get(self, ids: Any) -> dict[str, Document]:  # noqa: ARG002
        return {}

    def find(self, kind: str) -> list[Document]:  # noqa: ARG002
        return []

    def near(self, group: str, stamp: int, limit: int) -> list[Document]:  # noqa: ARG002
        return []

    def commit(self, batch: WriteBatch) -> None:
        """Drop it: what a module builds while it is imported belongs to nobody."""
