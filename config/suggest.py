"""The `[converge]` table to start from: jac-scale's keys in our spelling, or a first few lines.

It changes when the advice on how to begin does.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jac_converge.config.complaints import is_secret
from jac_converge.config.layers import KeyPath, merge
from jac_converge.config.load import App, written_tables
from jac_converge.config.problems import ConfigError, Problem
from jac_converge.config.sources import read_document

__all__ = ["suggest_table"]


def suggest_table(app: App) -> str:
    """Write the `[converge]` table that jac.toml lacks, as text to append to it.

    What jac.toml says in jac-scale's table is carried over as it is written, `${VAR}` included;
    secrets that stand there in clear become references. Profiles are left to their own files.

    Raises:
        ConfigError: jac.toml cannot be read, or has the table already.
    """
    document = read_document(app.files[0])
    documents = () if document is None else (document,)
    if any("converge" in document.table for document in documents):
        message = "has a [converge] table already; edit that one"
        raise ConfigError(Problem(file=str(app.files[0]), line=None, key=None, message=message))
    table = merge(written_tables(documents).layers)
    kubernetes = {"app_name": app.name, "namespace": app.namespace}
    table["kubernetes"] = kubernetes | table.get("kubernetes", {})
    lines = list(_table_lines(table, ()))
    if "image" not in table["kubernetes"]:
        after = lines.index("[converge.kubernetes]") + 1
        lines.insert(after, f'# image = "registry.example/you/{app.name}:1"')
    return "\n".join(lines).strip() + "\n"


def _table_lines(table: Mapping[str, Any], path: KeyPath) -> Iterator[str]:
    values = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    if values:
        yield ""
        yield f"[{'.'.join(str(part) for part in ('converge', *path))}]"
    for key, value in values.items():
        yield f"{_key(key)} = {_value((*path, key), value)}"
    for key, below in table.items():
        if isinstance(below, Mapping):
            yield from _table_lines(below, (*path, key))


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() else _string(key)


def _value(path: KeyPath, value: Any) -> str:
    if is_secret(path) and _in_clear(str(value)):
        return _string(f"${{{_variable(path)}}}")
    if isinstance(value, list):
        return f"[{', '.join(_value(path, element) for element in value)}]"
    return _string(value) if isinstance(value, str) else json.dumps(value)


def _variable(path: KeyPath) -> str:
    if path[0] in ("sso", "webhooks"):
        return "_".join(map(str, path)).upper().replace("-", "_")
    return _VARIABLES.get(path) or re.sub(r"\W", "_", str(path[-1]))


def _in_clear(secret: str) -> bool:
    """Tell whether any of a secret stands in the file itself; a host may be a reference alone."""
    if found := _USERINFO.search(secret):
        secret = found["password"]
    elif "://" in secret and "${" in secret:
        return False
    return not _REFERENCE.fullmatch(secret)


def _string(text: str) -> str:
    """Quote as TOML does, which is as JSON does but for the one character DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


_REFERENCE = re.compile(r"\$\{\w+\}")
_USERINFO = re.compile(r"://[^/@]*:(?P<password>.+)@")
_VARIABLES: Mapping[KeyPath, str] = {
    ("database", "mongodb_uri"): "MONGODB_URI",
    ("database", "redis_url"): "REDIS_URL",
    ("jwt", "secret"): "JWT_SECRET",
}
