"""pydantic's errors -> our problems: the key as the user wrote it, the value, what is accepted.

It changes when a new kind of field needs words of its own.
"""

import json
import typing
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from jac_converge.config.layers import KeyPath, Layer, problem_at, value_at
from jac_converge.config.model import Settings
from jac_converge.config.problems import Problem

__all__ = ["JACLANG_KEYS", "complaints", "is_secret", "tables"]

JACLANG_KEYS = ("on_conflict", "conflict_max_attempts")
"""Fields of `Settings` that are written in jaclang's `[serve]`, not in `[converge]`."""

ANY = "NAME"
"""Stands for each name that the user gives to a table, in the paths of `tables`."""

_SECRETS: tuple[KeyPath, ...] = (
    ("database", "mongodb_uri"),
    ("database", "redis_url"),
    ("jwt", "secret"),
    ("jwt", "private_key"),
    ("jwt", "previous_secrets"),
    ("sso", ANY, "client_secret"),
    ("sso", ANY, "private_key"),
    ("webhooks", ANY, "secret"),
    ("webhooks", ANY, "previous_secrets"),
    ("mail", "smtp_url"),
    ("storage", "secret_access_key"),
    ("storage", "endpoint_url"),
    ("secrets",),
    # Not meant for secrets, but that is where they end up.
    ("kubernetes", "env"),
)

_LONGEST_VALUE = 60

_MESSAGES = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "finite_number": "must be a number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_type": "must be a whole number",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "model_type": "must be a table",
    "string_too_short": "must not be empty",
    "string_type": "must be a string in quotes",
    "too_short": "must have {min_length} at least",
    "tuple_type": "must be a list",
}


def complaints(
    error: ValidationError, layers: Sequence[Layer], table: Mapping[str, Any], *, rules: bool
) -> Iterator[Problem]:
    """Translate one failed validation, problem by problem.

    Args:
        error: of `Settings`.
        layers: where the table came from, weakest first.
        table: what was validated.
        rules: say which rules between keys are broken, too.
    """
    for detail in error.errors(include_url=False, include_input=False):
        path: KeyPath = tuple(part for part in detail["loc"] if part != "[key]")
        context = detail.get("ctx", {})
        if detail["type"] == "rules":
            for broken in context["broken"] if rules else ():
                yield problem_at(layers, broken.key, broken.message)
        elif detail["type"] == "extra_forbidden":
            yield problem_at(layers, path, _unknown(path))
        else:
            message = _must(detail["type"], detail["msg"], context)
            yield problem_at(layers, path, message + _but_is(path, table))


def _must(kind: str, message: str, context: Mapping[str, Any]) -> str:
    if kind == "value_error":
        return str(context["error"])
    return _MESSAGES.get(kind, f"{message[:1].lower()}{message[1:]}").format_map(context)


def _but_is(path: KeyPath, table: Mapping[str, Any]) -> str:
    if is_secret(path):
        return ""
    text = json.dumps(value_at(table, path), default=str, ensure_ascii=False)
    return f", not {text if len(text) <= _LONGEST_VALUE else f'{text[:_LONGEST_VALUE]}...'}"


def is_secret(path: KeyPath) -> bool:
    """Tell whether the value of a key must never be shown."""
    return any(_fits(path[: len(secret)], secret) for secret in _SECRETS)


def _fits(path: KeyPath, pattern: KeyPath) -> bool:
    return len(path) == len(pattern) and all(
        wanted in (ANY, found) for found, wanted in zip(path, pattern, strict=True)
    )


def _unknown(path: KeyPath) -> str:
    name, parent = str(path[-1]), path[:-1]
    siblings = sorted(_keys(parent))
    nearest = get_close_matches(name, siblings, n=1)
    if nearest:
        return f"unknown key; did you mean `{nearest[0]}`?"
    elsewhere = [table for table, _ in tables() if table != parent and name in _keys(table)]
    if elsewhere:
        written = " or ".join(f"[{'.'.join(('converge', *table))}]" for table in elsewhere)
        return f"unknown key; it belongs to {written}"
    return f"unknown key; known here: {', '.join(siblings)}"


def _keys(table: KeyPath) -> set[str]:
    names = {name for path, model in tables() if _fits(table, path) for name in model.model_fields}
    return names if table else names.difference(JACLANG_KEYS)


def tables(
    model: type[BaseModel] = Settings, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """List `[converge]` and every table below it, each with its model; `ANY` is a user's name."""
    yield path, model
    for name, field in model.model_fields.items():
        below = _model_in(field.annotation)
        if below is not None:
            named = typing.get_origin(field.annotation) is dict
            yield from tables(below, (*path, name, *((ANY,) if named else ())))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *typing.get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
