"""Specs of walkers and functions -> typed request and response models.

Models use names of their own and aliases for the app's, so that no field of an app can collide
with pydantic (`copy`, `json`, `_x`, `model_y`). It changes with what OpenAPI says about a call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model
from pydantic.errors import PydanticUserError
from pydantic_core import to_jsonable_python

from jac_converge.app_runtime.bodies import fields_in
from jac_converge.app_runtime.bridge.annotations import bare
from jac_converge.app_runtime.bridge.introspect import FieldSpec, FunctionSpec, WalkerSpec
from jac_converge.app_runtime.bridge.values import is_typed_dict
from jac_converge.app_runtime.choices import chosen_by_text

__all__ = ["SPAWN_NODE", "Failure", "Signature", "signature_of"]

SPAWN_NODE = "_jac_spawn_node"
_RESPONSE: Any = Literal["response"]
_NO_NODE = [None]
"""What /docs fills in: its own example is a text, and no node has such an id."""
_PLAIN = (None, Any, str, int, float, bool)
_CONFIG = ConfigDict(
    extra="forbid",
    arbitrary_types_allowed=True,
    allow_inf_nan=False,
    val_json_bytes="base64",
    ser_json_bytes="base64",
)

_SENT = ConfigDict(**{**_CONFIG, "extra": "ignore"})
"""An `obj` in an answer has names beside its fields: `_jac_type`, and what it is."""


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str = Field(examples=["NOT_FOUND"])
    message: str
    details: Any = None


class Meta(BaseModel):
    """Facts about the answer."""

    extra: dict[str, Any] = Field(examples=[{"http_status": 200}])


class Failure(BaseModel):
    """The envelope of every answer that is not 2xx."""

    ok: Literal[False] = False
    type: Literal["error"] = "error"
    data: None = None
    error: ErrorBody
    meta: Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """How one walker or function is called over HTTP."""

    body: type[BaseModel]
    response: type[BaseModel]
    names: dict[str, str]
    """Name in the body model -> name of the field in the app."""
    made: frozenset[str]
    """Names in the body model of fields whose default the app makes anew for each call."""

    def own(self, name: str) -> str:
        """Return what a field of the app is called in the body model."""
        return next(own for own, named in self.names.items() if named == name)

    def annotation(self, name: str) -> Any:
        """Return the type of a field and its limits, as far as pydantic knows them."""
        known = self.body.model_fields[self.own(name)]
        limits: Any = tuple(known.metadata)
        return Annotated[known.annotation, *limits] if limits else known.annotation

    def description(self, name: str) -> str | None:
        """Return what a field says of itself."""
        return self.body.model_fields[self.own(name)].description

    def fields(self, raw: bytes) -> dict[str, Any]:
        """Build the values of a call from a body that has been validated before."""
        return self.values(self.body.model_validate_json(fields_in(raw)))

    def values(self, body: BaseModel) -> dict[str, Any]:
        """Return the values of a validated body, by the app's names.

        A default that is made anew is left to the call: it may look at the caller's graph.
        """
        left_out = self.made - body.model_fields_set if self.made else self.made
        return {name: getattr(body, own) for own, name in self.names.items() if own not in left_out}


def signature_of(spec: WalkerSpec | FunctionSpec) -> Signature:
    """Build the models of one walker or function."""
    is_walker = isinstance(spec, WalkerSpec)
    sent = [field for field in spec.fields if field.name not in spec.files]
    names = {f"field_{index}": field.name for index, field in enumerate(sent)}
    fields: dict[str, Any] = {
        own: _field(field, is_node=field.name in spec.node_fields)
        for own, field in zip(names, sent, strict=True)
    }
    if is_walker:
        text = "Id of the node to start at; the caller's root when not given."
        start = Field(default=None, alias=SPAWN_NODE, description=text, examples=_NO_NODE)
        fields["spawn_node"] = (str | None, start)
    body = create_model(f"{spec.name}_body", __config__=_CONFIG, **fields)
    result = Any if isinstance(spec, WalkerSpec) else _known(spec.returns)
    data = create_model(
        f"{spec.name}_data",
        __config__=_SENT,
        result=(result, Field(description="The walker." if is_walker else "What it returned.")),
        reports=(list[Any], Field(description="What was reported, in order.")),
        warnings=(list[dict[str, Any]] | None, Field(default=None, description="Writes refused.")),
    )
    response = create_model(
        f"{spec.name}_response",
        __config__=_CONFIG,
        ok=(Literal[True], True),
        type=(_RESPONSE, Field(default="response")),
        data=(data, ...),
        error=(None, None),
        meta=(Meta, ...),
    )
    made = (own for own, one in zip(names, sent, strict=True) if one.factory is not None)
    return Signature(body=body, response=response, names=names, made=frozenset(made))


def _field(field: FieldSpec, *, is_node: bool) -> tuple[Any, Any]:
    options: dict[str, Any] = {"alias": field.name}
    if is_node:
        options["description"] = "A node, by its id."
        if field.default is None:
            options["examples"] = _NO_NODE
    if field.factory is not None:
        options["default"] = None  # of no consequence: `Signature.values` leaves it out
        options["json_schema_extra"] = _steady(field)
    elif not field.required:
        options["default"] = field.default
    return _known(field.annotation), Field(**options)


def _steady(field: FieldSpec) -> dict[str, Any]:
    """Tell a default that is made anew each time, if it is the same each time (an enum, a date)."""
    if field.factory is None:
        return {}
    try:
        one, two = (
            to_jsonable_python(field.made(), bytes_mode="base64", inf_nan_mode="constants")
            for _ in range(2)
        )
    except Exception:  # noqa: BLE001 - code of the app, which may need a request around it
        return {}
    return {"default": one} if one == two else {}


def _known(annotation: Any) -> Any:
    """Return an annotation if pydantic can check it and tell JSON Schema about it, else Any."""
    if annotation in _PLAIN:
        return annotation
    try:
        TypeAdapter(annotation, config=_config_for(annotation)).json_schema()
    except (PydanticUserError, NameError, TypeError, ValueError):
        return Any
    return chosen_by_text(annotation)


def _config_for(annotation: Any) -> ConfigDict | None:
    """Return the configuration an adapter may have: none where the type brings its own."""
    annotation = bare(annotation)
    own: Callable[..., Any] | None = getattr(annotation, "__dataclass_fields__", None)
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    if own is not None or is_model or is_typed_dict(annotation):
        return None
    return ConfigDict(arbitrary_types_allowed=False)
