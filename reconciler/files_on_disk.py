"""Files that pods would keep on their disks: refused before anything is planned.

A pod's disk is not for writing, goes with the pod, and no other pod has it. An app says that it
keeps files there in jac.toml, or by a call of `store()`. It changes with how an app says so.
"""

import re
from collections.abc import Mapping
from contextlib import suppress

from jac_converge.config.load import App, ConfigError

__all__ = ["call_of", "refuse_files_on_disk"]

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


def refuse_files_on_disk(app: App) -> None:
    """Look whether pods are to keep files on their disks.

    Raises:
        ConfigError: they are.
    """
    storage = app.settings.storage
    if storage.kind != "disk":
        return
    if storage.model_fields_set & {"kind", "path"}:
        why = "it keeps files on disk"
    elif (found := call_of(_code_of(app))) is not None:
        why = f"{found}, and no bucket is named"
    else:
        return
    message = (
        f'{why}, but pods have no disk of their own that lasts; set kind = "s3" and bucket here'
    )
    raise ConfigError(app.problem("converge.storage", message))


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
