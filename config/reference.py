"""Write the JSON Schema and the reference page of `[converge]`, both from `model.py`.

`python -m jac_converge.config.reference` in a checkout. The words come from the docstrings under
the fields, read from the source: at run time nobody pays for them. It changes when the page should
look different.
"""

import ast
import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from jac_converge.config import mail, model, server, sso, storage, webhooks
from jac_converge.config.complaints import JACLANG_KEYS, tables

__all__ = ["main", "reference_page", "schema_text"]

_INTRODUCTION = """\
# jac.toml

<!-- Written by `python -m jac_converge.config.reference` from config/model.py. -->

`jac serve` and `jac scale` read the table `[converge]` of `jac.toml`,
which stands beside the app's `.jac` file or in a folder above it.
Everything has a default; without a `jac.toml`, the app is named after its file.

- **Who wins**: a flag of the command, then the environment, then the profile, then `jac.toml`,
  then the default.
- **Profiles**: `--profile prod` (or `JAC_PROFILE=prod`, or `[environment] default_profile`)
  lays `jac.prod.toml`, then `[environments.prod]`, over `jac.toml`;
  `jac.local.toml` always comes last.
- **Variables**: `${NAME}`, `${NAME:-default}` and `${NAME:?message}` in any string;
  `$${` is a plain `${`.
  A variable that is not set, and has no default, is an error.
- **Nothing**: an empty string means "none" where a key's default is none or none is possible:
  `cpu_limit = ""`, `mongodb_uri = "${MONGODB_URI:-}"`.
- **Unknown keys** are errors; all mistakes are reported at once, each with its line.
- **Environment**: `MONGODB_URI`, `REDIS_URL`, `JWT_SECRET` and `FORWARDED_ALLOW_IPS` win over their
  keys.
- **jaclang's own keys** are honoured: `[project] name`,
  `[serve] port` (where `[converge.server] port` is not given),
  `[serve] on_conflict` (`"retry"` or `"fail"`) and `[serve] conflict_max_attempts`;
  so is jac-scale's `[storage]`, where its `type` is `"s3"`.

For editors, the same as a JSON Schema: `jac_converge/config/schema.json` in the package.
"""


_MODULES = (mail, model, server, sso, storage, webhooks)
_VARIABLE = {"description": "A reference such as `${NAME}`.", "type": "string", "pattern": r"\$\{"}
_NOT_STRINGS = ("boolean", "integer", "number")


def schema_text() -> str:
    """Give the JSON Schema of the `[converge]` table."""
    schema = model.Settings.model_json_schema()
    definitions = schema.pop("$defs")
    words = _docstrings()
    for name, definition in (("Settings", schema), *definitions.items()):
        definition.pop("title")
        definition["description"] = words[name, ""]
        for field, property_ in definition.get("properties", {}).items():
            property_.pop("title", None)
            if (name, field) in words:
                property_["description"] = words[name, field]
    for key in JACLANG_KEYS:
        schema["properties"].pop(key)
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "[converge] in jac.toml",
        **_without_null(schema),
        "$defs": _without_null(definitions) | {"Variable": _VARIABLE},
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _without_null(schema: Any) -> Any:
    """Say in a schema what TOML can say: no null, but `""` for it, and `${NAME}` for anything."""
    if isinstance(schema, list):
        return [_without_null(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: _without_null(part) for key, part in schema.items()}
    if "$ref" in schema:
        schema.pop("default", None)  # a table's default is that of its keys
    if {"type": "null"} in schema.get("anyOf", ()):
        schema["anyOf"] = [
            {"const": ""} if part == {"type": "null"} else part for part in schema["anyOf"]
        ]
        if schema.get("default", "") is None:
            del schema["default"]
    if schema.get("type") in _NOT_STRINGS or "enum" in schema:
        return {"anyOf": [schema, {"$ref": "#/$defs/Variable"}]}
    return schema


def reference_page() -> str:
    """Give the Markdown page: a heading for each table, a row for each key."""
    sections = [_INTRODUCTION]
    for path, table in tables():
        words = _docstrings()[table.__name__, ""]
        if table is not model.Settings:
            title = f"[{'.'.join(('converge', *path))}]"
            sections.append(_section(title, words, _rows(table)))
    secrets = _docstrings()["Settings", "secrets"]
    sections.append(_section("[converge.secrets]", secrets, ()))
    return "\n".join(sections)


def _section(title: str, words: str, rows: Iterator[str] | tuple[()]) -> str:
    head = ("| key | type | default | meaning |", "|---|---|---|---|")
    body = tuple(rows)
    meaning = words.removeprefix(f"`{title}`: ")
    meaning = meaning[:1].upper() + meaning[1:]
    return "\n".join((f"## `{title}`", "", meaning, *(("", *head, *body) if body else ()), ""))


def _rows(table: type[BaseModel]) -> Iterator[str]:
    words = _docstrings()
    properties = table.model_json_schema()["properties"]
    for name, field in table.model_fields.items():
        if "$ref" in json.dumps(properties[name]):
            continue  # a table, with a heading of its own
        default = field.get_default(call_default_factory=True)
        shown = "none" if default is None else f"`{json.dumps(default)}`"
        meaning = words[table.__name__, name].replace("|", "\\|")
        yield f"| `{name}` | {_type(properties[name])} | {shown} | {meaning} |"


def _type(schema: Mapping[str, Any]) -> str:
    parts = [part for part in schema.get("anyOf", (schema,)) if part.get("type") != "null"]
    (part,) = parts
    kind = part.get("type")
    if "enum" in part:
        return " or ".join(f'`"{value}"`' for value in part["enum"])
    if isinstance(kind, list):
        return "quantity"
    if kind == "array":
        return "list of strings"
    if kind == "object":
        lists = "array" in json.dumps(part.get("additionalProperties", part))
        return f"table of {'lists' if lists else 'strings'}"
    bounds = [
        f"{word} {part[bound]}"
        for bound, word in (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"))
        if bound in part
    ]
    return " ".join([{"integer": "whole number"}.get(kind, str(kind)), *bounds])


def _docstrings() -> dict[tuple[str, str], str]:
    """Map (class, field) to the docstring under the field, ("", for the class's own)."""
    found: dict[tuple[str, str], str] = {}
    sources = [inspect.getsource(module) for module in _MODULES]
    for node in (node for source in sources for node in ast.parse(source).body):
        if not isinstance(node, ast.ClassDef):
            continue
        found[node.name, ""] = ast.get_docstring(node) or ""
        for field, below in zip(node.body, node.body[1:], strict=False):
            match field, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[node.name, name] = " ".join(text.split())  # a table has no line breaks
    return found


def main() -> None:
    """Write both files into the checkout that this module runs from."""
    folder = Path(__file__).resolve().parent
    pages = {
        folder / "schema.json": schema_text(),
        folder.parent / "docs" / "reference" / "jac-toml.md": reference_page(),
    }
    for path, text in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
