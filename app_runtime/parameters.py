"""Where each field of a call is in a request: in the path, the query, a file, or the body.

As jaclang documents it: what the path names, then files, then the query of a GET, else the body.
It changes with that order, and with what can be written as text.
"""

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Any, Literal
from uuid import UUID

from starlette.routing import compile_path

from jac_converge.app_runtime.bridge.annotations import bare
from jac_converge.app_runtime.bridge.introspect import FunctionSpec, WalkerSpec
from jac_converge.app_runtime.bridge.restspecs import BadDeclaration

__all__ = ["Parameter", "parameters_of"]

type Source = Literal["path", "query", "file", "body"]
type Form = Literal["text", "texts", "json"]

_TEXT = (str, bytes, bool, int, float, date, time, timedelta, Decimal, UUID, Enum)
_LISTS = (list, set, frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One field in a request."""

    source: Source
    form: Form
    """How it is written where there is only text: as it is, once for each item, or as JSON."""


def parameters_of(
    spec: WalkerSpec | FunctionSpec, method: str, path: str
) -> Mapping[str, Parameter]:
    """Return the place of each field.

    Raises:
        BadDeclaration: the path names what is no field, or a GET wants a file.
    """
    in_path = frozenset(compile_path(path)[2])
    if unknown := in_path - {field.name for field in spec.fields}:
        names = ", ".join(sorted(unknown))
        raise BadDeclaration(f"path {path} of {spec.name} names what is no field of it: {names}")
    if spec.files and (method == "GET" or spec.files.keys() & in_path):
        names = ", ".join(sorted(spec.files))
        raise BadDeclaration(f"{method} {path} of {spec.name} can take no file: {names}")
    found = {}
    for field in spec.fields:
        source: Source = "body"
        if field.name in in_path:
            source = "path"
        elif field.name in spec.files:
            source = "file"
        elif method == "GET":
            source = "query"
        found[field.name] = Parameter(source=source, form=_form(field.annotation))
    return found


def _form(annotation: Any) -> Form:
    annotation = bare(annotation)
    origin, variants = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any or annotation is type(None) or origin is Literal:
        return "text"
    if isinstance(annotation, type) and origin is None and issubclass(annotation, _TEXT):
        return "text"
    if origin in (typing.Union, UnionType):
        forms = {_form(item) for item in variants if item is not type(None)}
        return forms.pop() if len(forms) == 1 else "json"
    if origin in _LISTS and len(variants) == 1 and _form(variants[0]) == "text":
        return "texts"
    return "json"
