"""Files that pods would keep on their disks: refused, or told before anything is planned.

A pod's disk is not for writing, goes with the pod, and no other pod has it. An app says that it
keeps files there in jac.toml, or by a call of `store()`; code is only searched for that, so what
it says is told, and decides nothing. It changes with how an app says so.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from jac_converge.config.load import App, ConfigError

__all__ = ["call_of", "without_files_on_disk"]

_NO_DISK = "pods have no disk that lasts"
_WAY_OUT = 'kind = "s3" and bucket'

_UNREAD = re.compile(
    r'"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|#\*[\s\S]*?\*#|#[^\n]*'
)
"""Texts and comments of Jac and Python."""
_CALL = re.compile(r"(?<![\w.])store\s*\(|(?<![\w.])own_files\s*\(")
_OTHER = re.compile(
    r"\b(?:def|can|walker|node|edge|obj|class|glob|has|as)\s+(?::\w+\s+)*store\b"
    r"|\bimport\b[^;{]*\{[^}]*\bstore\b|(?<![\w.])store\s*(?::[^;=]*)?=[^=]"
)
"""The app has a `store` of its own."""


def without_files_on_disk(app: App) -> App:
    """Give the app back, with a note where its code may keep files on the disks of pods.

    Raises:
        ConfigError: jac.toml says that it does.
    """
    storage = app.settings.storage
    if storage.kind != "disk":
        return app
    if storage.model_fields_set & {"kind", "path"}:
        message = f"keeps files on disk, but {_NO_DISK}; set {_WAY_OUT} here"
        raise ConfigError(app.problem("converge.storage", message))
    if (found := call_of(_code_of(app))) is None:
        return app
    note = f"{found}, but {_NO_DISK}: each call will be a 503; set [converge.storage] {_WAY_OUT}"
    return replace(app, notes=(*app.notes, note))


def call_of(code: Mapping[str, str]) -> str | None:
    r"""Find a call that keeps files, and say where it is; None: there is none.

    Args:
        code: name of a file -> what is in it.

    >>> call_of({"app.jac": "# store()\nwalker a {}\nglob files = store();"})
    'app.jac:3 calls store()'
    >>> call_of({"app.jac": "def store(a: int) -> int { return a; } glob b = store(1);"})
    """
    bare = {name: _UNREAD.sub(_blank, text) for name, text in code.items()}
    own = any(_OTHER.search(text) for text in bare.values())
    for name, text in bare.items():
        for found in _CALL.finditer(text):
            called = found[0].rstrip("( \t\n")
            if called == "own_files" or not own:
                return f"{name}:{text.count('\n', 0, found.start()) + 1} calls {called}()"
    return None


def _blank(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")


def _code_of(app: App) -> dict[str, str]:
    # Here, because many apps say where their files are.
    from jac_converge.reconciler.image.files import app_files, unreadable  # noqa: PLC0415

    texts = {}
    for name, file in app_files(app.root).items():
        if file.suffix == ".jac":
            # One that went away since it was listed calls nothing.
            with suppress(FileNotFoundError):
                try:
                    texts[name] = file.read_text(encoding="utf-8", errors="replace")
                except PermissionError as exc:
                    raise unreadable(file, exc) from exc
    return texts
