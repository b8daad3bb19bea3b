"""What FastAPI is shown of an endpoint, so that OpenAPI tells where each field goes.

Requests do not come this way: `straight.py`. It changes with what OpenAPI can say of a field.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args, get_origin

from fastapi import Body, File, Form, Path, Query, UploadFile
from pydantic import BaseModel, ConfigDict, create_model

from jac_converge.app_runtime.bridge.introspect import FieldSpec, FunctionSpec, WalkerSpec
from jac_converge.app_runtime.parameters import Parameter
from jac_converge.app_runtime.signatures import SPAWN_NODE, Signature

__all__ = ["described", "described_message"]

_ORDINARY = inspect.Parameter.KEYWORD_ONLY
_AS_JSON = "An object or list, as JSON."


def described(
    spec: WalkerSpec | FunctionSpec,
    signature: Signature,
    parameters: Mapping[str, Parameter],
    *,
    who: Any,
    at_node: bool,
    in_query: bool,
) -> Callable[..., Any]:
    """Make a function whose arguments are those of an endpoint.

    Args:
        spec: of what is called.
        signature: of its fields.
        parameters: where they are.
        who: dependency that finds the caller.
        at_node: whether the path names the node to start at.
        in_query: whether what is not in the path is in the query.
    """
    arguments = [inspect.Parameter("claims", _ORDINARY, annotation=Any, default=who)]
    if at_node:
        text = "Id of the node to start at."
        arguments.append(_argument("node", str, Path(description=text)))
    sources = {one.source for one in parameters.values()}
    in_form = "file" in sources
    for field in spec.fields:
        one = parameters[field.name]
        if one.source == "path":
            arguments.append(_argument(field.name, _annotation(signature, field, one), Path()))
        elif one.source == "query":
            arguments.append(_apart(signature, field, one, Query))
        elif one.source == "file":
            arguments.append(_file(field, many=spec.files[field.name]))
        elif in_form:
            arguments.append(_apart(signature, field, one, Form))
    if in_form:
        arguments += _start(spec, Form)
    elif in_query:
        arguments += _start(spec, Query)
    else:
        arguments.append(_body(spec, signature, parameters))

    async def call(**_: Any) -> None: ...

    call.__signature__ = inspect.Signature(arguments)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in arguments}
    return call


def described_message(name: str, signature: Signature) -> Callable[..., Any]:
    """Make a function whose body is a message: the fields of a walker, and whatever else is sent.

    Args:
        name: of the walker.
        signature: of its fields.
    """
    known = signature.body.model_fields
    fields: dict[str, Any] = {own: (known[own].annotation, known[own]) for own in signature.names}
    config = ConfigDict(**{**signature.body.model_config, "extra": "allow"})
    doc = "Others may be there; they are not read."
    model = create_model(f"{name}_message", __config__=config, __doc__=doc, **fields)

    async def call(**_: Any) -> None: ...

    body = _argument("body", model, Body(...))
    call.__signature__ = inspect.Signature([body])  # type: ignore[attr-defined]
    call.__annotations__ = {"body": model}
    return call


def _argument(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    if get_origin(annotation) is Annotated:
        # FastAPI drops them there where the default says in which part of the request it is.
        annotation, *limits = get_args(annotation)
        default.metadata.extend(limits)
    return inspect.Parameter(name, _ORDINARY, annotation=annotation, default=default)


def _annotation(signature: Signature, field: FieldSpec, one: Parameter) -> Any:
    return str if one.form == "json" else signature.annotation(field.name)


def _apart(
    signature: Signature, field: FieldSpec, one: Parameter, kind: Callable[..., Any]
) -> inspect.Parameter:
    about = signature.description(field.name)
    options: dict[str, Any] = {"alias": field.name} | ({"description": about} if about else {})
    annotation = _annotation(signature, field, one)
    if one.form == "json":
        options["description"] = _AS_JSON
    if not field.required:
        if one.form == "json" or field.factory is not None:
            options["default"], annotation = None, annotation | None
        else:
            options["default"] = field.default
    return _argument(signature.own(field.name), annotation, kind(**options))


def _file(field: FieldSpec, *, many: bool) -> inspect.Parameter:
    annotation: Any = list[UploadFile] if many else UploadFile
    if field.required:
        return _argument(f"file_{field.name}", annotation, File(alias=field.name))
    return _argument(f"file_{field.name}", annotation | None, File(default=None, alias=field.name))


def _start(spec: WalkerSpec | FunctionSpec, kind: Callable[..., Any]) -> list[inspect.Parameter]:
    if not isinstance(spec, WalkerSpec):
        return []
    text = "Id of the node to start at; the caller's root when not given."
    where = kind(default=None, alias=SPAWN_NODE, description=text)
    return [_argument("spawn_node", str | None, where)]


def _body(
    spec: WalkerSpec | FunctionSpec, signature: Signature, parameters: Mapping[str, Parameter]
) -> inspect.Parameter:
    """Describe the body: the whole model, or what the path leaves of it."""
    model: type[BaseModel] = signature.body
    left = [field for field in spec.fields if parameters[field.name].source == "body"]
    if len(left) < len(spec.fields):
        kept = {signature.own(field.name) for field in left} | {"spawn_node"}
        fields: dict[str, Any] = {
            name: (info.annotation, info)
            for name, info in model.model_fields.items()
            if name in kept
        }
        model = create_model(f"{spec.name}_rest", __config__=model.model_config, **fields)
    if any(field.required for field in left):
        return _argument("body", model, Body(...))
    return _argument("body", model | None, Body(default=None))
